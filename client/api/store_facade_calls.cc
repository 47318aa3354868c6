// The public calls of a StoreFacade: each hands over to the body that int and string keys share, or
// to the backend, and throws what that returns; where memory runs out, RESOURCE_EXHAUSTED.
#include <fmt/format.h>

#include <utility>

#include "client/api/compression_parameters.h"
#include "client/api/store_facade.h"
#include "client/base/fork_guard.h"
#include "client/base/no_memory.h"
#include "common/model/profiler_order.h"

namespace kvstore {
namespace {

template <typename T>
std::vector<KeyName> NamesOf(const std::vector<T>& keys) {
  return std::vector<KeyName>(keys.begin(), keys.end());
}

absl::Status CheckConsistent(const StoreBackend& backend, const char* call, bool consistent) {
  return consistent ? backend.MayPullConsistently(call) : absl::OkStatus();
}

absl::Status CheckPull(const StoreBackend& backend, const std::string& type, bool ignore_sparse,
                       bool consistent) {
  if (!ignore_sparse && !backend.sparse_pull_allowed()) {
    return absl::InvalidArgumentError(
        fmt::format("Pull with ignore_sparse = true expected on a {} store, got false", type));
  }
  return CheckConsistent(backend, "Pull", consistent);
}

}  // namespace

void StoreFacade::Init(const std::vector<int>& keys, const std::vector<NDArray>& values) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Init"));
    ThrowIfError(InitKeys(NamesOf(keys), values));
  });
}
void StoreFacade::Init(const std::vector<std::string>& keys, const std::vector<NDArray>& values) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Init"));
    ThrowIfError(InitKeys(NamesOf(keys), values));
  });
}

void StoreFacade::InitByRule(const std::vector<int>& keys, const std::vector<ValueByRule>& values) {
  WithinMemory([&] {
    ThrowIfError(MayChange("InitByRule"));
    ThrowIfError(InitKeysByRule(NamesOf(keys), values));
  });
}
void StoreFacade::InitByRule(const std::vector<std::string>& keys,
                             const std::vector<ValueByRule>& values) {
  WithinMemory([&] {
    ThrowIfError(MayChange("InitByRule"));
    ThrowIfError(InitKeysByRule(NamesOf(keys), values));
  });
}

void StoreFacade::Delete(const std::vector<int>& keys) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Delete"));
    ThrowIfError(EndKeys(OperationKind::kDelete, NamesOf(keys)));
  });
}
void StoreFacade::Delete(const std::vector<std::string>& keys) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Delete"));
    ThrowIfError(EndKeys(OperationKind::kDelete, NamesOf(keys)));
  });
}

void StoreFacade::Reset(const std::vector<int>& keys) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Reset"));
    ThrowIfError(EndKeys(OperationKind::kReset, NamesOf(keys)));
  });
}
void StoreFacade::Reset(const std::vector<std::string>& keys) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Reset"));
    ThrowIfError(EndKeys(OperationKind::kReset, NamesOf(keys)));
  });
}

void StoreFacade::Push(const std::vector<int>& keys, const std::vector<NDArray>& values,
                       int priority) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Push"));
    ThrowIfError(Queue(OperationKind::kPush, NamesOf(keys), values, {}, {}, priority));
  });
}
void StoreFacade::Push(const std::vector<std::string>& keys, const std::vector<NDArray>& values,
                       int priority) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Push"));
    ThrowIfError(Queue(OperationKind::kPush, NamesOf(keys), values, {}, {}, priority));
  });
}

void StoreFacade::Pull(const std::vector<int>& keys, const std::vector<NDArray*>& outputs,
                       int priority, bool ignore_sparse, bool consistent) {
  WithinMemory([&] {
    ThrowIfError(CheckPull(*backend_, type(), ignore_sparse, consistent));
    ThrowIfError(Queue(OperationKind::kPull, {}, {}, NamesOf(keys), outputs, priority,
                       ignore_sparse, consistent));
  });
}
void StoreFacade::Pull(const std::vector<std::string>& keys, const std::vector<NDArray*>& outputs,
                       int priority, bool ignore_sparse, bool consistent) {
  WithinMemory([&] {
    ThrowIfError(CheckPull(*backend_, type(), ignore_sparse, consistent));
    ThrowIfError(Queue(OperationKind::kPull, {}, {}, NamesOf(keys), outputs, priority,
                       ignore_sparse, consistent));
  });
}

void StoreFacade::PullRowSparse(
    const std::vector<int>& keys,
    const std::vector<std::pair<NDArray*, NDArray>>& outputs_and_row_ids, int priority,
    bool consistent) {
  WithinMemory([&] {
    ThrowIfError(CheckConsistent(*backend_, "PullRowSparse", consistent));
    ThrowIfError(QueueRows(NamesOf(keys), outputs_and_row_ids, priority, consistent));
  });
}
void StoreFacade::PullRowSparse(
    const std::vector<std::string>& keys,
    const std::vector<std::pair<NDArray*, NDArray>>& outputs_and_row_ids, int priority,
    bool consistent) {
  WithinMemory([&] {
    ThrowIfError(CheckConsistent(*backend_, "PullRowSparse", consistent));
    ThrowIfError(QueueRows(NamesOf(keys), outputs_and_row_ids, priority, consistent));
  });
}

void StoreFacade::PushPull(const std::vector<int>& push_keys, const std::vector<int>& pull_keys,
                           const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                           int priority) {
  WithinMemory([&] {
    ThrowIfError(MayChange("PushPull"));
    ThrowIfError(Queue(OperationKind::kPushPull, NamesOf(push_keys), values, NamesOf(pull_keys),
                       outputs, priority));
  });
}
void StoreFacade::PushPull(const std::vector<std::string>& push_keys,
                           const std::vector<std::string>& pull_keys,
                           const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                           int priority) {
  WithinMemory([&] {
    ThrowIfError(MayChange("PushPull"));
    ThrowIfError(Queue(OperationKind::kPushPull, NamesOf(push_keys), values, NamesOf(pull_keys),
                       outputs, priority));
  });
}

void StoreFacade::Broadcast(const std::vector<int>& init_keys, const std::vector<int>& pull_keys,
                            const std::vector<NDArray>& values,
                            const std::vector<NDArray*>& outputs, int priority) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Broadcast"));
    ThrowIfError(BroadcastKeys(NamesOf(init_keys), NamesOf(pull_keys), values, outputs, priority));
  });
}
void StoreFacade::Broadcast(const std::vector<std::string>& init_keys,
                            const std::vector<std::string>& pull_keys,
                            const std::vector<NDArray>& values,
                            const std::vector<NDArray*>& outputs, int priority) {
  WithinMemory([&] {
    ThrowIfError(MayChange("Broadcast"));
    ThrowIfError(BroadcastKeys(NamesOf(init_keys), NamesOf(pull_keys), values, outputs, priority));
  });
}

void StoreFacade::set_updater(Updater updater) {
  WithinMemory([&] {
    ThrowIfError(Usable());
    ThrowIfError(MayChange("set_updater"));
    ThrowIfError(backend_->SetUpdater(std::move(updater)));
  });
}

void StoreFacade::set_updater(StrUpdater updater) {
  WithinMemory([&] {
    ThrowIfError(Usable());
    ThrowIfError(MayChange("set_updater"));
    ThrowIfError(backend_->SetUpdater(std::move(updater)));
  });
}

void StoreFacade::SetOptimizer(const OptimizerSpec& spec) {
  WithinMemory([&] {
    ThrowIfError(MayChange("SetOptimizer"));
    ThrowIfError(SetOptimizerOf(spec));
  });
}

void StoreFacade::SaveOptimizerStates(const std::string& path, bool dump_optimizer) {
  WithinMemory([&] {
    ThrowIfError(MayChange("SaveOptimizerStates"));
    ThrowIfError(SaveStates(path, dump_optimizer));
  });
}

void StoreFacade::LoadOptimizerStates(const std::string& path) {
  WithinMemory([&] {
    ThrowIfError(MayChange("LoadOptimizerStates"));
    ThrowIfError(LoadStates(path));
  });
}

void StoreFacade::SetOptimizerNumbers(
    const std::vector<std::pair<std::string, std::string>>& numbers, int64_t from_step) {
  WithinMemory([&] {
    ThrowIfError(MayChange("SetOptimizerNumbers"));
    ThrowIfError(ChangeNumbers(numbers, from_step));
  });
}

void StoreFacade::SetGradientCompression(
    const std::vector<std::pair<std::string, std::string>>& parameters) {
  WithinMemory([&] {
    ThrowIfError(Usable());
    ThrowIfError(MayChange("SetGradientCompression"));
    auto config = CompressionConfigOf(parameters);
    ThrowIfError(config.status());
    ThrowIfError(SetCompression(*std::move(config)));
  });
}

void StoreFacade::SendCommandToServers(int cmd_id, const std::string& body) {
  WithinMemory([&] {
    ThrowIfError(MayBlock());
    ThrowIfError(MayChange("SendCommandToServers"));
    ThrowIfError(backend_->SendCommand(cmd_id, body));
  });
}

void StoreFacade::SetServerProfilerCommand(KVStoreServerProfilerCommand type,
                                           const std::string& parameters) {
  WithinMemory([&] {
    ThrowIfError(MayBlock());
    ThrowIfError(MayChange("SetServerProfilerCommand"));
    const auto verb = static_cast<int32_t>(type);
    ThrowIfError(CheckProfilerOrder(verb, parameters));
    ThrowIfError(backend_->SendProfilerOrder({static_cast<ProfilerVerb>(verb), parameters}));
  });
}

void StoreFacade::RunServer(const Controller& controller) {
  WithinMemory([&] {
    ThrowIfError(Usable());
    ThrowIfError(backend_->RunServer(controller));
  });
}

void StoreFacade::Barrier() {
  WithinMemory([&] {
    ThrowIfError(MayBlock());
    ThrowIfError(MayChange("Barrier"));
    ThrowIfError(engine_.TakeFailure(all_, /*readers=*/true));
    ThrowIfError(backend_->Barrier());
  });
}

void StoreFacade::Step() {
  WithinMemory([&] {
    ThrowIfError(Usable());
    ThrowIfError(MayChange("Step"));
  });
  CountStep();
}

void StoreFacade::Leave() {
  WithinMemory([&] {
    WaitAll();
    ThrowIfError(backend_->Leave());
    MutexLock lock(mutex_);
    left_ = true;
  });
}

int StoreFacade::get_rank() const {
  ThrowIfError(CheckSameProcess(generation_, "this KVStore"));
  return backend_->rank();
}

int StoreFacade::get_group_size() const {
  ThrowIfError(CheckSameProcess(generation_, "this KVStore"));
  return backend_->group_size();
}

int StoreFacade::get_num_dead_node(int node_id, int timeout) const {
  return WithinMemory([&] {
    ThrowIfError(CheckSameProcess(generation_, "this KVStore"));
    const auto dead = backend_->DeadNodes(node_id, timeout);
    ThrowIfError(dead.status());
    return *dead;
  });
}

void StoreFacade::Wait(const std::vector<int>& keys) {
  WithinMemory([&] { ThrowIfError(WaitKeys(NamesOf(keys))); });
}
void StoreFacade::Wait(const std::vector<std::string>& keys) {
  WithinMemory([&] { ThrowIfError(WaitKeys(NamesOf(keys))); });
}

void StoreFacade::WaitAll() {
  WithinMemory([&] {
    ThrowIfError(MayBlock());
    const absl::Status waited = engine_.Wait({all_}, DependencyEngine::WaitFor::kAll);
    ThrowIfError(engine_.TakeFailure(all_, /*readers=*/true));
    ThrowIfError(waited);
  });
}

std::vector<KeyInfo> StoreFacade::Keys(const std::string& prefix) const {
  return WithinMemory([&] {
    if (backend_->shares_keys()) {
      ThrowIfError(MayBlock());
      absl::StatusOr<std::vector<KeyInfo>> keys = backend_->KeysOfJob(prefix);
      ThrowIfError(keys.status());
      return *std::move(keys);
    }
    MutexLock lock(mutex_);
    return keys_.List(prefix);
  });
}

std::string StoreFacade::status(int key) const {
  return WithinMemory([&] { return KeyStatus(key); });
}
std::string StoreFacade::status(const std::string& key) const {
  return WithinMemory([&] { return KeyStatus(key); });
}

uint64_t StoreFacade::staleness(int key) const {
  return WithinMemory([&] { return KeyStaleness(key); });
}
uint64_t StoreFacade::staleness(const std::string& key) const {
  return WithinMemory([&] { return KeyStaleness(key); });
}

}  // namespace kvstore
