#include "client/src/dist_kvstore.h"

#include <fmt/format.h>

#include <cstring>
#include <unordered_set>
#include <utility>
#include <vector>

#include "client/src/dist_session.h"
#include "client/src/fork_guard.h"
#include "client/src/ndarray_impl.h"
#include "client/src/sdk_log.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/kernels.h"
#include "common/transport/grpc/grpc_transport.h"

namespace kvstore {
namespace {

// The parts of one operation that are under way. The last reference gives the token back.
class OperationSink final : public PartSink {
 public:
  OperationSink(std::shared_ptr<KeyOperation> operation, TokenPtr token, size_t parts)
      : operation_(std::move(operation)), token_(std::move(token)), open_(parts) {}

  uint64_t operation_id() const override { return token_->id(); }

  // Pulled bytes go straight into the outputs.
  void OnPart(const Completion& completion) override {
    absl::Status status = completion.status;
    if (status.ok() && !completion.data.empty()) status = Deliver(completion);
    if (status_.ok() && !status.ok()) status_ = std::move(status);
    if (--open_ == 0) token_->Finish(status_);
  }

 private:
  absl::Status Deliver(const Completion& completion) {
    const ValueSpec& spec = operation_->spec;
    const size_t expected = PartBytes(spec.bytes, completion.id.part);
    if (completion.data.size() != expected) {
      return absl::InvalidArgumentError(
          fmt::format("{} part {}: {} bytes expected, the server has {}: is the shape {} right?",
                      operation_->key->label, completion.id.part, expected, completion.data.size(),
                      ShapeString(spec.shape)));
    }
    const uint64_t offset = PartOffset(completion.id.part);
    for (const NDArray& output : operation_->outputs) {
      completion.data.CopyTo(static_cast<uint8_t*>(output.data()) + offset);
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<KeyOperation> operation_;
  const TokenPtr token_;
  // The loop's, from here on.
  size_t open_;
  absl::Status status_;
};

class DistBackend final : public StoreBackend {
 public:
  DistBackend(std::shared_ptr<DistSession> session, bool shared)
      : session_(std::move(session)), shared_(shared) {}

  absl::Status Usable() const override { return session_->JobStatus(); }
  bool empty_init_allowed() const override { return session_->rank() != 0; }
  bool sparse_pull_allowed() const override { return false; }
  bool OnOwnThread() const override { return session_->InLoop(); }
  int64_t operation_timeout_ms() const override { return session_->operation_timeout_ms(); }
  void Flush() override { session_->Flush(); }
  absl::Status Overdue(const std::vector<OverdueOperation>& operations,
                       int64_t waited_ms) override {
    return session_->Explain(operations, waited_ms);
  }

  absl::Status Prepare(KeyOperation* operation) override;
  void Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) override;

  absl::Status SetUpdater(KVStore::Updater) override { return UpdaterHasNoEffect(); }
  absl::Status SetUpdater(KVStore::StrUpdater) override { return UpdaterHasNoEffect(); }
  absl::Status SetOptimizer(const std::string& name, const UpdaterParameters& parameters) override;

  absl::Status Barrier() override { return session_->Barrier(); }
  void Step() override;
  int rank() const override { return static_cast<int>(session_->rank()); }
  int group_size() const override { return static_cast<int>(session_->workers()); }
  absl::StatusOr<int> DeadNodes(int node_id, int timeout_s) const override {
    return session_->DeadNodes(node_id, timeout_s);
  }
  absl::Status Leave() override;
  void Stop(Close how) override;

 private:
  static absl::Status UpdaterHasNoEffect();
  // True when another store of the process goes on with the session.
  bool ShareGoesOn() const;

  std::shared_ptr<DistSession> session_;
  const bool shared_;
  mutable Mutex mutex_;
  uint64_t step_ KVS_GUARDED_BY(mutex_) = 0;
  bool left_ KVS_GUARDED_BY(mutex_) = false;
  // Keys that Init waited for without knowing their shape: their other parts are still to be
  // waited for.
  std::unordered_set<KeyId> half_known_ KVS_GUARDED_BY(mutex_);
};

// The process's membership, and how many stores use it.
struct ProcessSession {
  Mutex mutex;
  std::weak_ptr<DistSession> session KVS_GUARDED_BY(mutex);
  uint64_t generation KVS_GUARDED_BY(mutex) = 0;
};
ProcessSession& Process() {
  static ProcessSession& process = *new ProcessSession;  // never destroyed: stores may outlive main
  return process;
}

absl::Status DistBackend::UpdaterHasNoEffect() {
  LogWarningOnce(
      "set_updater on a dist store does not reach the servers: use SetOptimizer; nothing was set");
  return absl::OkStatus();
}

absl::Status DistBackend::Prepare(KeyOperation* operation) {
  MutexLock lock(mutex_);
  operation->as_of_call = std::make_shared<const uint64_t>(step_);
  return absl::OkStatus();
}

void DistBackend::Step() {
  MutexLock lock(mutex_);
  ++step_;
}

// What a worker contributes: one value, or the left fold of its devices' values in list order.
// `token` keeps the caller's array; the operation completes when every borrowed byte is given back.
Slice MergedValue(const KeyOperation& operation, const TokenPtr& token) {
  const std::vector<NDArray>& values = operation.values;
  const auto* data = static_cast<const uint8_t*>(values[0].data());
  const size_t bytes = values[0].bytes();
  if (values.size() == 1) return {data, bytes, token};
  auto sum = std::make_shared<Buffer>(bytes);
  std::vector<const void*> sources;
  for (const NDArray& value : values) sources.push_back(value.data());
  LeftFold(operation.spec.dtype, sum->data(), sources.data(), sources.size(),
           static_cast<size_t>(values[0].size()));
  return {sum->data(), bytes, sum};
}

void DistBackend::Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) {
  const ValueSpec& spec = operation->spec;
  const PartIndex parts = spec.known ? PartCount(spec.bytes) : 1;
  const uint64_t step = *static_cast<const uint64_t*>(operation->as_of_call.get());
  Slice value;
  if (!operation->values.empty() && !operation->values[0].empty()) {
    value = MergedValue(*operation, token);
  }

  KeySpec key;
  key.key = operation->key->id;
  key.name = operation->key->name;
  key.shape_unknown = !spec.known;
  if (spec.known) {
    key.dtype = spec.dtype;
    key.shape = spec.shape;
    key.storage = Storage::kDense;
  }

  std::vector<PartRequest> requests;
  const auto add = [&](Op op, PartIndex part, bool with_data) {
    PartRequest& request = requests.emplace_back();
    request.op = op;
    request.id = {key.key, part};
    request.priority = operation->priority;
    request.step = step;
    if (op == Op::kInit) request.key = key;
    if (with_data) {
      request.data =
          Payload(Slice{value.data + PartOffset(part), PartBytes(spec.bytes, part), value.owner});
    }
  };
  bool wait_for_init = false;
  {
    MutexLock lock(mutex_);
    if (operation->kind == OperationKind::kInit) {
      if (!spec.known) half_known_.insert(key.key);
    } else {
      wait_for_init = half_known_.erase(key.key) > 0;
    }
  }
  for (PartIndex part = 0; part < parts; ++part) {
    switch (operation->kind) {
      case OperationKind::kInit:
        add(Op::kInit, part, /*with_data=*/session_->rank() == 0);
        break;
      case OperationKind::kPush:
      case OperationKind::kPull:
      case OperationKind::kPushPull:
        if (wait_for_init) add(Op::kInit, part, false);
        if (operation->kind != OperationKind::kPull) add(Op::kPush, part, true);
        if (operation->kind != OperationKind::kPush) add(Op::kPull, part, false);
        break;
    }
  }
  const size_t count = requests.size();
  session_->Add(std::move(requests),
                std::make_shared<OperationSink>(std::move(operation), token, count));
}

absl::Status DistBackend::SetOptimizer(const std::string& name,
                                       const UpdaterParameters& parameters) {
  if (absl::Status valid = MakeUpdater(name, parameters).status(); !valid.ok()) return valid;
  if (session_->rank() != 0) return absl::OkStatus();
  return session_->SetOptimizer({name, parameters});
}

bool DistBackend::ShareGoesOn() const {
  if (!shared_) return false;
  MutexLock lock(Process().mutex);
  return session_.use_count() > 1;
}

absl::Status DistBackend::Leave() {
  {
    MutexLock lock(mutex_);
    if (left_) return absl::OkStatus();
  }
  if (ShareGoesOn()) {
    return absl::FailedPreconditionError(
        "Leave: another dist store of this process is still in use");
  }
  const absl::Status status = session_->Leave();
  if (status.ok()) {
    MutexLock lock(mutex_);
    left_ = true;
  }
  return status;
}

void DistBackend::Stop(Close how) {
  bool left = false;
  {
    MutexLock lock(mutex_);
    left = left_;
  }
  const bool over = !session_->JobStatus().ok();
  if (how == Close::kAbandon) {
    if (!over) session_->ReportFailure("its program gave up (an exception)");
  } else if (!left && !over && !ShareGoesOn()) {
    absl::Status status;
    if (how == Close::kMeet) status = session_->Barrier();
    if (status.ok()) status = session_->Leave();
    if (!status.ok()) {
      LogWarningOnce(fmt::format("leaving the cluster: {}", std::string(status.message())));
    }
  }
  MutexLock lock(Process().mutex);
  session_.reset();
}

}  // namespace

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(std::shared_ptr<Transport> transport,
                                                              const Environment& environment,
                                                              const std::string& store_type) {
  auto session = DistSession::Join(std::move(transport), environment, store_type);
  if (!session.ok()) return session.status();
  return std::make_shared<DistBackend>(*std::move(session), /*shared=*/false);
}

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(const Environment& environment,
                                                              const std::string& store_type) {
  ProcessSession& process = Process();
  MutexLock lock(process.mutex);
  std::shared_ptr<DistSession> session = process.session.lock();
  if (session != nullptr) {
    if (absl::Status same = CheckSameProcess(process.generation, "the membership of the cluster");
        !same.ok()) {
      return same;
    }
    if (session->store_type() != store_type) {
      return absl::FailedPreconditionError(
          fmt::format("this process is a member of the cluster with a store of type '{}', a "
                      "second one of type '{}' cannot be made",
                      session->store_type(), store_type));
    }
  } else {
    auto joined = DistSession::Join(std::make_shared<GrpcTransport>(), environment, store_type);
    if (!joined.ok()) return joined.status();
    session = *std::move(joined);
    process.session = session;
    process.generation = ProcessGeneration();
  }
  return std::make_shared<DistBackend>(std::move(session), /*shared=*/true);
}

}  // namespace kvstore
