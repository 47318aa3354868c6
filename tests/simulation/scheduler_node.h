// SchedulerNode: the scheduler's process: the core, and a disk that takes its time. A message goes
// out only after the state that its call wanted on disk is there; a crash loses everything that is
// not, and a write under way may or may not have made it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/scheduler/core/persist_queue.h"
#include "server/scheduler/core/scheduler_core.h"
#include "tests/simulation/network.h"
#include "tests/simulation/told.h"

namespace kvstore::sim {

class SchedulerNode {
 public:
  using Reader = std::function<void(const v1::SchedulerMessage&)>;

  SchedulerNode(World& world, Network& network, Told& told);

  ProcessId process() const { return process_; }
  void Start();
  void Crash();

  // The dialler of session `id`, which registers with `nonce`, reads its messages with `deliver`.
  void Expect(ConnId id, uint64_t nonce, Reader deliver);
  void OnMessage(ConnId id, const v1::NodeMessage& message);

  // The job at hand has begun, as far as anybody was told; since when.
  bool begun() const { return told_.begun(); }
  int64_t begun_ms() const { return told_.begun_ms(); }
  // It is on disk that the job, or a later one, has begun.
  bool HasBegun(JobId job) const { return told_.HasBegun(job); }
  // "forming", "running", "finished", "failed: …", "down".
  std::string StateName() const;

 private:
  template <typename Call>
  void Run(Call call);
  void Write();
  void OnDisk();
  void SendOut(const SchedulerOutbox& out);

  World& world_;
  Network& network_;
  Told& told_;
  const ProcessId process_;
  Rng rng_;
  std::unique_ptr<SchedulerCore> core_;
  std::unique_ptr<Alarm> alarm_;
  std::optional<v1::SchedulerState> durable_;
  PersistQueue untold_;
  std::optional<v1::SchedulerState> writing_;
  std::map<ConnId, std::pair<uint64_t, Reader>> readers_;  // with the nonce
};

}  // namespace kvstore::sim
