#include "tests/simulation/server_node.h"

#include <fmt/format.h>

namespace kvstore::sim {

ServerNode::ServerNode(World& world, Network& network, SchedulerNode& scheduler, Oracle& oracle,
                       uint32_t index, ReplySink reply)
    : world_(world),
      network_(network),
      scheduler_(scheduler),
      oracle_(oracle),
      index_(index),
      process_(world.AddProcess(fmt::format("server process {}", index))),
      reply_(std::move(reply)),
      rng_(world.rng().Fork()) {}

std::string ServerNode::address() const { return fmt::format("10.0.0.{}:7000", index_); }

void ServerNode::Start() {
  world_.Begin(process_);
  const Params& p = world_.params();
  shards_.clear();
  commands_.clear();
  routed_ = false;
  network_.OnClosedAt(process_, [this](ConnId stream) {
    for (const Shard& shard : shards_) shard.core->OnPeerDown(stream);
  });
  Register(p.explicit_ranks ? index_ + 1 : 0);
}

void ServerNode::Register(uint32_t wanted_rank_plus_one) {
  const Params& p = world_.params();
  MembershipOptions options = p.membership;
  options.registration.set_role(v1::ROLE_SERVER);
  options.registration.set_address(address());
  options.registration.set_shards(p.shards[index_]);
  options.registration.set_nonce(rng_.Next() | 1);
  options.registration.set_protocol(kProtocolVersion);
  options.registration.set_wanted_rank_plus_one(wanted_rank_plus_one);
  if (member_ != nullptr) former_members_.push_back(std::move(member_));
  member_ = std::make_unique<Member>(world_, network_, scheduler_, process_, std::move(options),
                                     [this](const MembershipOutbox& out) { OnLearned(out); });
  member_->Start();
}

void ServerNode::Crash() {
  world_.Kill(process_);
  network_.ProcessDied(process_);
}

void ServerNode::OnLearned(const MembershipOutbox& out) {
  if (out.proposal) {
    world_.After(rng_.Between(0, 30), process_,
                 [this, attempt = out.proposal->attempt()] { member_->Confirm(attempt); });
  }
  if (out.refused) {
    if (absl::IsAborted(*out.refused)) {
      // Its place was given up: it waits for the next job.
      routed_ = false;
      world_.After(0, process_, [this] { Register(member_->core().identity()->rank() + 1); });
    } else if (absl::IsAlreadyExists(*out.refused) && !routed_) {
      Crash();  // as in WorkerNode
      world_.Outside(1000, [this] { Start(); });
    } else if (world_.params().lethal == Lethal::kNone) {
      world_.Fail("a server is refused: " + out.refused->ToString());
    }
    return;
  }
  if (out.routing == nullptr) return;
  const v1::Registered& self = *member_->core().identity();
  if (shards_.empty()) {
    for (ShardIndex shard = 0; shard < world_.params().shards[index_]; ++shard) {
      Shard& each = shards_.emplace_back();
      each.values = std::make_unique<OracleValues>(world_, oracle_, self.rank());
      each.core = std::make_unique<ServerCore>(world_.params().server,
                                               ShardAddress{self.rank(), shard}, each.values.get());
      if (world_.params().async) {
        each.staleness = std::make_unique<StalenessMonitor>(world_, oracle_);
      }
    }
  }
  routed_ = true;
  // Each shard's thread hears of it in its own time.
  for (ShardIndex shard = 0; shard < shards_.size(); ++shard) {
    world_.After(rng_.Between(0, 20), process_,
                 [this, shard, cluster = self.cluster(), incarnation = self.incarnation(),
                  routing = out.routing] { Route(shards_[shard], cluster, incarnation, routing); });
  }
}

void ServerNode::Route(Shard& shard, ClusterId cluster, Incarnation incarnation,
                       const RoutingPtr& routing) {
  if (routing->job > shard.job) {
    shard.job = routing->job;
    shard.job_since_ms = world_.clock_ms(process_);
    shard.waited_for_ms.clear();
    if (shard.staleness != nullptr) shard.staleness->BeginJob();
  }
  shard.core->OnRouting(cluster, incarnation, routing);
}

void ServerNode::CheckWaits(Shard& shard, const ShardStatus& status) const {
  shard.waited_for_ms.resize(status.waited_for_ms.size());
  const int64_t job_ms = world_.clock_ms(process_) - shard.job_since_ms;
  for (size_t rank = 0; rank < shard.waited_for_ms.size(); ++rank) {
    const int64_t waited_ms = status.waited_for_ms[rank];
    if (waited_ms < shard.waited_for_ms[rank] || waited_ms > job_ms) {
      world_.Fail(
          fmt::format("{}: worker {} was waited for {} ms, {} ms before, of {} ms of the job",
                      world_.name(process_), rank, waited_ms, shard.waited_for_ms[rank], job_ms));
    }
    shard.waited_for_ms[rank] = waited_ms;
  }
}

void ServerNode::OnFrame(ConnId stream, ShardIndex shard, const RequestInTransit& request) {
  const auto arrived = request.Arrive();
  if (!arrived.ok()) world_.Fail("a worker's frame: " + arrived.status().ToString());
  const RequestFrame& frame = **arrived;
  if (world_.tracing()) {
    world_.Trace(fmt::format("{} shard {} < {}: {}", world_.name(process_), shard,
                             world_.name(network_.dialler(stream)), DescribeFrame(frame)));
  }
  // A server that is not registered yet has no shards: like one that nobody reaches.
  if (shard >= shards_.size()) return;
  ServerOutbox out;
  shards_[shard].core->OnFrame(world_.clock_ms(process_), stream, frame, &out);
  // Late repeats of requests of the job before are answered until the next one begins here.
  const bool now = frame.header.job == oracle_.job() && shards_[shard].job == oracle_.job();
  const bool reads = frame.header.rank == kReaderRank;
  if (now && !reads && shards_[shard].staleness != nullptr) {
    shards_[shard].staleness->Handled(frame, out);
  }
  Send(out);
  for (const RequestEntry& entry : frame.entries) {
    if (entry.op != Op::kCommand) continue;
    const bool first = commands_.insert({frame.header.incarnation, entry.request}).second;
    if (!first) world_.stats().Count(Fault::kCommandRepeated);
  }
  RunCommands(shard);
  // I5.
  const ShardStatus status = shards_[shard].core->Status();
  CheckWaits(shards_[shard], status);
  const uint64_t parked = status.parked_bytes;
  if (parked > world_.params().server.parked_bytes_max) {
    world_.Fail(fmt::format("I5: {} bytes are parked, the budget is {}", parked,
                            world_.params().server.parked_bytes_max));
  }
}

absl::Status ServerNode::OrderNumbers(NumbersVerb verb, const std::string& optimizer,
                                      const NumbersChange& change) {
  absl::Status refused;
  for (const Shard& shard : shards_) {
    ServerOutbox out;
    const absl::Status ordered =
        shard.core->OrderNumbers(world_.clock_ms(process_), verb, optimizer, change, &out);
    if (refused.ok()) refused = ordered;
    Send(out);
  }
  return refused;
}

void ServerNode::Send(const ServerOutbox& out) {
  for (const ServerFrame& reply : out) {
    Check(reply);
    ++world_.stats().frames;
    const ReplyInTransit transit(reply.frame, world_.params().encode_frames, rng_);
    network_.ToDialler(reply.peer, [this, peer = reply.peer, transit] { reply_(peer, transit); });
  }
}

void ServerNode::RunCommands(ShardIndex shard) {
  for (const CommandRun& run : shards_[shard].core->TakeCommands()) {
    oracle_.commands().Handed(rank(), run.command);
    const int64_t ms = rng_.Permille(200) ? rng_.Between(0, 5000) : rng_.Between(0, 30);
    world_.After(ms, process_, [this, shard, run] {
      ServerOutbox out;
      shards_[shard].core->OnCommandDone(run.ticket, Commands::Outcome(rank(), run.command), &out);
      Send(out);
    });
  }
}

void ServerNode::CheckIdle() const {
  for (const Shard& shard : shards_) {
    const ShardStatus status = shard.core->Status();
    if (status.parked_bytes != 0 || !status.open_rounds.empty()) {
      world_.Fail(fmt::format("{}: all left, but {} bytes are parked and {} keys have open rounds",
                              world_.name(process_), status.parked_bytes,
                              status.open_rounds.size()));
    }
  }
}

uint64_t ServerNode::value_bytes() const {
  uint64_t bytes = 0;
  for (const Shard& shard : shards_) bytes += shard.core->Status().value_bytes;
  return bytes;
}

void ServerNode::Check(const ServerFrame& reply) const {
  // Late repeats of requests of the job before are answered until the next one begins here.
  if (reply.frame.header.job != oracle_.job()) return;
  for (const ReplyEntry& entry : reply.frame.entries) {
    world_.Note(entry.request * 16 + static_cast<uint64_t>(entry.progress));
    if (entry.retry_after_ms > 0 && entry.code == absl::StatusCode::kResourceExhausted) {
      world_.stats().Count(Fault::kPushRefused);
    }
    if (entry.progress != Progress::kDone) continue;
    const PartId id = InLife(entry.id(), entry.life);
    // Of what may be probed only a push is ever answered DONE.
    const bool push = entry.op == Op::kPush || entry.op == Op::kProbe;
    if (push && oracle_.committed(id) < entry.round) {
      world_.Fail(fmt::format("I3: the push of round {} of part {} is answered DONE at version {}",
                              entry.round, entry.part, oracle_.committed(id)));
    }
    if (entry.op == Op::kPull && entry.code == absl::StatusCode::kOk) {
      if (entry.version > oracle_.committed(id)) {
        world_.Fail(fmt::format("a pull of part {} is answered with version {}, at version {}",
                                entry.part, entry.version, oracle_.committed(id)));
      }
      // What asked for rows is checked by the worker that knows which.
      if (!oracle_.row_sparse(id) && NumberOf(entry.data) != oracle_.Value(id, entry.version)) {
        world_.Fail(
            fmt::format("I4: a pull of part {} is answered with a value that is not "
                        "version {}",
                        entry.part, entry.version));
      }
    }
  }
}

}  // namespace kvstore::sim
