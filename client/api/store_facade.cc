#include "client/api/store_facade.h"

#include <fmt/format.h>

#include <exception>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/fork_guard.h"
#include "client/base/no_memory.h"
#include "client/base/sdk_log.h"
#include "client/store/argument_checks.h"

namespace kvstore {
namespace {

// How long a store that is destroyed after a failure waits for its arrays to be given back.
constexpr int64_t kGiveBackMs = 2000;
constexpr size_t kKeysAtOnce = 256;
// Brief operations that are carried out in one go, which takes some microseconds.
constexpr size_t kBriefAtOnce = 64;
constexpr uint64_t kBriefBytesAtOnce = 64u << 10;

}  // namespace

StoreFacade::StoreFacade(std::string type, std::shared_ptr<StoreBackend> backend)
    : KVStore(std::move(type)),
      backend_(std::move(backend)),
      engine_(DependencyEngine::Process()),
      generation_(ProcessGeneration()),
      exceptions_at_birth_(std::uncaught_exceptions()),
      all_(DependencyEngine::NewVar()),
      keys_(&engine_) {}

StoreFacade::~StoreFacade() {
  if (generation_ != ProcessGeneration()) {
    // The backend's threads live in the parent only: nothing of it can be taken down here.
    new std::shared_ptr<StoreBackend>(backend_);
    return;
  }
  StoreBackend::Close how = StoreBackend::Close::kAbandon;
  try {
    if (MayMeet()) {
      how = barrier_before_exit() ? StoreBackend::Close::kMeet : StoreBackend::Close::kLeave;
    }
  } catch (const std::bad_alloc&) {
  }
  backend_->Stop(how);
  // The program may free its arrays as soon as the store is gone: wait until they are given back.
  // That takes moments, unless a transport hangs, or an operation waits for one of another store.
  if (how == StoreBackend::Close::kAbandon) engine_.WaitAtMost(all_, kGiveBackMs);
}

// Waits for the operations under way, and logs the failures that nobody has asked for.
bool StoreFacade::MayMeet() {
  const bool unwinding = std::uncaught_exceptions() > exceptions_at_birth_;
  if (unwinding || !backend_->Usable().ok()) {
    WarnOfLostFailures();
    return false;
  }
  const absl::Status waited = engine_.Wait({all_}, DependencyEngine::WaitFor::kAll);
  WarnOfLostFailures();
  if (!waited.ok()) {
    LogWarning("a store was destroyed with operations under way: " + StatusLine(waited));
  }
  return waited.ok();
}

// Many operations may have failed for one reason.
void StoreFacade::WarnOfLostFailures() {
  std::unordered_set<std::string> said;
  while (true) {
    const KeyedStatus lost = engine_.TakeFailure(all_, /*readers=*/true);
    if (lost.ok()) return;
    const std::string line = StatusLine(lost.status);
    if (!said.insert(line).second) continue;
    LogWarning("a store was destroyed before anybody asked for this error: " + line);
  }
}

absl::Status StoreFacade::Usable() const {
  absl::Status same = CheckSameProcess(generation_, "this KVStore");
  if (!same.ok()) return same;
  {
    MutexLock lock(mutex_);
    if (left_) {
      return absl::FailedPreconditionError(
          "this worker left the job: only the destructor may follow");
    }
  }
  return backend_->Usable();
}

absl::Status StoreFacade::MayChange(const char* call) const {
  if (!backend_->reads_only()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: a worker expected, this store is a reader's, which has Pull, PullRowSparse "
                  "and what only "
                  "looks",
                  call));
}

absl::Status StoreFacade::MayBlock() const {
  if (absl::Status usable = Usable(); !usable.ok()) return usable;
  if (!backend_->OnOwnThread()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "a call that waits was made by an updater: it would wait for itself");
}

KeyedStatus StoreFacade::Begin(Call* call, KeyOperation* common) {
  if (KeyedStatus wrong = call->Finish(); !wrong.ok()) return wrong;
  common->step = StepOf(*call);
  const std::vector<Call::Group>& groups = call->groups();
  if (groups.empty()) return {};
  KeyedStatus failed = engine_.TakeFirstFailure(
      groups.size(), [&groups](size_t i) -> const VarPtr& { return groups[i].state->var; },
      /*readers=*/true);
  if (!failed.ok()) return failed;
  common->kind = call->kind();
  common->key = groups[0].state->key;
  common->backend = backend_.get();
  return {backend_->Prepare(common), common->key->text};
}

DependencyEngine::Ready StoreFacade::AppendSome(Call* call, const KeyOperation& common) {
  const size_t count = std::min(call->left(), kKeysAtOnce);
  OperationList operations(count);
  for (size_t i = 0; i < count; ++i) {
    const Call::Group& group = call->groups()[call->groups().size() - call->left()];
    if (const auto operation = call->MakeNext(common)) {
      operations.Add(SpecOf(group.state->var, operation));
    }
  }
  return engine_.Append(std::move(operations));
}

// Brief operations are made one after the other, in the same place. For those of the first
// kBriefAtOnce keys that fail there is memory from the beginning, so that such a call is never done
// in part for want of it.
struct StoreFacade::Brief {
  Brief(size_t keys, size_t arrays) : failed(std::min(keys, kBriefAtOnce)) {
    const size_t uses = 2 + arrays;  // two: the key, and the store
    failed.Reserve(uses);
    spec.uses.reserve(uses);
  }

  KeyOperation operation;
  OperationList failed;
  OperationSpec spec;
};

// A brief operation on free arrays costs less than a place in the order would. No operation of the
// store's is under way, none of another one can begin before this one is over, and so nobody can
// tell that it was not queued. One that fails is queued all the same, to do nothing but fail: what
// it uses remembers that.
DependencyEngine::Ready StoreFacade::BeginSome(Call* call, const KeyOperation& common,
                                               std::unique_ptr<Brief>* brief, bool* begun) {
  const auto is_brief = [&]() KVS_REQUIRES(mutex_) {
    const Call::Group& group = call->next();
    return backend_->IsBrief(common, group.state->spec, group.values + group.outputs);
  };
  const size_t left = call->left();
  if (left > 0 && *brief == nullptr && is_brief()) {
    *brief = std::make_unique<Brief>(left, call->ArraysOfNext(kBriefAtOnce));
  }
  bool no_memory = false;
  const auto run = [&](DependencyEngine::IsFree is_free) KVS_REQUIRES(mutex_) {
    KeyOperation* const operation = &(*brief)->operation;
    uint64_t bytes = 0;
    for (size_t n = 0; n < kBriefAtOnce && bytes < kBriefBytesAtOnce && call->left() > 0; ++n) {
      const Call::Group& group = call->next();
      if (!is_brief() || !call->NextUsesOnly(is_free)) return;
      try {
        if (!call->FillNext(common, operation)) continue;
      } catch (const std::bad_alloc&) {
        return;
      }
      bytes += (group.values + group.outputs) * group.state->spec.bytes;
      absl::Status status = backend_->Execute(operation);
      if (status.ok()) continue;
      try {
        OperationSpec& spec = (*brief)->spec;
        spec.uses.erase(spec.uses.begin(), spec.uses.end());  // clear() would free
        Describe(group.state->var, *operation, &spec);
        spec.issue = [failure = std::move(status)](const TokenPtr& token) {
          token->Finish(failure);
        };
        (*brief)->failed.Add(std::move(spec));
      } catch (const std::bad_alloc&) {
        no_memory = true;
        return;
      }
    }
  };
  if (*brief != nullptr) backend_->RunAlone([&] { engine_.RunBetween(run); });
  if (call->left() == left) {
    DependencyEngine::Ready ready = AppendSome(call, common);
    *begun = true;
    return ready;
  }
  *begun = true;
  if (no_memory) throw std::bad_alloc();
  if ((*brief)->failed.empty()) return {};
  const std::unique_ptr<Brief> used = std::move(*brief);
  return engine_.Append(std::move(used->failed));
}

// The keys of a call are queued and issued some hundred at a time, so that what is made for them is
// issued, and often over, while a cache still has it. Between two times other threads may call:
// operations on one key keep the order in which they are queued.
KeyedStatus StoreFacade::QueueCall(OperationKind kind, int priority,
                                   absl::FunctionRef<KeyedStatus(Call*)> add) {
  DependencyEngine::Ready ready;
  KeyOperation common;
  std::unique_ptr<Brief> brief;
  std::optional<Call> call;
  bool begun = false;
  try {
    {
      MutexLock lock(mutex_);
      AwaitNumbers(kind);
      call.emplace(kind, priority, &keys_, &engine_);
      KeyedStatus wrong = add(&*call);
      if (wrong.ok()) wrong = Begin(&*call, &common);
      if (!wrong.ok()) return wrong;
      ready = BeginSome(&*call, common, &brief, &begun);
      step_ = common.step;
      for (const Call::Group& group : call->groups()) {
        if (group.pushes()) group.state->pushed_in = common.step;
      }
    }
    engine_.Run(std::move(ready));
    while (call->left() > 0) {
      {
        MutexLock lock(mutex_);
        ready = BeginSome(&*call, common, &brief, &begun);
      }
      engine_.Run(std::move(ready));
    }
    return {};
  } catch (const std::bad_alloc&) {
    if (!begun) throw;
    return {
        WordedStatus(absl::StatusCode::kUnknown,
                     [&] {
                       return fmt::format(
                           "{}: memory for {} keys expected, there is too little: some of them are "
                           "done or queued, others are not",
                           NameOf(kind), call->groups().size());
                     }),
        {}};
  }
}

void StoreFacade::Describe(const VarPtr& key_var, const KeyOperation& operation,
                           OperationSpec* spec) const {
  spec->owner = backend_;
  const bool learns = operation.kind == OperationKind::kInit && backend_->reads_only();
  spec->verb = learns ? "the first pull" : NameOf(operation.kind);
  spec->subject = operation.key;
  spec->uses.push_back({key_var, Access::kOrder});
  spec->uses.push_back({all_, Access::kTrack});
  for (const NDArray& value : operation.values) {
    if (!value.empty()) spec->uses.push_back({value.impl()->var, Access::kRead});
  }
  for (const NDArray& output : operation.outputs) {
    spec->uses.push_back({output.impl()->var, Access::kWrite});
  }
  for (const RowIds& asked : operation.row_ids) {
    if (!asked.array.empty()) spec->uses.push_back({asked.array.impl()->var, Access::kRead});
  }
}

OperationSpec StoreFacade::SpecOf(const VarPtr& key_var,
                                  const std::shared_ptr<KeyOperation>& operation) const {
  OperationSpec spec;
  // Three more: key_var, all_ and, of an Init, KeyState::making.
  spec.uses.reserve(3 + operation->values.size() + operation->outputs.size() +
                    operation->row_ids.size());
  Describe(key_var, *operation, &spec);
  spec.issue = [operation](const TokenPtr& token) {
    for (RowIds& asked : operation->row_ids) {
      const absl::Status read = ReadRowIds(*operation->key, operation->spec, &asked);
      if (!read.ok()) return token->Finish(read);
    }
    operation->backend->Issue(operation, token);
  };
  return spec;
}

OperationSpec StoreFacade::ConsistentSpecOf(Call* call, const KeyOperation& common) const {
  OperationSpec spec;
  spec.owner = backend_;
  spec.verb = "Pull at one round";
  spec.subject = common.key;
  spec.uses.push_back({all_, Access::kTrack});
  std::vector<std::shared_ptr<KeyOperation>> operations;
  while (call->left() > 0) {
    const Call::Group& group = call->groups()[call->groups().size() - call->left()];
    std::shared_ptr<KeyOperation> operation = call->MakeNext(common);
    if (operation == nullptr) continue;
    spec.uses.push_back({group.state->var, Access::kOrder});
    for (const NDArray& output : operation->outputs) {
      spec.uses.push_back({output.impl()->var, Access::kWrite});
    }
    operations.push_back(std::move(operation));
  }
  spec.issue = [backend = backend_.get(), operations = std::move(operations)](
                   const TokenPtr& token) { backend->IssueConsistent(operations, token); };
  return spec;
}

KeyedStatus StoreFacade::QueueConsistent(int priority, absl::FunctionRef<KeyedStatus(Call*)> add) {
  DependencyEngine::Ready ready;
  {
    MutexLock lock(mutex_);
    KeyOperation common;
    Call call(OperationKind::kPull, priority, &keys_, &engine_);
    KeyedStatus begun = add(&call);
    if (begun.ok()) begun = Begin(&call, &common);
    if (!begun.ok() || call.groups().empty()) return begun;
    OperationList operations(1);
    operations.Add(ConsistentSpecOf(&call, common));
    ready = engine_.Append(std::move(operations));
    step_ = common.step;
  }
  engine_.Run(std::move(ready));
  return {};
}

KeyedStatus StoreFacade::Queue(OperationKind kind, const Names& push_keys,
                               const std::vector<NDArray>& values, const Names& pull_keys,
                               const std::vector<NDArray*>& outputs, int priority,
                               bool ignore_sparse, bool consistent) {
  absl::Status status = Usable();
  if (status.ok()) status = CheckLengths(kind, push_keys.size(), values.size(), "values");
  if (status.ok()) status = CheckLengths(kind, pull_keys.size(), outputs.size(), "outputs");
  if (!status.ok()) return {status, {}};
  if (KeyedStatus learned = LearnKeys(pull_keys); !learned.ok()) return learned;

  const auto add = [&](Call* call) {
    KeyedStatus added = call->AddValues(push_keys, values);
    return added.ok() ? call->AddOutputs(pull_keys, outputs, ignore_sparse) : added;
  };
  // What a worker pulls is of its own pushes in any case.
  if (consistent && backend_->reads_only()) return QueueConsistent(priority, add);
  return QueueCall(kind, priority, add);
}

KeyedStatus StoreFacade::QueueRows(const Names& keys,
                                   const std::vector<std::pair<NDArray*, NDArray>>& rows,
                                   int priority) {
  absl::Status status = Usable();
  if (status.ok()) {
    status = CheckLengths(OperationKind::kPullRows, keys.size(), rows.size(), "outputs");
  }
  if (!status.ok()) return {status, {}};
  if (KeyedStatus learned = LearnKeys(keys); !learned.ok()) return learned;

  return QueueCall(OperationKind::kPullRows, priority,
                   [&](Call* call) { return call->AddRows(keys, rows); });
}

// What is said at an Init holds for the key's life, and all keys of a store are treated alike.
absl::Status StoreFacade::SetCompression(CompressionConfig config) {
  MutexLock lock(mutex_);
  if (compression_ == config) return absl::OkStatus();
  if (compression_.has_value()) {
    return absl::FailedPreconditionError(
        fmt::format("SetGradientCompression: {} expected, which is set and stays, got {}",
                    CompressionString(*compression_), CompressionString(config)));
  }
  if (!keys_.empty()) {
    return absl::FailedPreconditionError(
        "SetGradientCompression: a store without keys expected, call it before the first Init");
  }
  if (!config.type.empty()) {
    if (absl::Status set = backend_->SetCompression(config); !set.ok()) return set;
  }
  compression_ = std::move(config);
  return absl::OkStatus();
}

KeyedStatus StoreFacade::BroadcastKeys(const Names& init_keys, const Names& pull_keys,
                                       const std::vector<NDArray>& values,
                                       const std::vector<NDArray*>& outputs, int priority) {
  absl::Status status = MayBlock();
  if (status.ok()) {
    status = CheckLengths(OperationKind::kInit, init_keys.size(), values.size(), "values");
  }
  if (status.ok()) {
    status = CheckLengths(OperationKind::kPull, pull_keys.size(), outputs.size(), "outputs");
  }
  if (!status.ok()) return {status, {}};
  // Checks what the Pull would refuse before the Init has done anything.
  {
    MutexLock lock(mutex_);
    std::unordered_map<KeyId, ValueSpec> specs;
    for (size_t i = 0; i < init_keys.size(); ++i) {
      specs[IdOf(init_keys[i])] = values[i].empty() ? ValueSpec() : SpecFrom(values[i]);
    }
    for (size_t i = 0; i < pull_keys.size(); ++i) {
      auto spec = specs.find(IdOf(pull_keys[i]));
      if (spec == specs.end()) {
        const auto state = keys_.Use(pull_keys[i]);
        if (!state.ok()) return {state.status(), TextOf(pull_keys[i])};
        spec = specs.emplace(IdOf(pull_keys[i]), (*state)->spec).first;
      }
      if (outputs[i] != nullptr && outputs[i]->storage_type() != StorageType::kDefault) continue;
      status = CheckOutput(LabelOf(pull_keys[i]), outputs[i], spec->second);
      if (!status.ok()) return {status, TextOf(pull_keys[i])};
    }
  }
  KeyedStatus made = InitKeys(init_keys, values);
  if (!made.ok()) return made;
  try {
    return Queue(OperationKind::kPull, {}, {}, pull_keys, outputs, priority);
  } catch (const std::bad_alloc&) {
    return {WordedStatus(absl::StatusCode::kUnknown,
                         [] {
                           return "Broadcast: memory for the Pull expected, there is too little: "
                                  "the keys are initialised, nothing is pulled";
                         }),
            {}};
  }
}

KeyedStatus StoreFacade::WaitKeys(const Names& keys) {
  if (absl::Status status = MayBlock(); !status.ok()) return {status, {}};
  std::vector<VarPtr> vars;
  {
    MutexLock lock(mutex_);
    for (const KeyName& name : keys) {
      const auto state = keys_.Get(name);
      if (!state.ok()) return {state.status(), TextOf(name)};
      vars.push_back((*state)->var);
    }
  }
  const absl::Status waited = engine_.Wait(vars, DependencyEngine::WaitFor::kAll);
  for (const VarPtr& var : vars) {
    KeyedStatus failed = engine_.TakeFailure(var, /*readers=*/true);
    if (!failed.ok()) return failed;
  }
  return {waited, {}};
}

std::string StoreFacade::KeyStatus(const KeyName& name) const {
  VarPtr var;
  {
    MutexLock lock(mutex_);
    const auto state = keys_.Find(name);
    if (!state.ok()) return StatusLine(state.status());
    var = (*state)->var;
  }
  return StatusLine(engine_.LastFailure(var));
}

uint64_t StoreFacade::KeyStaleness(const KeyName& name) const {
  {
    MutexLock lock(mutex_);
    const auto state = keys_.Find(name);
    if (!state.ok()) ThrowIfError(KeyedStatus{state.status(), TextOf(name)});
  }
  return backend_->StalenessOf(IdOf(name));
}

}  // namespace kvstore
