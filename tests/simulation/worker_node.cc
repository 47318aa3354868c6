// The shell of a worker: streams, session, completions. Its program is run by worker_program.cc.
#include "tests/simulation/worker_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace kvstore::sim {

WorkerNode::WorkerNode(World& world, Network& network, SchedulerNode& scheduler, Oracle& oracle,
                       const Programs& programs, JobId job, Cluster& cluster, uint32_t index)
    : world_(world),
      network_(network),
      scheduler_(scheduler),
      oracle_(oracle),
      programs_(programs),
      job_(job),
      cluster_(cluster),
      index_(index),
      process_(
          world.AddProcess(fmt::format("worker process {}{}", index, std::string(job - 1, '\'')))),
      rng_(world.rng().Fork()) {}

void WorkerNode::Start() {
  world_.Begin(process_);
  const Params& p = world_.params();
  took_part_ = client_ != nullptr;
  state_ = State::kStarting;
  failure_ = absl::OkStatus();
  client_.reset();
  streams_.clear();
  asked_.clear();
  groups_.clear();
  undo_ = {};
  lives_.clear();
  command_.reset();
  replaced_ticket_ = 0;
  at_ = 0;
  load_step_ = 0;
  states_.clear();
  began_ = awake_ = leaving_ = false;
  former_barriers_begun_ = std::max(former_barriers_begun_, barriers_begun_);
  if (!took_part_)
    barriers_begun_ = generation_ = 0;  // else they count: all others may have passed
  MembershipOptions options = p.membership;
  options.registration.set_role(v1::ROLE_WORKER);
  options.registration.set_address(fmt::format("host{}:{}", index_, 100 + rng_.Below(900)));
  options.registration.set_nonce(rng_.Next() | 1);
  options.registration.set_protocol(kProtocolVersion);
  options.registration.set_store_type(p.StoreType());
  if (p.explicit_ranks) options.registration.set_wanted_rank_plus_one(index_ + 1);
  member_ = std::make_unique<Member>(world_, network_, scheduler_, process_, std::move(options),
                                     [this](const MembershipOutbox& out) { OnLearned(out); });
  member_->Start();
}

void WorkerNode::Crash() { Exit(State::kCrashed); }

void WorkerNode::Restart(int64_t after_ms) {
  Crash();
  state_ = State::kStarting;
  world_.Outside(after_ms, [this] { Start(); });
}

void WorkerNode::Exit(State state) {
  if (world_.tracing()) {
    world_.Trace(fmt::format("{} ends: {}", world_.name(process_),
                             state == State::kFinished  ? "done"
                             : state == State::kCrashed ? "crashed"
                                                        : failure_.ToString()));
  }
  state_ = state;
  world_.Kill(process_);
  network_.ProcessDied(process_);
}

void WorkerNode::OnLearned(const MembershipOutbox& out) {
  if (ended()) return;
  for (const v1::NodeHealth& health : out.health) {
    const Params& p = world_.params();
    // Before the job has begun also who did not confirm in time.
    const bool may_be =
        p.lethal != Lethal::kNone || !begun() || cluster_.HasDied(health.role(), health.rank());
    if (health.health() == v1::HEALTH_DEAD && !may_be) {
      world_.Fail(fmt::format("role {} rank {} is said to be dead, all live", health.role(),
                              health.rank()));
    }
  }
  if (out.refused) {
    const bool again = !begun();
    Fail(*out.refused);
    // Its own former life still seemed to be there, or its place was given up meanwhile: whoever
    // supervises the process starts it again.
    if (again && (absl::IsAlreadyExists(failure_) || absl::IsAborted(failure_))) {
      state_ = State::kStarting;
      world_.Outside(1000, [this] { Start(); });
    }
    return;
  }
  if (out.job_ended) return OnJobEnded(*out.job_ended);
  if (out.proposal) {
    // It looks first whether it reaches the servers.
    const uint64_t attempt = out.proposal->attempt();
    const bool slow = rng_.Permille(100);
    const int64_t ms = slow ? rng_.Between(0, 4000) : rng_.Between(0, 100);
    if (slow && rng_.Permille(500)) {
      world_.After(rng_.Between(0, ms), process_,
                   [this, attempt] { member_->NotReady(attempt, "cannot reach server 0"); });
    }
    world_.After(ms, process_, [this, attempt] { member_->Confirm(attempt); });
  }
  if (out.begun) OnBegun();
  if (out.left) return Exit(State::kFinished);
  for (const v1::BarrierReply& reply : out.barriers) {
    if (reply.generation() != generation_) world_.Fail("a barrier answers for another generation");
    if (reply.code() == 0) {
      // S4.
      if (!cluster_.AllAtBarrier(barriers_begun_)) {
        world_.Fail(fmt::format("S4: {} passes barrier {} before all have reached it",
                                world_.name(process_), barriers_begun_));
      }
      ++world_.stats().barriers;
      barrier_done_ = true;
    } else if (static_cast<absl::StatusCode>(reply.code()) == absl::StatusCode::kDeadlineExceeded) {
      generation_ = 0;  // to be asked for again
    } else {
      world_.Fail("a barrier is refused: " + reply.message());
    }
    Continue();
  }
  if (out.routing == nullptr) return;
  const v1::Registered& self = *member_->core().identity();
  if (self.job() != job_) {
    failure_ = absl::UnavailableError("the job is over");
    return Exit(State::kTurnedAway);
  }
  if (took_part_) world_.Fail("S6: a new life of a worker takes part in the job of the old one");
  if (state_ == State::kStarting) {
    state_ = State::kRunning;
    world_.After(world_.params().idle_ms == 0 ? 0 : rng_.Between(0, world_.params().idle_ms),
                 process_, [this] { Continue(); });
  }
  if (begun()) {
    Run([&](ClientOutbox* o) { client_->OnRouting(world_.clock_ms(process_), out.routing, o); });
  }
}

void WorkerNode::OnBegun() {
  const v1::Registered& self = *member_->core().identity();
  client_ = std::make_unique<ClientCore>(world_.params().client, self.cluster(), self.rank(),
                                         self.incarnation());
  alarm_ = std::make_unique<Alarm>(world_, process_, [this] {
    Run([this](ClientOutbox* o) { client_->OnTimer(world_.clock_ms(process_), o); });
  });
  monitor_ = std::make_unique<WireMonitor>(world_, fmt::format("worker {}", self.rank()),
                                           world_.params().client);
  if (rng_.Permille(300)) world_.After(500, process_, [this] { ProbeSometimes(); });
  Run([&](ClientOutbox* o) {
    client_->OnRouting(world_.clock_ms(process_), member_->core().routing(), o);
  });
  Continue();
}

void WorkerNode::OnJobEnded(const v1::JobEnded& ended) {
  if (ended.code() == 0) {
    // All have left; a worker whose own leave is not answered yet has done its work as well.
    if (!leaving_) world_.Fail(world_.name(process_) + " is told that all left; it did not");
    return Exit(State::kFinished);
  }
  const absl::Status why(static_cast<absl::StatusCode>(ended.code()), ended.message());
  cluster_.OnFailure(why);
  Fail(why);
}

void WorkerNode::Fail(absl::Status why) {
  failure_ = std::move(why);
  if (client_ != nullptr) {
    // C6: everything open fails with the job's status, and so does everything after.
    Run([this](ClientOutbox* out) { client_->OnJobEnded(failure_, out); });
    if (!asked_.empty() || client_->open_requests() != 0) {
      world_.Fail(fmt::format("C6: {} requests stay open although the job ended",
                              client_->open_requests()));
    }
    if (!ended()) Submit({Action::Kind::kSubmit, {{Op::kPull, 0}}, 0, 0}, false);
    if (!asked_.empty()) world_.Fail("C6: a request after the end of the job is not failed");
  }
  if (!ended()) Exit(State::kFailed);
}

void WorkerNode::Apply(ClientOutbox& out) {
  // A request of a group is known to the program by a ticket of its own.
  for (Completion& done : out.done) {
    const auto group = groups_.find(done.ticket);
    if (group == groups_.end()) continue;
    done.ticket = std::exchange(group->second.at(done.member), 0);
  }
  for (auto it = groups_.begin(); it != groups_.end();) {
    const auto& tickets = it->second;
    const bool over = std::all_of(tickets.begin(), tickets.end(), [](Ticket t) { return t == 0; });
    it = over ? groups_.erase(it) : std::next(it);
  }
  // What these make possible may be among the frames.
  for (const Completion& done : out.done) {
    const auto it = asked_.find(done.ticket);
    if (it != asked_.end()) monitor_->Completed(it->second.op, it->second.id, it->second.round);
    if (done.key_failed) monitor_->Abandoned(done.request);
  }
  for (const ShardAddress shard : out.dial) Dial(shard);
  for (const ClientOutbox::Send& send : out.frames) Send(send);
  for (const Completion& done : out.done) OnDone(done);
  alarm_->Arm(client_->NextTimerMs());
}

void WorkerNode::Dial(ShardAddress shard) {
  if (streams_.count(shard) != 0) world_.Fail(world_.name(process_) + " dials an open stream");
  const ProcessId server =
      cluster_.ServerAt(member_->core().routing()->servers[shard.server].address);
  const auto id = std::make_shared<ConnId>(0);
  *id = network_.Dial(
      process_, server, /*lossy=*/true,
      [this, shard] {
        Run([&](ClientOutbox* out) { client_->OnStreamUp(world_.clock_ms(process_), shard, out); });
      },
      [this, shard] {
        streams_.erase(shard);
        Run([&](ClientOutbox*) { client_->OnStreamDown(world_.clock_ms(process_), shard); });
      });
  streams_[shard] = *id;
}

void WorkerNode::Send(const ClientOutbox::Send& send) {
  const auto stream = streams_.find(send.to);
  if (stream == streams_.end()) world_.Fail(world_.name(process_) + " sends without a stream");
  monitor_->Sent(stream->second, send.frame);
  ++world_.stats().frames;
  const RequestInTransit transit(send.frame, world_.params().encode_frames, rng_);
  network_.ToAcceptor(stream->second, [this, id = stream->second, to = send.to, transit] {
    cluster_.DeliverToServer(id, to, transit);
  });
}

void WorkerNode::OnReply(ConnId stream, const ReplyInTransit& transit) {
  const auto from = std::find_if(streams_.begin(), streams_.end(),
                                 [&](const auto& entry) { return entry.second == stream; });
  if (from == streams_.end()) return;
  const auto arrived = transit.Arrive();
  if (!arrived.ok()) world_.Fail("a server's frame: " + arrived.status().ToString());
  const ReplyFrame& frame = **arrived;
  if (world_.tracing()) {
    world_.Trace(fmt::format("{} < server {} shard {}: {}", world_.name(process_),
                             from->first.server, from->first.shard, DescribeFrame(frame)));
  }
  monitor_->Delivered(stream, frame);
  Run([&, shard = from->first](ClientOutbox* out) {
    client_->OnFrame(world_.clock_ms(process_), shard, frame, out);
  });
}

void WorkerNode::OnDone(const Completion& done) {
  world_.Note(done.ticket);
  Continue();
  if (done.ticket == replaced_ticket_ && replaced_ticket_ != 0) {
    replaced_ticket_ = 0;
    if (!done.status.ok() && failure_.ok()) {
      world_.Fail("a change of numbers fails: " + done.status.ToString());
    }
    return;
  }
  if (done.ticket == shard_ticket_ && shard_ticket_ != 0) {
    if (command_ && failure_.ok()) {
      oracle_.commands().CheckTold(*command_, done.status);
      ++world_.stats().commands;
    } else if (refused_by_ >= 0 && failure_.ok()) {
      world_.stats().Count(Fault::kOptimizerRefused);
      const std::string name = fmt::format("server {} ", refused_by_);
      if (!absl::IsInvalidArgument(done.status) ||
          std::string(done.status.message()).find(name) == std::string::npos) {
        world_.Fail(fmt::format("an optimizer that {}refuses: {}", name, done.status.ToString()));
      }
    } else if (!done.status.ok() && failure_.ok()) {
      world_.Fail("a request to all shards fails: " + done.status.ToString());
    }
    shard_ticket_ = 0;
    refused_by_ = -1;
    command_.reset();
    shard_request_done_ = true;
    return;
  }
  const auto it = asked_.find(done.ticket);
  if (it == asked_.end()) {
    world_.Fail(fmt::format("C4: {} is told a completion of ticket {}, which is over already",
                            world_.name(process_), done.ticket));
  }
  const Asked asked = it->second;
  asked_.erase(it);
  // The bytes are the user's again.
  if (asked.memory != SIZE_MAX) memory_[asked.memory]->fill(0xee);
  if (!failure_.ok()) {
    if (done.status != failure_) {
      world_.Fail("C6: the job's status expected, got " + done.status.ToString());
    }
    return;
  }
  if (asked.trial) undo_.Noted(done);
  CheckDone(done, asked);
}

void WorkerNode::CheckDone(const Completion& done, const Asked& asked) {
  const auto fail = [&](const std::string& what) {
    world_.Fail(fmt::format("{}: {} of round {} of part {}: {}", world_.name(process_),
                            OpName(asked.op), asked.round, asked.id.part, what));
  };
  if (!(done.id == asked.id)) fail("completed for another part");
  if (asked.again) {
    if (!absl::IsAlreadyExists(done.status)) {
      fail("ALREADY_EXISTS expected, got " + done.status.ToString());
    }
    return;
  }
  // A key has failed of which a push was refused, when another part of it goes on (C11).
  if (done.key_failed) {
    if (!refused_push_ || refused_push_->key != asked.id.key ||
        !absl::IsFailedPrecondition(done.status)) {
      fail("a key has failed of which no push was refused: " + done.status.ToString());
    }
    world_.stats().Count(Fault::kKeyFailed);
    return;
  }
  if (asked.bad) {
    const bool deleted = oracle_.IsDeleted(asked.id.key);
    if (!absl::IsInvalidArgument(done.status) && !(deleted && absl::IsNotFound(done.status))) {
      fail("INVALID_ARGUMENT expected, got " + done.status.ToString());
    }
    const bool push = asked.op == Op::kPush;
    world_.stats().Count(push ? Fault::kPushRefusedForGood : Fault::kPullRefused);
    if (push) member_->ReportFailure("its push is refused: " + std::string(done.status.message()));
    return;
  }
  if (asked.trial && !done.status.ok()) {
    world_.stats().Count(Fault::kInitRefused);
    // A later fragment has nothing to go on with.
    if (!absl::IsResourceExhausted(done.status) && !absl::IsInvalidArgument(done.status)) {
      fail("RESOURCE_EXHAUSTED expected, got " + done.status.ToString());
    }
    return;
  }
  // Behind a push that was refused: that round waits for it for ever.
  if (asked.op == Op::kPush && refused_push_ && asked.id == *refused_push_ &&
      absl::IsFailedPrecondition(done.status)) {
    return;
  }
  const PartId in_life = InLife(asked.id, asked.life);
  if (absl::IsNotFound(done.status) && asked.life == 0 && oracle_.IsDeleted(asked.id.key) &&
      (asked.op == Op::kPush || asked.op == Op::kPull)) {
    world_.stats().Count(Fault::kDeletedUnder);
    return;
  }
  if (asked.op == Op::kPush && oracle_.PushFailed(in_life, rank(), asked.round)) {
    const bool without_norms =
        absl::IsFailedPrecondition(done.status) && oracle_.NormsFail(in_life, rank(), asked.round);
    if (!absl::IsInternal(done.status) && !without_norms) {
      fail("the updater's error expected, got " + done.status.ToString());
    }
  } else if (!done.status.ok()) {
    fail("OK expected, got " + done.status.ToString());
  }
  switch (asked.op) {
    case Op::kPush:
      ++world_.stats().pushes;
      if (done.round != asked.round) fail(fmt::format("completed as round {}", done.round));
      if (!oracle_.PushIsIn(in_life, rank(), asked.round, oracle_.committed(in_life))) {
        fail(fmt::format("completed at version {}", oracle_.committed(in_life)));
      }
      return;
    case Op::kPull: {
      ++world_.stats().pulls;
      if (!world_.params().async && asked.round != 0 && done.round != asked.round) {
        fail(fmt::format("completed with version {}", done.round));
      }
      if (done.round > oracle_.committed(in_life)) {
        fail(fmt::format("completed with version {}, which is not committed", done.round));
      }
      if (!oracle_.PushIsIn(in_life, rank(), asked.round, done.round)) {
        fail(fmt::format("completed with version {}, without its own last push", done.round));
      }
      const uint64_t value = oracle_.Value(in_life, done.round);
      const uint64_t expected = asked.ids == 0 ? value : RowsOf(value, asked.ids);
      if (done.data.size() != 8 || NumberOf(done.data) != expected) {
        fail(fmt::format("{:016x} expected as version {}, got {:016x}", expected, done.round,
                         NumberOf(done.data)));
      }
      return;
    }
    case Op::kReadState: {
      const auto page = DecodeStatePage(done.data);
      if (!page.ok()) return fail("a page expected, got " + page.status().ToString());
      page->data.CopyTo(reinterpret_cast<uint8_t*>(&states_[asked.id]) + page->from);
      if (page->more) AskState(Op::kReadState, asked.id, EncodeStateCursor({0, page->to, false}));
      return;
    }
    default:
      return;
  }
}

std::string WorkerNode::Describe() const {
  static constexpr const char* kStates[] = {"starting", "running", "finished",
                                            "failed",   "crashed", "turned away"};
  std::string text = fmt::format("{} {}", world_.name(process_), kStates[static_cast<int>(state_)]);
  if (state_ == State::kFailed) return text + ": " + failure_.ToString();
  if (state_ != State::kRunning) return text;
  text += fmt::format(" (rank {}) at action {} of {}", rank(), at_,
                      programs_.ranks[rank()].actions.size());
  if (!begun()) return text + ", the job has not begun";
  int named = 0;
  for (const WaitInfo& info : client_->WaitingFor(Tickets())) {
    if (++named > 3) break;
    text += fmt::format(", waits for {} {:x}/{} r{} at server {} shard {}{}", OpName(info.op),
                        info.id.key & 0xfff, info.id.part, info.round, info.shard.server,
                        info.shard.shard, info.connected ? "" : " (not connected)");
  }
  return text + fmt::format(", {} requests open", client_->open_requests());
}

}  // namespace kvstore::sim
