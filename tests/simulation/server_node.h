// ServerNode: one kvstored: its shards' cores and its session with the scheduler. Checks what
// leaves the server: acknowledgements, values, memory.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/core/server_core.h"
#include "tests/simulation/data_plane.h"
#include "tests/simulation/member.h"
#include "tests/simulation/oracle_values.h"
#include "tests/simulation/scheduler_node.h"
#include "tests/simulation/staleness_monitor.h"

namespace kvstore::sim {

// Hands a frame that arrived over `stream` to the worker at its other end.
using ReplySink = std::function<void(ConnId stream, const ReplyInTransit& reply)>;

class ServerNode {
 public:
  ServerNode(World& world, Network& network, SchedulerNode& scheduler, Oracle& oracle,
             uint32_t index, ReplySink reply);

  ProcessId process() const { return process_; }
  std::string address() const;
  // A new life, with empty memory.
  void Start();
  void Crash();
  void OnFrame(ConnId stream, ShardIndex shard, const RequestInTransit& request);
  // Of an operator, to all shards: the first refusal.
  absl::Status OrderNumbers(NumbersVerb verb, const std::string& optimizer,
                            const NumbersChange& change);
  // After a job in which everybody left: nothing may be kept of open rounds.
  void CheckIdle() const;
  // That its parts are charged with.
  uint64_t value_bytes() const;
  // In the routing table of the running job, with this life.
  bool routed() const { return routed_; }
  ServerRank rank() const { return member_->core().identity()->rank(); }
  bool registered() const { return member_->core().identity().has_value(); }

 private:
  struct Shard {
    std::unique_ptr<OracleValues> values;
    std::unique_ptr<ServerCore> core;
    std::unique_ptr<StalenessMonitor> staleness;  // null on a synchronous store
    // The job that the core is in, since when by the server's clock, and for how long rounds had
    // waited for each worker when it was last looked at.
    JobId job = 0;
    int64_t job_since_ms = 0;
    std::vector<int64_t> waited_for_ms;
  };
  void Route(Shard& shard, ClusterId cluster, Incarnation incarnation, const RoutingPtr& routing);
  // That the time for which a worker was waited never shrinks within a job, and is never more than
  // has passed of it.
  void CheckWaits(Shard& shard, const ShardStatus& status) const;
  // As a new member: in a new life of the process, or when its place was given up.
  void Register(uint32_t wanted_rank_plus_one);
  void OnLearned(const MembershipOutbox& out);
  void Send(const ServerOutbox& out);
  // Each is over after a while of its own.
  void RunCommands(ShardIndex shard);
  void Check(const ServerFrame& reply) const;

  World& world_;
  Network& network_;
  SchedulerNode& scheduler_;
  Oracle& oracle_;
  const uint32_t index_;
  const ProcessId process_;
  const ReplySink reply_;
  Rng rng_;
  std::unique_ptr<Member> member_;
  std::vector<std::unique_ptr<Member>> former_members_;  // whose last events may be under way
  std::vector<Shard> shards_;
  bool routed_ = false;
  std::set<std::pair<Incarnation, RequestId>> commands_;  // that came
};

}  // namespace kvstore::sim
