// StalenessMonitor: holds one shard of an asynchronous store to its bound on staleness (I10 of
// server/core/server_core.h), by what the oracle knows was applied: no pull is answered with a
// value that is older than the bound allows, none waits that the bound allows, workers that left
// hold nobody up, and every answer says how stale it is. Without a bound pulls wait for nobody.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "server/core/server_core.h"
#include "tests/simulation/oracle.h"

namespace kvstore::sim {

class StalenessMonitor {
 public:
  StalenessMonitor(World& world, const Oracle& oracle) : world_(world), oracle_(oracle) {}

  void BeginJob();
  // The shard made `replies` of a frame; nothing has happened at it since.
  void Handled(const RequestFrame& frame, const ServerOutbox& replies);

 private:
  void Answered(WorkerRank rank, const ReplyEntry& reply) const;
  // How many pushes everybody has in `version` of the part; those that left do not count.
  Round Clock(PartId id, Round version) const;
  bool Allowed(WorkerRank rank, const EntryHead& pull) const;

  World& world_;
  const Oracle& oracle_;
  std::set<WorkerRank> left_;
  std::map<std::pair<WorkerRank, RequestId>, EntryHead> waiting_;  // pulls
};

}  // namespace kvstore::sim
