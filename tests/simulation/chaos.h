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

class Chaos {
 public:
  Chaos(World& world, Network& network, SchedulerNode& scheduler,
        std::vector<std::unique_ptr<ServerNode>>& servers,
        std::vector<std::unique_ptr<WorkerNode>>& workers);

  void Start();
  // The workers of a job start.
  void JobForms();

  // Whether `why` may end a job although no fault was to exceed the budget: a node died, or began
  // anew, in the moment in which the job began, when the scheduler could not know of it. From then
  // on that is the lethal fault of the run.
  bool Excuse(const absl::Status& why);
  bool excused() const { return excused_; }
  // Whether `name` ("worker 1") died while a job formed.
  bool HasDied(const std::string& name) const;
  bool HasDied(ProcessId process) const;

  Lethal lethal() const { return lethal_; }
  // Of the lethal fault; INT64_MAX before.
  int64_t lethal_at_ms() const { return lethal_at_ms_; }
  // "worker 1", "server 0": who must be named.
  const std::string& victim() const { return victim_; }
  // Of a worker that stands still for good; 0: none does.
  ProcessId frozen_process() const { return frozen_process_; }
  ProcessId victim_process() const { return victim_process_; }

 private:
  void Tick();
  void Heal();
  void BreakStreams();
  void BreakSession();
  void Pause();
  void Partition();
  void CrashScheduler();
  void Leap();
  void RestartWhileForming();
  void Strike();
  void StrikeWorker(WorkerNode& worker);
  void StrikeServer(ServerNode& server);
  bool Spare(ProcessId process, int64_t for_ms);
  ProcessId AnyNode();
  WorkerNode& WorkerAt(ProcessId process) const;

  World& world_;
  Network& network_;
  SchedulerNode& scheduler_;
  std::vector<std::unique_ptr<ServerNode>>& servers_;
  std::vector<std::unique_ptr<WorkerNode>>& workers_;
  Rng rng_;
  struct Death {
    std::string name;
    ProcessId process = 0;
    bool worker = false;
    int64_t at_ms = 0;
  };
  std::vector<Death> deaths_;  // while jobs formed
  Lethal lethal_;
  bool excused_ = false;
  std::map<ProcessId, int64_t> spared_until_ms_;
  int64_t lethal_at_ms_ = INT64_MAX;
  std::string victim_;
  ProcessId victim_process_ = 0;
  ProcessId frozen_process_ = 0;
};

}  // namespace kvstore::sim
