// DistCluster: a whole cluster in one process: the very scheduler, servers and SDK of the real one,
// over the in-process transport or another one. Each worker is a thread with a store of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/base/environment.h"
#include "common/transport/inproc/inproc_transport.h"
#include "kvstore/kvstore.h"
#include "server/node/server_node.h"
#include "server/scheduler/scheduler_service.h"

namespace kvstore {

struct DistClusterOptions {
  uint32_t workers = 1;
  uint32_t servers = 1;
  uint32_t shards = 1;
  int64_t lost_dead_ms = 5000;
  int64_t operation_timeout_ms = 60000;
  int64_t connect_timeout_ms = 60000;
  std::function<CommandHandler(uint32_t rank)> on_command{};
  ProgramUpdater* program_updater = nullptr;
  std::optional<uint32_t> program_rank{};  // the only server with the updater; none: all have it
  ServerCoreOptions core{};
  bool push_copy = false;  // of all workers
};

class DistCluster {
 public:
  using MakeTransport = std::function<std::shared_ptr<Transport>()>;

  // Over the in-process transport.
  explicit DistCluster(DistClusterOptions options);
  // Over transports that `make` makes, one for each process that there would be.
  DistCluster(DistClusterOptions options, MakeTransport make);
  ~DistCluster();
  DistCluster(const DistCluster&) = delete;
  DistCluster& operator=(const DistCluster&) = delete;

  void StartServer(uint32_t rank);
  // The server and all that it knew are gone.
  void KillServer(size_t index) { servers_[index].reset(); }
  // The scheduler is gone; nothing answers at its address any more.
  void StopScheduler() { scheduler_.reset(); }

  // What a worker's process would read from its environment; rank -1 asks for none.
  Environment WorkerEnvironment(int rank) const;
  // Joins the cluster, as a worker or, beside its job, as a reader. Throws what CreateUnique would
  // throw.
  std::unique_ptr<KVStore> Join(int rank, const std::string& type = "dist_sync");
  std::unique_ptr<KVStore> JoinAsReader(const std::string& type = "dist_sync");
  std::unique_ptr<KVStore> JoinAs(const Environment& environment, const std::string& type);

  // Runs `body` as every worker, each in its own thread, stores made before and destroyed after it.
  // Returns what each threw ("" for nothing).
  std::vector<std::string> Run(const std::function<void(KVStore& store, int rank)>& body,
                               const std::string& type = "dist_sync");
  // The same, with stores that `body` may destroy itself.
  std::vector<std::string> RunStores(
      const std::function<void(std::unique_ptr<KVStore> store, int rank)>& body,
      const std::string& type);

  std::shared_ptr<Transport> NewTransport() const { return make_transport_(); }
  // Of the in-process transport.
  InprocNetwork& network() { return *network_; }
  const std::string& scheduler_address() const { return scheduler_address_; }
  const std::string& server_address(size_t index) const { return servers_[index]->address(); }

 private:
  const DistClusterOptions options_;
  const std::shared_ptr<InprocNetwork> network_;
  const MakeTransport make_transport_;
  std::shared_ptr<Transport> scheduler_transport_;
  std::unique_ptr<SchedulerService> scheduler_;
  std::string scheduler_address_;
  std::vector<std::shared_ptr<Transport>> server_transports_;
  std::vector<std::unique_ptr<ServerNode>> servers_;
};

// All of a Run went well.
inline std::vector<std::string> NothingThrown(uint32_t workers) {
  return std::vector<std::string>(workers);
}

}  // namespace kvstore
