// ReaderNode: a process that reads the values of the job at hand, beside its members: it comes at
// any time, learns of keys, pulls their parts, leaves or dies, and begins anew. It checks that it
// is told only of jobs that have begun, that every value is one that a part has had, and that none
// is older than what it was given before.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "client/core/client_core.h"
#include "tests/simulation/data_plane.h"
#include "tests/simulation/member.h"
#include "tests/simulation/oracle_values.h"
#include "tests/simulation/scheduler_node.h"
#include "tests/simulation/worker_node.h"

namespace kvstore::sim {

class ReaderNode {
 public:
  // `programs`: of all jobs so far. The arguments outlive it.
  ReaderNode(World& world, Network& network, SchedulerNode& scheduler, Oracle& oracle,
             const std::deque<Programs>& programs, Cluster& cluster, uint32_t index);

  ProcessId process() const { return process_; }
  void Start();
  void OnReply(ConnId stream, const ReplyInTransit& frame);

 private:
  struct Asked {
    Op op = Op::kUnspecified;
    PartId id;
    uint32_t key = 0;      // index
    uint64_t ids = 0;      // kPull: the rows that it asks for, if any
    Round at_least = 0;    // kPull: a version that it was given before, or names
    uint64_t learned = 0;  // kPull: by which of its questions it knows the part
  };
  struct Known {
    uint64_t question = 0;
    Round version = 0;  // the last that it was given
  };

  void OnLearned(const MembershipOutbox& out);
  void OnRouting(const RoutingPtr& routing);
  // Ends this life; another one begins after a while.
  void End();
  void Act();
  void AskSomething();
  template <typename Call>
  void Run(Call call);
  void Dial(ShardAddress shard);
  void OnDone(const Completion& done);
  void CheckPull(const Completion& done, const Asked& asked);
  bool IsValue(const Asked& asked, Round version, uint64_t number) const;

  World& world_;
  Network& network_;
  SchedulerNode& scheduler_;
  Oracle& oracle_;
  const std::deque<Programs>& programs_;
  Cluster& cluster_;
  const ProcessId process_;
  Rng rng_;

  bool wrong_type_ = false;  // it names a type that no job has
  bool leaving_ = false;
  JobId job_ = 0;  // that it reads; 0: none yet
  bool over_ = false;
  std::unique_ptr<Member> member_;
  std::unique_ptr<ClientCore> client_;
  std::unique_ptr<Alarm> alarm_;
  std::map<ShardAddress, ConnId> streams_;
  std::map<Ticket, Asked> asked_;
  std::map<PartId, Known> known_;
  Ticket last_ticket_ = 0;
};

}  // namespace kvstore::sim
