#include "client/api/server_role.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "kvstore/server.h"

namespace kvstore {

// Defined in libkvstore-server.so; null in a process that has not loaded it.
__attribute__((weak)) ServerEnd Serve(const ServerProgram& program);

namespace {

class ServerRoleBackend final : public StoreBackend {
 public:
  explicit ServerRoleBackend(const Environment& environment)
      : role_(environment.role),
        workers_(static_cast<int>(environment.workers)),
        timeout_ms_(environment.operation_timeout_ms) {}

  absl::Status RunServer(const KVStore::Controller& controller) override;

  absl::Status SetUpdater(KVStore::Updater updater) override {
    MutexLock lock(mutex_);
    updater_ = std::move(updater);
    return absl::OkStatus();
  }
  absl::Status SetUpdater(KVStore::StrUpdater updater) override {
    MutexLock lock(mutex_);
    str_updater_ = std::move(updater);
    return absl::OkStatus();
  }

  // What is a worker's.
  absl::Status Prepare(KeyOperation*) override { return NoWorker(); }
  void Issue(std::shared_ptr<KeyOperation>, const TokenPtr& token) override {
    token->Finish(NoWorker());
  }
  absl::Status SetOptimizer(const OptimizerConfig&) override { return NoWorker(); }
  absl::Status ChangeNumbers(const std::string&, const NumbersChange&) override {
    return NoWorker();
  }
  absl::Status SetCompression(const CompressionConfig&) override { return NoWorker(); }
  absl::Status SendCommand(int, const std::string&) override { return NoWorker(); }
  absl::Status SendProfilerOrder(const ProfilerOrder&) override { return NoWorker(); }
  absl::Status Barrier() override { return NoWorker(); }
  absl::Status Leave() override { return NoWorker(); }
  absl::StatusOr<int> DeadNodes(int, int) const override { return NoWorker(); }

  int rank() const override { return 0; }
  int group_size() const override { return workers_; }
  int64_t operation_timeout_ms() const override { return timeout_ms_; }
  bool OnOwnThread() const override { return false; }
  void Flush() noexcept override {}
  absl::Status Overdue(const std::vector<OverdueOperation>&, int64_t) override {
    return NoWorker();
  }
  void Stop(Close) override {}

 private:
  const char* RoleName() const { return role_ == NodeRole::kServerRole ? "server" : "scheduler"; }
  absl::Status NoWorker() const {
    return absl::FailedPreconditionError(
        fmt::format("a worker's call: the role of this process is {} (KVSTORE_ROLE, DMLC_ROLE), "
                    "which calls set_updater and RunServer only",
                    RoleName()));
  }

  const NodeRole role_;
  const int workers_;
  const int64_t timeout_ms_;
  Mutex mutex_;
  KVStore::Updater updater_ KVS_GUARDED_BY(mutex_);
  KVStore::StrUpdater str_updater_ KVS_GUARDED_BY(mutex_);
};

absl::Status ServerRoleBackend::RunServer(const KVStore::Controller& controller) {
  if (&Serve == nullptr) {
    return absl::UnimplementedError(fmt::format(
        "RunServer in the role {}: the library kvstore::server (libkvstore-server) expected, this "
        "program is not linked with it",
        RoleName()));
  }
  ServerProgram program;
  program.scheduler = role_ == NodeRole::kSchedulerRole;
  program.updater = [this] {
    MutexLock lock(mutex_);
    return updater_;
  };
  program.str_updater = [this] {
    MutexLock lock(mutex_);
    return str_updater_;
  };
  program.controller = controller;
  program.variable = ProcessVariable;
  const ServerEnd end = Serve(program);
  return absl::Status(static_cast<absl::StatusCode>(end.code), end.message);
}

}  // namespace

std::shared_ptr<StoreBackend> MakeServerRoleBackend(const Environment& environment) {
  return std::make_shared<ServerRoleBackend>(environment);
}

}  // namespace kvstore
