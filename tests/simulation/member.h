// Member: the shell around MembershipCore that servers and workers share: one session at a time
// with the scheduler's process, the core's timer.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/membership/core/membership_core.h"
#include "tests/simulation/network.h"

namespace kvstore::sim {

class SchedulerNode;

class Member {
 public:
  using Learned = std::function<void(const MembershipOutbox&)>;

  Member(World& world, Network& network, SchedulerNode& scheduler, ProcessId process,
         MembershipOptions options, Learned learned);

  void Start();
  uint64_t Barrier(uint64_t deadline_ms);
  void Confirm(uint64_t attempt);
  void NotReady(uint64_t attempt, const std::string& why);
  void Begin();
  void Leave();
  void ReportFailure(const std::string& message);
  const MembershipCore& core() const { return core_; }

 private:
  template <typename Call>
  void Run(Call call);
  void Dial();

  World& world_;
  Network& network_;
  SchedulerNode& scheduler_;
  const ProcessId process_;
  const uint64_t nonce_;
  MembershipCore core_;
  const Learned learned_;
  std::optional<ConnId> session_;
  Alarm alarm_;
};

}  // namespace kvstore::sim
