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
  if (consistent && backend_->reads_only()) return QueueConsistent(kind, priority, add);
  return QueueCall(kind, priority, add);
}

KeyedStatus StoreFacade::QueueRows(const Names& keys,
                                   const std::vector<std::pair<NDArray*, NDArray>>& rows,
                                   int priority, bool consistent) {
  absl::Status status = Usable();
  if (status.ok()) {
    status = CheckLengths(OperationKind::kPullRows, keys.size(), rows.size(), "outputs");
  }
  if (!status.ok()) return {status, {}};
  if (KeyedStatus learned = LearnKeys(keys); !learned.ok()) return learned;

  const auto add = [&](Call* call) { return call->AddRows(keys, rows); };
  if (consistent && backend_->reads_only()) {
    return QueueConsistent(OperationKind::kPullRows, priority, add);
  }
  return QueueCall(OperationKind::kPullRows, priority, add);
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
