#include "client/order/dependency_engine.h"

#include <algorithm>
#include <new>
#include <utility>

#include "client/base/fork_guard.h"
#include "client/base/no_memory.h"
#include "client/order/operation.h"
#include "common/base/check.h"

namespace kvstore {
namespace {

// How many failures a Var remembers until somebody asks. Later ones are dropped: the first ones say
// what went wrong.
constexpr size_t kFailuresMax = 64;
// After so many operations of a long run their owners may send what they collected: enough to fill
// a frame, few enough that sending overlaps with issuing.
constexpr uint64_t kFlushInterval = 1024;
// Stores whose operations are issued in one run before all of them may send.
constexpr size_t kOwnersMax = 4;
// Operations in one block of memory: enough that a block is rare, few enough that one operation
// which is never over keeps little beside itself.
constexpr size_t kBlockMax = 64;

// Adds operations until there are `count`.
template <typename Made>
void MakeOperations(size_t count, std::vector<OperationPtr>* operations) {
  while (operations->size() < count) {
    const size_t size = std::min(kBlockMax, count - operations->size());
    const auto block = std::make_shared<std::vector<Made>>(size);
    for (Made& operation : *block) operations->emplace_back(block, &operation);
  }
}

}  // namespace

void MakeToken(const OperationPtr& operation) {
  auto* const with_place = static_cast<OperationWithPlace*>(operation.get());
  operation->token = std::allocate_shared<OperationToken>(
      InPlace<OperationToken>(operation, &with_place->token_place));
}

OperationToken::~OperationToken() {
  if (operation_ == nullptr) return;  // it was never queued
  absl::Status status =
      finished_ ? std::move(status_) : WordedStatus(absl::StatusCode::kInternal, [this] {
        return operation_->What() + " was dropped";
      });
  DependencyEngine* engine = operation_->engine;
  engine->Complete(std::move(operation_), std::move(status));
}

uint64_t OperationToken::id() const { return operation_->id; }

std::shared_ptr<const void> OperationToken::HoldOrder() {
  {
    MutexLock lock(operation_->engine->mutex_);
    KVS_CHECK(operation_->order_holds > 0);
    ++operation_->order_holds;
  }
  return {operation_.get(),
          [operation = operation_](const void*) { operation->engine->Issued(*operation); }};
}

void OperationToken::GiveBackReads() noexcept { operation_->engine->GiveBackReads(*operation_); }

void OperationToken::Finish(const absl::Status& status) noexcept {
  MutexLock lock(mutex_);
  if (finished_ && !status_.ok()) return;
  finished_ = true;
  // Whoever waits reads it on another thread.
  status_ = WordedStatus(status.code(), [&status] { return status.message(); });
}

DependencyEngine::Ready::~Ready() {
  while (!empty()) Take()->token = nullptr;  // the two keep each other
}
DependencyEngine::Ready::Ready(Ready&& other) noexcept
    : first_(std::move(other.first_)), last_(std::exchange(other.last_, nullptr)) {}
DependencyEngine::Ready& DependencyEngine::Ready::operator=(Ready&& other) noexcept {
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  return *this;
}

void DependencyEngine::Ready::Add(OperationPtr operation) {
  Operation* const added = operation.get();
  (empty() ? first_ : last_->next_ready) = std::move(operation);
  last_ = added;
}

void DependencyEngine::Ready::Add(Ready others) {
  if (others.empty()) return;
  (empty() ? first_ : last_->next_ready) = std::move(others.first_);
  last_ = std::exchange(others.last_, nullptr);
}

OperationPtr DependencyEngine::Ready::Take() {
  OperationPtr taken = std::move(first_);
  first_ = std::move(taken->next_ready);
  if (empty()) last_ = nullptr;
  return taken;
}

DependencyEngine::DependencyEngine() { PrepareWordless(); }
DependencyEngine::~DependencyEngine() = default;

DependencyEngine& DependencyEngine::Process() {
  static DependencyEngine& engine = *[] {
    auto* made = new DependencyEngine;  // arrays may outlive every static object
    HoldAcrossFork(&made->mutex_);
    return made;
  }();
  return engine;
}

VarPtr DependencyEngine::NewVar() { return std::make_shared<Var>(); }

OperationList::OperationList(size_t count) {
  operations_.reserve(count);
  MakeOperations<OperationWithPlace>(count, &operations_);
}
OperationList OperationList::OfGroup(size_t members) {
  OperationList list(1);
  list.operations_.reserve(1 + members);
  MakeOperations<Operation>(1 + members, &list.operations_);
  return list;
}
OperationList::OperationList(std::vector<OperationSpec> specs) : OperationList(specs.size()) {
  for (OperationSpec& spec : specs) Add(std::move(spec));
}
OperationList::~OperationList() = default;
OperationList::OperationList(OperationList&& other) noexcept = default;
OperationList& OperationList::operator=(OperationList&& other) noexcept = default;

void OperationList::Reserve(size_t uses) {
  for (const OperationPtr& operation : operations_) operation->uses.reserve(uses);
}

// NOLINTNEXTLINE(cppcoreguidelines-rvalue-reference-param-not-moved): its members are
void OperationList::Add(OperationSpec&& spec) {
  Operation& operation = *operations_.at(given_);
  operation.timeout_ms = spec.owner->operation_timeout_ms();
  operation.owner = std::move(spec.owner);
  operation.verb = spec.verb;
  operation.subject = std::move(spec.subject);
  operation.issue = std::move(spec.issue);
  operation.uses.reserve(spec.uses.size());
  for (OperationSpec::Use& use : spec.uses) {
    const auto same = std::find_if(operation.uses.begin(), operation.uses.end(),
                                   [&](const Operation::Use& u) { return u.var == use.var; });
    if (same == operation.uses.end()) {
      operation.uses.emplace_back();
      operation.uses.back().var = std::move(use.var);
      operation.uses.back().access = use.access;
    } else if (same->access == Access::kRead) {
      same->access = use.access;
    }
  }
  for (Operation::Use& use : operation.uses) use.operation = &operation;
  ++given_;
}

DependencyEngine::Ready DependencyEngine::Append(OperationList operations) noexcept {
  operations.operations_.resize(operations.given_);
  const uint64_t generation = ProcessGeneration();
  Ready ready;
  MutexLock lock(mutex_);
  for (OperationPtr& operation : operations.operations_) {
    MakeToken(operation);
    Name(*operation, generation, ++last_id_);
    // Counts one more than the uses: else Pump could find all uses granted so far and make the
    // operation ready before its later uses are queued.
    operation->ungranted = operation->uses.size() + 1;
    for (Operation::Use& use : operation->uses) {
      use.var->Link(&use);
      if (use.access == Access::kTrack) {
        --operation->ungranted;
        continue;
      }
      if (use.var->waiting == nullptr) use.var->waiting = &use;
      Pump(*use.var, &ready);
    }
    if (--operation->ungranted == 0) {
      ready.Add(std::move(operation));
    } else {
      operation->self = operation;
    }
  }
  return ready;
}

// Grants the Var to those that wait for it, in program order, and stops at the first that cannot
// have it yet. With the example of the header, when 1 completes and A is free: `waiting` is at 2,
// which reads: granted, sharing = 1; then at 4, which reads: granted, sharing = 2; then at 5, which
// writes: A is shared, so Pump stops there. It grants 5 when 2 and 4 have both given A back. A
// reader that comes after 5 waits behind it, although readers hold A now.
void DependencyEngine::Pump(Var& var, Ready* ready) {
  while (var.waiting != nullptr) {
    Operation::Use& use = *var.waiting;
    if (var.exclusive || (Exclusive(use.access) && var.sharing > 0)) return;
    use.granted = true;
    if (Exclusive(use.access)) {
      var.exclusive = true;
    } else {
      ++var.sharing;
    }
    do {
      var.waiting = var.waiting->next;
    } while (var.waiting != nullptr && var.waiting->access == Access::kTrack);
    Operation& operation = *use.operation;
    if (--operation.ungranted == 0) ready->Add(std::move(operation.self));
  }
}

// Gives back what the operation was granted as kOrder (`orders`), or the rest, and grants that to
// whoever waits for it.
void DependencyEngine::Release(Operation& operation, bool orders, Ready* ready) {
  for (Operation::Use& use : operation.uses) {
    if (!use.granted || (use.access == Access::kOrder) != orders) continue;
    use.granted = false;
    if (Exclusive(use.access)) {
      use.var->exclusive = false;
    } else {
      --use.var->sharing;
    }
    Pump(*use.var, ready);
  }
}

// When this returns the token is gone, unless the issue function has kept it.
void DependencyEngine::Issue(const OperationPtr& operation) {
  const TokenPtr token = std::move(operation->token);
  token->operation_ = operation;
  try {
    operation->issue(token);
  } catch (const std::bad_alloc&) {
    token->Finish(WordlessStatus(absl::StatusCode::kResourceExhausted));
  }
}

void DependencyEngine::Run(Ready ready) noexcept {
  // An issue function may complete operations, by which others become ready: Run is then called
  // inside of Run, on the same thread. The inner call only appends to the list of the outer one and
  // returns, so that issue functions never nest, however long the chain. Null outside of the loop
  // below. It is a pointer, which has no destructor, because stores may be used while static
  // objects are destroyed, after the thread's own are.
  static thread_local Ready* followers = nullptr;
  if (followers != nullptr) {
    followers->Add(std::move(ready));
    return;
  }
  Ready next;
  followers = &next;
  absl::InlinedVector<std::shared_ptr<OperationOwner>, kOwnersMax> owners;
  const auto flush = [&] {
    for (const auto& owner : std::exchange(owners, {})) owner->Flush();
  };
  uint64_t issued = 0;
  while (!ready.empty()) {
    while (!ready.empty()) {
      const OperationPtr operation = ready.Take();
      if (std::find(owners.begin(), owners.end(), operation->owner) == owners.end()) {
        if (owners.size() == kOwnersMax) flush();
        owners.push_back(operation->owner);
      }
      operation->engine->Issue(operation);
      operation->engine->Issued(*operation);
      if (++issued % kFlushInterval == 0) flush();
    }
    if (next.empty()) flush();
    ready.Add(std::move(next));
  }
  followers = nullptr;
}

void DependencyEngine::RunBetween(absl::FunctionRef<void(IsFree)> run) {
  MutexLock lock(mutex_);
  run([](const VarPtr& var) { return var->first == nullptr; });
}

void DependencyEngine::Issued(Operation& operation) noexcept {
  Ready ready;
  bool over = false;
  {
    MutexLock lock(mutex_);
    if (--operation.order_holds > 0) return;
    operation.issued = true;
    Release(operation, /*orders=*/true, &ready);
    over = operation.complete;
    for (const OperationPtr& member : operation.members) {
      member->issued = true;
      member->complete_before_issued = member->complete;
      Release(*member, /*orders=*/true, &ready);
    }
  }
  Run(std::move(ready));
  for (const OperationPtr& member : operation.members) {
    if (member->complete_before_issued) member->LetVarsGo();
  }
  if (over) operation.LetVarsGo();
}

void DependencyEngine::GiveBackReads(Operation& operation) noexcept {
  Ready ready;
  {
    MutexLock lock(mutex_);
    for (Operation::Use& use : operation.uses) {
      if (use.access != Access::kRead || use.returned) continue;
      use.returned = true;
      use.granted = false;
      --use.var->sharing;
      use.var->Unlink(&use);
      Pump(*use.var, &ready);
    }
    // A wait that is for another Var of the operation, too, goes on.
    auto& waiters = operation.waiters;
    for (auto it = waiters.begin(); it != waiters.end();) {
      Waiter& waiter = **it;
      const bool still = std::any_of(operation.uses.begin(), operation.uses.end(),
                                     [&waiter](const Operation::Use& use) {
                                       return !use.returned && waiter.Concerns(use.var, use.access);
                                     });
      it = still ? it + 1 : waiters.erase(it);
      if (!still && --waiter.remaining == 0) waiter.done.NotifyAll();
    }
  }
  Run(std::move(ready));
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the operation ends here
void DependencyEngine::Complete(OperationPtr operation, absl::Status status) noexcept {
  // The issue function has returned long since: it was called with a token. What it captured, the
  // caller's arrays and their deleters included, goes before anybody is told that the operation is
  // complete, and under no lock.
  operation->issue = nullptr;
  Ready ready;
  bool over = false;
  {
    MutexLock lock(mutex_);
    for (const OperationPtr& member : operation->members) {
      member->left_over = !member->complete;
      if (member->left_over) End(member, status, &ready);
    }
    if (!operation->members.empty()) status = absl::OkStatus();  // it was theirs
    End(operation, std::move(status), &ready);
    over = operation->issued;
  }
  Run(std::move(ready));
  if (!over) return;
  for (const OperationPtr& member : operation->members) {
    if (member->left_over) member->LetVarsGo();
  }
  operation->LetVarsGo();
}

void DependencyEngine::End(const OperationPtr& operation, absl::Status status,
                           Ready* ready) noexcept {
  Release(*operation, /*orders=*/false, ready);
  for (Operation::Use& use : operation->uses) {
    if (!use.returned) use.var->Unlink(&use);
  }
  if (!status.ok()) {
    if (operation->leader != nullptr) {
      // There is room for them in the operation: they take no memory.
      for (const Operation::Use& tracked : operation->leader->uses) {
        Operation::Use& use = operation->uses.emplace_back();
        use.var = tracked.var;
        use.access = tracked.access;
        use.operation = operation.get();
      }
    }
    Record(operation, std::move(status));
  }
  for (Waiter* waiter : operation->waiters) {
    if (--waiter->remaining == 0) waiter->done.NotifyAll();
  }
  operation->waiters.clear();
  operation->complete = true;
}

// All uses are out of their lists of unfinished ones.
void DependencyEngine::Record(const OperationPtr& operation, absl::Status status) {
  for (Operation::Use& use : operation->uses) {
    Var& var = *use.var;
    if (use.access != Access::kRead) var.last_failure = status;
    if (var.failures >= kFailuresMax) {
      for (Operation::Use* old = var.first_failed; old != nullptr;) {
        old = old->operation->failure.taken ? var.Forget(old) : old->next;
      }
    }
    if (var.failures < kFailuresMax) var.Remember(&use, operation);
  }
  operation->failure.status = std::move(status);
}

KeyedStatus DependencyEngine::TakeFailure(const VarPtr& var, bool readers) {
  MutexLock lock(mutex_);
  return TakeFailureOf(*var, readers);
}

KeyedStatus DependencyEngine::TakeFirstFailure(size_t count,
                                               absl::FunctionRef<const VarPtr&(size_t)> var,
                                               bool readers) {
  MutexLock lock(mutex_);
  for (size_t i = 0; i < count; ++i) {
    KeyedStatus failure = TakeFailureOf(*var(i), readers);
    if (!failure.ok()) return failure;
  }
  return {};
}

KeyedStatus DependencyEngine::TakeFailureOf(Var& var, bool readers) {
  for (Operation::Use* use = var.first_failed; use != nullptr;) {
    Failure& failure = use->operation->failure;
    if (failure.taken) {
      use = var.Forget(use);
    } else if (use->access == Access::kRead && !readers) {
      use = use->next;
    } else {
      KeyedStatus status;
      const OperationSubject* const subject = use->operation->subject.get();
      if (subject != nullptr) status.key = subject->text;  // may throw: then it is not taken
      status.status = std::move(failure.status);           // nobody else will read it
      failure.taken = true;
      var.Forget(use);
      return status;
    }
  }
  return {};
}

absl::Status DependencyEngine::LastFailure(const VarPtr& var) const {
  MutexLock lock(mutex_);
  return var->last_failure;
}

bool DependencyEngine::HasWriter(const VarPtr& var) const {
  MutexLock lock(mutex_);
  for (const Operation::Use* use = var->first; use != nullptr; use = use->next) {
    if (use->access == Access::kWrite) return true;
  }
  return false;
}

}  // namespace kvstore
