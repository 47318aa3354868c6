// Chaos: injects faults while the weather lasts. It stays within what the guarantees tolerate: a
// node that lost its session, or stands still, is given time to come back before the next fault
// of that kind hits it. The one lethal fault of a run exceeds the budget on purpose.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "tests/simulation/server_node.h"
#include "tests/simulation/worker_node.h"

namespace kvstore::sim {

// With Params::restarts_while_forming the last worker starts at this time: late enough that the
// scheduler knows by then of everybody who died before.
inline constexpr int64_t kFormedMs = 9000;

class Chaos {
 public:
  Chaos(World& world, Network& network, SchedulerNode& scheduler,
        std::vector<std::unique_ptr<ServerNode>>& servers,
        std::vector<std::unique_ptr<WorkerNode>>& workers);

  void Start();

  // Of the lethal fault; INT64_MAX before.
  int64_t lethal_at_ms() const { return lethal_at_ms_; }
  // "worker 1", "server 0": who must be named.
  const std::string& victim() const { return victim_; }
  ProcessId victim_process() const { return victim_process_; }

 private:
  void Tick();
  void Heal();
  void BreakStreams();
  void BreakSession();
  void Pause();
  void Partition();
  void CrashScheduler();
  void RestartWhileForming();
  void Strike();
  void StrikeWorker(WorkerNode& worker);
  void StrikeServer(ServerNode& server);
  bool Spare(ProcessId process, int64_t for_ms);
  ProcessId AnyNode();

  World& world_;
  Network& network_;
  SchedulerNode& scheduler_;
  std::vector<std::unique_ptr<ServerNode>>& servers_;
  std::vector<std::unique_ptr<WorkerNode>>& workers_;
  Rng rng_;
  std::map<ProcessId, int64_t> spared_until_ms_;
  int64_t lethal_at_ms_ = INT64_MAX;
  std::string victim_;
  ProcessId victim_process_ = 0;
};

}  // namespace kvstore::sim
