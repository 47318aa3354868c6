#include "client/dist/dist_kvstore.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "client/base/fork_guard.h"
#include "client/base/sdk_log.h"
#include "client/dist/dist_operation.h"
#include "client/dist/dist_row_operation.h"
#include "client/dist/dist_session.h"
#include "client/order/work_queue.h"
#include "client/store/argument_checks.h"
#include "common/base/mutex.h"
#include "common/model/command.h"
#include "common/model/store_mode.h"
#include "common/transport/grpc/grpc_transport.h"
#include "common/updater/part_updater.h"

namespace kvstore {
namespace {

// The stores that share one membership. Thread-safe.
class SessionShare {
 public:
  explicit SessionShare(std::shared_ptr<DistSession> session) : session_(std::move(session)) {}

  const std::shared_ptr<DistSession>& session() const { return session_; }
  // False when the last store is gone, or going: then a new membership is needed.
  bool Enter() KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (stores_ == 0 && entered_) return false;
    entered_ = true;
    ++stores_;
    return true;
  }
  // True for the last one.
  bool Exit() KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return --stores_ == 0;
  }
  bool shared() const KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return stores_ > 1;
  }

 private:
  const std::shared_ptr<DistSession> session_;
  mutable Mutex mutex_;
  int stores_ KVS_GUARDED_BY(mutex_) = 0;
  bool entered_ KVS_GUARDED_BY(mutex_) = false;
};

absl::Status Stopped();

class DistBackend final : public StoreBackend {
 public:
  explicit DistBackend(std::shared_ptr<SessionShare> share)
      : share_(std::move(share)),
        rank_(share_->session()->rank()),
        workers_(share_->session()->workers()),
        mode_(StoreModeOf(share_->session()->store_type())),
        timeout_ms_(share_->session()->operation_timeout_ms()),
        sums_("kvs-sums") {}

  absl::Status Usable() const override;
  bool empty_init_allowed() const override { return rank_ != 0; }
  bool sparse_pull_allowed() const override { return false; }
  bool OnOwnThread() const override;
  int64_t operation_timeout_ms() const override { return timeout_ms_; }
  void Flush() override;
  absl::Status Overdue(const std::vector<OverdueOperation>& operations, int64_t waited_ms) override;

  absl::Status Prepare(KeyOperation* operation) override;
  void Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) override;

  absl::Status SetUpdater(KVStore::Updater) override { return UpdaterHasNoEffect(); }
  absl::Status SetUpdater(KVStore::StrUpdater) override { return UpdaterHasNoEffect(); }
  absl::Status SetOptimizer(const OptimizerConfig& config) override;

  absl::Status SendCommand(int id, const std::string& body) override;
  absl::Status Barrier() override;
  void Step() override;
  int rank() const override { return static_cast<int>(rank_); }
  int group_size() const override { return static_cast<int>(workers_); }
  absl::StatusOr<int> DeadNodes(int node_id, int timeout_s) const override;
  absl::Status Leave() override;
  void Stop(Close how) override;

 private:
  absl::Status UpdaterHasNoEffect();
  // Lends the session for a scope; nothing once the store was stopped. Stop waits for every loan,
  // so that the session, which joins its loop, is never destroyed by the loop itself.
  class Session {
   public:
    explicit Session(const DistBackend& backend);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    explicit operator bool() const { return session_ != nullptr; }
    DistSession& operator*() const { return *session_; }
    DistSession* operator->() const { return session_; }

   private:
    const DistBackend& backend_;
    DistSession* session_ = nullptr;
  };
  // False for the Init of a worker that only waits for rank 0's.
  bool Brings(const KeyOperation& operation) const {
    return operation.kind != OperationKind::kInit || rank_ == 0;
  }
  bool Copies(const KeyOperation& operation) const;
  // Makes the operation's requests and queues them.
  void Send(DistSession& session, const std::shared_ptr<KeyOperation>& operation,
            const TokenPtr& token);

  std::shared_ptr<SessionShare> share_;  // changed by Stop, when nobody borrows the session
  mutable Mutex mutex_;
  mutable CondVar returned_;
  mutable int borrowers_ KVS_GUARDED_BY(mutex_) = 0;
  bool stopped_ KVS_GUARDED_BY(mutex_) = false;
  uint64_t step_ KVS_GUARDED_BY(mutex_) = 0;
  bool warned_ KVS_GUARDED_BY(mutex_) = false;  // that an updater has no effect
  const WorkerRank rank_;
  const uint32_t workers_;
  const StoreMode mode_;
  const int64_t timeout_ms_;
  WorkQueue sums_;  // last: sums the values of this worker's devices, sorts its rows
};

DistBackend::Session::Session(const DistBackend& backend) : backend_(backend) {
  MutexLock lock(backend.mutex_);
  if (backend.stopped_) return;
  ++backend.borrowers_;
  session_ = backend.share_->session().get();
}

DistBackend::Session::~Session() {
  if (session_ == nullptr) return;
  MutexLock lock(backend_.mutex_);
  if (--backend_.borrowers_ == 0) backend_.returned_.NotifyAll();
}

absl::Status Stopped() { return absl::CancelledError("the store was destroyed"); }

absl::Status DistBackend::Usable() const {
  const Session session(*this);
  return session ? session->JobStatus() : Stopped();
}

bool DistBackend::OnOwnThread() const {
  const Session session(*this);
  return sums_.InThread() || (session && session->InLoop());
}

void DistBackend::Flush() {
  if (const Session session(*this); session) session->Flush();
}

absl::Status DistBackend::Overdue(const std::vector<OverdueOperation>& operations,
                                  int64_t waited_ms) {
  const Session session(*this);
  return session ? session->Explain(operations, waited_ms) : Stopped();
}

absl::Status DistBackend::UpdaterHasNoEffect() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(warned_, true)) return absl::OkStatus();
  }
  LogWarning(
      "set_updater on a dist store does not reach the servers: use SetOptimizer; nothing was set");
  return absl::OkStatus();
}

absl::Status DistBackend::Prepare(KeyOperation* operation) {
  MutexLock lock(mutex_);
  operation->step = step_;
  return absl::OkStatus();
}

void DistBackend::Step() {
  MutexLock lock(mutex_);
  ++step_;
}

// Whether the operation sends other bytes than those of one array as they are: a sum, rows.
bool DistBackend::Copies(const KeyOperation& operation) const {
  const std::vector<NDArray>& values = operation.values;
  if (values.empty() || !Brings(operation)) return false;
  return operation.spec.row_sparse || values.size() > 1 ||
         values[0].storage_type() != StorageType::kDefault;
}

// Whether the operation is a push without any row, which is no update of its own.
bool PushesNothing(const KeyOperation& operation) {
  if (operation.kind != OperationKind::kPush && operation.kind != OperationKind::kPushPull) {
    return false;
  }
  return std::all_of(operation.values.begin(), operation.values.end(), [](const NDArray& value) {
    return value.storage_type() == StorageType::kRowSparse && value.indices().empty();
  });
}

void DistBackend::Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) {
  if (!Copies(*operation)) {
    const Session session(*this);
    if (!session) return token->Finish(Stopped());
    return Send(*session, operation, token);
  }
  // That moves many bytes: neither the caller nor the loop should wait for it. Later operations on
  // the key do, so that none overtakes the push.
  const KeyId key = operation->key->id;
  const int priority = operation->priority;
  sums_.Add(key, priority,
            [this, operation = std::move(operation), token, order = token->HoldOrder()](bool run) {
              const Session session(*this);
              if (!run || !session) return token->Finish(Stopped());
              Send(*session, operation, token);
              session->Flush();
            });
}

void DistBackend::Send(DistSession& session, const std::shared_ptr<KeyOperation>& operation,
                       const TokenPtr& token) {
  if (mode_ == StoreMode::kAsync && PushesNothing(*operation)) {
    if (operation->outputs.empty()) return token->Finish(absl::OkStatus());
    operation->kind = OperationKind::kPull;  // that is left of a PushPull
    operation->values.clear();
  }
  try {
    if (operation->spec.row_sparse && Brings(*operation)) {
      const auto sink = std::make_shared<DistRowOperation>(operation, token);
      std::vector<PartRequest> requests = sink->Requests();
      if (requests.empty()) return token->Finish(absl::OkStatus());
      return session.Add(std::move(requests), sink);
    }
    DistOperation::Source source;
    if (Brings(*operation)) source = DistOperation::SourceOf(*operation);
    const auto sink =
        std::make_shared<DistOperation>(operation, token, std::move(source), rank_ == 0);
    session.Add(sink->Requests(), sink);
  } catch (const std::bad_alloc&) {
    token->Finish(TooLittleMemory(
        operation->key->label,
        fmt::format("a sum or for rows of shape {} of {}", ShapeString(operation->spec.shape),
                    DTypeName(operation->spec.dtype))));
  }
}

absl::Status DistBackend::SetOptimizer(const OptimizerConfig& config) {
  absl::Status valid = PartUpdater().Set(config.name, config.parameters, config.multipliers);
  if (!valid.ok()) return valid;
  if (rank_ != 0) return absl::OkStatus();
  const Session session(*this);
  return session ? session->SetOptimizer(config) : Stopped();
}

absl::Status DistBackend::SendCommand(int id, const std::string& body) {
  if (absl::Status valid = CheckCommand(id, body.size()); !valid.ok()) return valid;
  const Session session(*this);
  return session ? session->SendCommand({id, body}) : Stopped();
}

absl::Status DistBackend::Barrier() {
  const Session session(*this);
  return session ? session->Barrier() : Stopped();
}

absl::StatusOr<int> DistBackend::DeadNodes(int node_id, int timeout_s) const {
  const Session session(*this);
  if (!session) return Stopped();
  return session->DeadNodes(node_id, timeout_s);
}

absl::Status DistBackend::Leave() {
  const Session session(*this);
  if (!session) return Stopped();
  if (share_->shared()) {
    return absl::FailedPreconditionError(
        "Leave: another dist store of this process is still in use");
  }
  return session->Leave();
}

void DistBackend::Stop(Close how) {
  const bool last = share_->Exit();
  DistSession& session = *share_->session();
  const bool over = !session.JobStatus().ok();
  if (how == Close::kAbandon) {
    if (!over) session.ReportFailure("its program threw an exception, or gave up waiting");
  } else if (last && !over) {
    absl::Status status;
    if (how == Close::kMeet) status = session.Barrier();
    // Whoever did not come to the barrier has been waited for long enough.
    if (status.ok() || status.code() == absl::StatusCode::kDeadlineExceeded) {
      if (!status.ok()) LogWarning("leaving the cluster: " + std::string(status.message()));
      status = session.Leave();
    }
    if (!status.ok()) LogWarning("leaving the cluster: " + std::string(status.message()));
  }
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  sums_.Stop();
  {
    MutexLock lock(mutex_);
    while (borrowers_ > 0) returned_.Wait(mutex_);
  }
  share_ = nullptr;
}

// The membership of this process.
struct ProcessShare {
  Mutex mutex;
  std::weak_ptr<SessionShare> share KVS_GUARDED_BY(mutex);
  uint64_t generation KVS_GUARDED_BY(mutex) = 0;
};
ProcessShare& Process() {
  static ProcessShare& process = *new ProcessShare;  // never destroyed: stores may outlive main
  return process;
}

// What the scheduler compares among workers: names of one meaning are one.
std::string CanonicalType(const std::string& type) {
  if (type == "dist") return "dist_sync";
  if (type == "dist_sync_device") return "dist_device_sync";
  if (type == "dist_async_device") return "dist_device_async";
  return type;
}

}  // namespace

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(std::shared_ptr<Transport> transport,
                                                              const Environment& environment,
                                                              const std::string& store_type) {
  auto session = DistSession::Join(std::move(transport), environment, CanonicalType(store_type));
  if (!session.ok()) return session.status();
  auto share = std::make_shared<SessionShare>(*std::move(session));
  share->Enter();
  return std::make_shared<DistBackend>(std::move(share));
}

absl::StatusOr<std::shared_ptr<StoreBackend>> MakeDistBackend(const Environment& environment,
                                                              const std::string& store_type) {
  const std::string type = CanonicalType(store_type);
  ProcessShare& process = Process();
  MutexLock lock(process.mutex);
  std::shared_ptr<SessionShare> share = process.share.lock();
  if (share != nullptr) {
    const absl::Status same = CheckSameProcess(process.generation, "the membership of the cluster");
    if (!same.ok()) return same;
    if (share->session()->store_type() != type) {
      return absl::FailedPreconditionError(
          fmt::format("this process is a member of the cluster with a store of type '{}', a "
                      "second one of type '{}' cannot be made",
                      share->session()->store_type(), type));
    }
    if (const absl::Status usable = share->session()->JobStatus(); !usable.ok()) return usable;
    if (!share->Enter()) share = nullptr;
  }
  if (share == nullptr) {
    auto joined = DistSession::Join(std::make_shared<GrpcTransport>(), environment, type);
    if (!joined.ok()) return joined.status();
    share = std::make_shared<SessionShare>(*std::move(joined));
    share->Enter();
    process.share = share;
    process.generation = ProcessGeneration();
  }
  return std::make_shared<DistBackend>(std::move(share));
}

}  // namespace kvstore
