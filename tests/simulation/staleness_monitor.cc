#include "tests/simulation/staleness_monitor.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvstore::sim {

void StalenessMonitor::BeginJob() {
  left_.clear();
  waiting_.clear();
}

void StalenessMonitor::Handled(const RequestFrame& frame, const ServerOutbox& replies) {
  for (const RequestEntry& entry : frame.entries) {
    if (entry.op == Op::kPull) waiting_[{frame.header.rank, entry.request}] = entry;
  }
  for (const ServerFrame& reply : replies) {
    for (const ReplyEntry& entry : reply.frame.entries) {
      if (entry.op == Op::kLeave && entry.progress == Progress::kDone) {
        left_.insert(reply.frame.header.rank);
      }
    }
  }
  for (const ServerFrame& reply : replies) {
    for (const ReplyEntry& entry : reply.frame.entries) {
      const bool waits = entry.progress == Progress::kReceived && entry.retry_after_ms == 0;
      if (entry.op != Op::kPull || waits) continue;
      waiting_.erase({reply.frame.header.rank, entry.request});
      const bool given = entry.progress == Progress::kDone && entry.code == absl::StatusCode::kOk;
      if (given) Answered(reply.frame.header.rank, entry);
    }
  }
  for (const auto& [name, pull] : waiting_) {
    if (Allowed(name.first, pull)) {
      world_.Fail(
          fmt::format("I10: a pull of round {} of part {} of rank {} waits, though all that "
                      "it may wait for is applied or left",
                      pull.round, pull.part, name.first));
    }
    // Its own pushes are there: it waits for somebody else.
    const PartId id = InLife(pull.id(), pull.life);
    const Round all = oracle_.committed(id);
    if (oracle_.PushesIn(id, name.first, all) >= pull.round) {
      world_.stats().Count(Fault::kPullHeldUp);
    }
  }
}

// With a bound of 2, after 5 pushes of its own a worker's value has 3 pushes of every worker in it,
// or all of those that make fewer. (Who has left has made all of its own before.)
void StalenessMonitor::Answered(WorkerRank rank, const ReplyEntry& reply) const {
  const PartId id = InLife(reply.id(), reply.life);
  const std::optional<uint64_t> bound = world_.params().staleness;
  for (WorkerRank other = 0; bound.has_value() && other < world_.params().workers; ++other) {
    const Round expected =
        std::min(reply.round - std::min(reply.round, *bound), oracle_.PushesOf(id, other));
    const Round in = oracle_.PushesIn(id, other, reply.version);
    if (in < expected) {
      world_.Fail(
          fmt::format("I10: rank {} pulls round {} of part {} and is given {} pushes of rank "
                      "{}, with a bound of {}",
                      rank, reply.round, id.part, in, other, *bound));
    }
  }
  const Round clock = Clock(id, reply.version);
  const uint64_t staleness = reply.round - std::min(reply.round, clock);
  if (reply.staleness != staleness) {
    world_.Fail(
        fmt::format("rank {} pulls round {} of part {} at clock {} and is told a staleness "
                    "of {}",
                    rank, reply.round, id.part, clock, reply.staleness));
  }
}

Round StalenessMonitor::Clock(PartId id, Round version) const {
  Round clock = UINT64_MAX;
  for (WorkerRank rank = 0; rank < world_.params().workers; ++rank) {
    if (left_.count(rank) == 0) clock = std::min(clock, oracle_.PushesIn(id, rank, version));
  }
  return clock;
}

bool StalenessMonitor::Allowed(WorkerRank rank, const EntryHead& pull) const {
  const PartId id = InLife(pull.id(), pull.life);
  const Round now = oracle_.committed(id);
  if (oracle_.PushesIn(id, rank, now) < pull.round) return false;
  const std::optional<uint64_t> bound = world_.params().staleness;
  return !bound.has_value() || Clock(id, now) + *bound >= pull.round;
}

}  // namespace kvstore::sim
