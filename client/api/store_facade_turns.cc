// What becomes of a call: operations that wait for their turn or, of small keys of a local store,
// what is done at once.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "client/api/store_facade.h"
#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/device/device_library.h"
#include "client/store/argument_checks.h"

namespace kvstore {
namespace {

constexpr size_t kKeysAtOnce = 256;
// A group has so many keys at least, and about so many bytes at most.
constexpr size_t kGroupKeysMin = 4;
constexpr uint64_t kGroupBytesMax = 64u << 10;
// Brief operations that are carried out in one go, which takes some microseconds.
constexpr size_t kBriefAtOnce = 64;
constexpr uint64_t kBriefBytesAtOnce = 64u << 10;

void UseOutputs(const KeyOperation& operation, OperationSpec* spec) {
  for (const NDArray& output : operation.outputs) {
    spec->uses.push_back({output.impl()->var, Access::kWrite});
  }
  for (const RowIds& asked : operation.row_ids) {
    if (!asked.array.empty()) spec->uses.push_back({asked.array.impl()->var, Access::kRead});
  }
}

// Reads the ids that another operation was still writing when the call was made.
absl::Status ReadLateRowIds(KeyOperation* operation) {
  for (RowIds& asked : operation->row_ids) {
    absl::Status read = ReadRowIds(*operation->key, operation->spec, &asked);
    if (!read.ok()) return read;
  }
  return absl::OkStatus();
}

}  // namespace

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

// Not more at a time, nor such a group again at once where one ended early: what is made for keys
// that are not taken is made for nothing.
DependencyEngine::Ready StoreFacade::AppendGroup(Call* call, const KeyOperation& common) {
  if (call->kind() != OperationKind::kPush && call->kind() != OperationKind::kPull) return {};
  const bool pushes = call->kind() == OperationKind::kPush;
  const auto fits = [&](size_t n) KVS_REQUIRES(mutex_) {
    const Call::Group& group = call->Ahead(n);
    if ((pushes ? group.values : group.outputs) != 1) return false;
    const NDArray& array = call->ArrayAhead(n);
    return array.impl()->storage == StorageType::kDefault &&
           ToDType(array.impl()->dtype) == group.state->spec.dtype &&
           !OnDevice(array.impl()->context) && backend_->MayBeInGroup(common, group.state->spec);
  };
  size_t count = 0;
  uint64_t bytes = 0;
  while (count < std::min(call->left(), kKeysAtOnce) && bytes < kGroupBytesMax && fits(count)) {
    bytes += call->Ahead(count++).state->spec.bytes;
  }
  if (count < kGroupKeysMin) return {};
  const auto group = std::make_shared<KeyGroup>();
  group->kind = call->kind();
  group->priority = call->priority();
  group->step = common.step;
  group->backend = common.backend;
  group->members.reserve(count);
  OperationList operations = OperationList::OfGroup(count);
  OperationSpec leader;
  leader.owner = backend_;
  leader.verb = NameOf(call->kind());
  leader.uses.push_back({all_, Access::kTrack});
  leader.issue = [group](const TokenPtr& token) { group->backend->IssueGroup(group, token); };
  operations.Add(std::move(leader));
  for (size_t n = 0; n < count; ++n) {
    const KeyState& state = *call->Ahead(n).state;
    const NDArray& array = call->ArrayAhead(n);
    group->members.push_back({state.key.get(), array, state.spec.bytes});
    operations.AddMember(state.key, {state.var, Access::kOrder},
                         {array.impl()->var, pushes ? Access::kRead : Access::kWrite});
  }
  size_t taken = 0;
  DependencyEngine::Ready ready = engine_.AppendGroup(std::move(operations), &taken);
  group->members.resize(taken);
  call->Skip(taken);
  call->try_groups = taken == count;
  return ready;
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
  if (call->try_groups) {
    DependencyEngine::Ready ready = AppendGroup(call, common);
    if (!ready.empty()) {
      *begun = true;
      return ready;
    }
  }
  call->try_groups = true;
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
  UseOutputs(operation, spec);
}

OperationSpec StoreFacade::SpecOf(const VarPtr& key_var,
                                  const std::shared_ptr<KeyOperation>& operation) const {
  OperationSpec spec;
  // Three more: key_var, all_ and, of an Init, KeyState::making.
  spec.uses.reserve(3 + operation->values.size() + operation->outputs.size() +
                    operation->row_ids.size());
  Describe(key_var, *operation, &spec);
  spec.issue = [operation](const TokenPtr& token) {
    const absl::Status read = ReadLateRowIds(operation.get());
    if (!read.ok()) return token->Finish(read);
    operation->backend->Issue(operation, token);
  };
  return spec;
}

OperationSpec StoreFacade::ConsistentSpecOf(Call* call, const KeyOperation& common) const {
  OperationSpec spec;
  spec.owner = backend_;
  const bool rows = common.kind == OperationKind::kPullRows;
  spec.verb = rows ? "PullRowSparse at one round" : "Pull at one round";
  spec.subject = common.key;
  spec.uses.push_back({all_, Access::kTrack});
  std::vector<std::shared_ptr<KeyOperation>> operations;
  while (call->left() > 0) {
    const Call::Group& group = call->groups()[call->groups().size() - call->left()];
    std::shared_ptr<KeyOperation> operation = call->MakeNext(common);
    if (operation == nullptr) continue;
    spec.uses.push_back({group.state->var, Access::kOrder});
    UseOutputs(*operation, &spec);
    operations.push_back(std::move(operation));
  }
  spec.issue = [backend = backend_.get(),
                operations = std::move(operations)](const TokenPtr& token) {
    for (const auto& operation : operations) {
      const absl::Status read = ReadLateRowIds(operation.get());
      if (!read.ok()) return token->Finish(read);
    }
    backend->IssueConsistent(operations, token);
  };
  return spec;
}

KeyedStatus StoreFacade::QueueConsistent(OperationKind kind, int priority,
                                         absl::FunctionRef<KeyedStatus(Call*)> add) {
  DependencyEngine::Ready ready;
  {
    MutexLock lock(mutex_);
    KeyOperation common;
    Call call(kind, priority, &keys_, &engine_);
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

}  // namespace kvstore
