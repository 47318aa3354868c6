#include "tests/simulation/reader_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace kvstore::sim {

ReaderNode::ReaderNode(World& world, Network& network, SchedulerNode& scheduler, Oracle& oracle,
                       const std::deque<Programs>& programs, Cluster& cluster, uint32_t index)
    : world_(world),
      network_(network),
      scheduler_(scheduler),
      oracle_(oracle),
      programs_(programs),
      cluster_(cluster),
      process_(world.AddProcess(fmt::format("reader process {}", index))),
      rng_(Mix64(world.params().seed + 31000 + index)) {}

void ReaderNode::Start() {
  world_.Begin(process_);
  client_.reset();
  streams_.clear();
  asked_.clear();
  known_.clear();
  job_ = 0;
  over_ = leaving_ = false;
  wrong_type_ = rng_.Permille(50);
  MembershipOptions options = world_.params().membership;
  options.registration.set_role(v1::ROLE_READER);
  options.registration.set_address(fmt::format("reader:{}", 100 + rng_.Below(900)));
  options.registration.set_nonce(rng_.Next() | 1);
  options.registration.set_protocol(kProtocolVersion);
  options.registration.set_store_type(wrong_type_ ? "another" : world_.params().StoreType());
  member_ = std::make_unique<Member>(world_, network_, scheduler_, process_, std::move(options),
                                     [this](const MembershipOutbox& out) { OnLearned(out); });
  member_->Start();
  const uint64_t how = rng_.Below(3);
  if (how == 0) {
    world_.After(rng_.Between(0, 9000), process_, [this] {
      world_.stats().Count(Fault::kReaderDied);
      End();
    });
  } else if (how == 1) {
    world_.After(rng_.Between(0, 9000), process_, [this] {
      leaving_ = true;
      member_->Leave();
    });
  }
}

void ReaderNode::End() {
  world_.Kill(process_);
  network_.ProcessDied(process_);
  world_.Outside(rng_.Between(1, 4000), [this] { Start(); });
}

void ReaderNode::OnLearned(const MembershipOutbox& out) {
  if (!world_.up(process_)) return;
  if (out.refused) {
    const bool type = wrong_type_ && absl::IsFailedPrecondition(*out.refused);
    // It was away for longer than a whole job.
    const bool late = absl::IsAborted(*out.refused) && job_ != 0 && job_ < oracle_.job();
    if (!type && !late) world_.Fail("S10: a reader is refused: " + out.refused->ToString());
    return End();
  }
  if (out.left) {
    if (!leaving_) world_.Fail("S10: a reader is told that it left; it did not");
    return End();
  }
  if (out.proposal || !out.barriers.empty()) {
    world_.Fail("S10: a reader is asked to take part in a job");
  }
  if (out.routing != nullptr) OnRouting(out.routing);
  if (out.job_ended) {
    if (out.job_ended->job() != job_) {
      world_.Fail(fmt::format("S10: a reader of job {} is told of the end of job {}", job_,
                              out.job_ended->job()));
    }
    over_ = true;
    world_.stats().Count(Fault::kReaderToldTheEnd);
    const absl::Status why = absl::FailedPreconditionError("the job is over");
    Run([&](ClientOutbox* o) { client_->OnJobEnded(why, o); });
    if (!asked_.empty()) world_.Fail("C6: a reader's requests stay open although the job ended");
    End();
  }
}

void ReaderNode::OnRouting(const RoutingPtr& routing) {
  if (wrong_type_) world_.Fail("S10: a reader that names another type is told the table");
  if (!scheduler_.HasBegun(routing->job)) {
    world_.Fail(fmt::format("S10: a reader is told the table of job {}, which has not begun",
                            routing->job));
  }
  if (job_ != 0 && job_ != routing->job) {
    world_.Fail(
        fmt::format("S10: a reader of job {} is told the table of job {}", job_, routing->job));
  }
  job_ = routing->job;
  if (client_ == nullptr) {
    const v1::Registered& self = *member_->core().identity();
    client_ = std::make_unique<ClientCore>(world_.params().client, self.cluster(), self.rank(),
                                           self.incarnation());
    alarm_ = std::make_unique<Alarm>(world_, process_, [this] {
      Run([this](ClientOutbox* o) { client_->OnTimer(world_.clock_ms(process_), o); });
    });
    world_.After(rng_.Between(0, 200), process_, [this] { Act(); });
  }
  Run([&](ClientOutbox* o) { client_->OnRouting(world_.clock_ms(process_), routing, o); });
}

void ReaderNode::Act() {
  if (over_ || leaving_) return;
  if (asked_.size() < 8) AskSomething();
  world_.After(rng_.Between(1, 400), process_, [this] { Act(); });
}

void ReaderNode::AskSomething() {
  const std::vector<KeySpec>& keys = programs_[job_ - 1].keys;
  const auto key = static_cast<uint32_t>(rng_.Below(keys.size()));
  const uint32_t parts = world_.params().key_parts[key];
  const PartId id{keys[key].key, static_cast<PartIndex>(rng_.Below(parts))};
  PartRequest request;
  request.id = id;
  request.ticket = ++last_ticket_;
  Asked asked{Op::kInit, id, key};
  const auto known = known_.find(id);
  request.op = asked.op = known == known_.end() ? Op::kInit : Op::kPull;
  if (request.op == Op::kInit) {
    const bool asks = std::any_of(asked_.begin(), asked_.end(), [&](const auto& other) {
      return other.second.op == Op::kInit && other.second.id == id;
    });
    if (asks) return;
    KeySpec spec;
    spec.key = id.key;
    spec.name = keys[key].name;
    spec.shape_unknown = true;
    request.key = std::make_shared<const KeySpec>(std::move(spec));
  } else {
    asked.learned = known->second.question;
    asked.at_least = known->second.version;
    // What another part of the key has had this one will have, too.
    if (!world_.params().async && rng_.Permille(300)) {
      for (const auto& [other, of_other] : known_) {
        if (other.key == id.key) request.version = std::max(request.version, of_other.version);
      }
      asked.at_least = std::max(asked.at_least, request.version);
    }
    if (world_.params().row_sparse[key]) asked.ids = rng_.Below(3);
    if (asked.ids != 0) {
      request.piece.data = NumberPayload(asked.ids);
      request.piece.rows = 1;
    }
  }
  asked_[request.ticket] = asked;
  std::vector<PartRequest> requests;
  requests.push_back(std::move(request));
  Run([&](ClientOutbox* out) {
    client_->Submit(world_.clock_ms(process_), std::move(requests), out);
  });
}

template <typename Call>
void ReaderNode::Run(Call call) {
  ClientOutbox out;
  call(&out);
  for (const ShardAddress shard : out.dial) Dial(shard);
  for (const ClientOutbox::Send& send : out.frames) {
    const auto stream = streams_.find(send.to);
    if (stream == streams_.end()) world_.Fail(world_.name(process_) + " sends without a stream");
    ++world_.stats().frames;
    const RequestInTransit transit(send.frame, world_.params().encode_frames, rng_);
    network_.ToAcceptor(stream->second, [this, id = stream->second, to = send.to, transit] {
      cluster_.DeliverToServer(id, to, transit);
    });
  }
  for (const Completion& done : out.done) OnDone(done);
  alarm_->Arm(client_->NextTimerMs());
}

void ReaderNode::Dial(ShardAddress shard) {
  const ProcessId server =
      cluster_.ServerAt(member_->core().routing()->servers[shard.server].address);
  streams_[shard] = network_.Dial(
      process_, server, /*lossy=*/true,
      [this, shard] {
        Run([&](ClientOutbox* out) { client_->OnStreamUp(world_.clock_ms(process_), shard, out); });
      },
      [this, shard] {
        streams_.erase(shard);
        Run([&](ClientOutbox*) { client_->OnStreamDown(world_.clock_ms(process_), shard); });
      });
}

void ReaderNode::OnReply(ConnId stream, const ReplyInTransit& transit) {
  const auto from = std::find_if(streams_.begin(), streams_.end(),
                                 [&](const auto& entry) { return entry.second == stream; });
  if (from == streams_.end()) return;
  const auto arrived = transit.Arrive();
  if (!arrived.ok()) world_.Fail("a server's frame: " + arrived.status().ToString());
  Run([&, shard = from->first](ClientOutbox* out) {
    client_->OnFrame(world_.clock_ms(process_), shard, **arrived, out);
  });
}

void ReaderNode::OnDone(const Completion& done) {
  const auto it = asked_.find(done.ticket);
  if (it == asked_.end()) world_.Fail("C4: a reader is told a completion that is over already");
  const Asked asked = it->second;
  asked_.erase(it);
  // Late answers of a job that is over, which the oracle has forgotten.
  if (over_ || job_ != oracle_.job()) return;
  if (asked.op == Op::kPull) return CheckPull(done, asked);
  if (!done.status.ok()) world_.Fail("a reader's question fails: " + done.status.ToString());
  const KeySpec& spec = programs_[job_ - 1].keys[asked.key];
  if (done.key == nullptr || done.key->shape != spec.shape || done.key->storage != spec.storage) {
    world_.Fail("I14: a reader is not told what the key is");
  }
  known_[asked.id] = {done.ticket, 0};
}

void ReaderNode::CheckPull(const Completion& done, const Asked& asked) {
  const auto known = known_.find(asked.id);
  const bool same = known != known_.end() && known->second.question == asked.learned;
  if (absl::IsNotFound(done.status)) {
    // Its life is over, or it was taken back before anybody pushed to it.
    if (!oracle_.IsDeleted(asked.id.key) && !world_.params().inits_taken_back) {
      world_.Fail("a reader's pull finds no value: " + done.status.ToString());
    }
    if (same) known_.erase(known);
    return;
  }
  if (!done.status.ok()) world_.Fail("a reader's pull fails: " + done.status.ToString());
  ++world_.stats().pulls;
  world_.stats().Count(Fault::kReaderPulled);
  if (done.data.size() != 8 || !IsValue(asked, done.round, NumberOf(done.data))) {
    world_.Fail(fmt::format("I14: a reader is given a value of part {} that is not version {}",
                            asked.id.part, done.round));
  }
  if (done.round < asked.at_least) {
    world_.Fail(fmt::format("I14: a reader is given version {} of part {}, not {} or a later one",
                            done.round, asked.id.part, asked.at_least));
  }
  if (same) known->second.version = std::max(known->second.version, done.round);
}

bool ReaderNode::IsValue(const Asked& asked, Round version, uint64_t number) const {
  // Which life of the part the value is of only the servers know.
  const uint64_t lives = world_.params().two_lives() ? 2 : 1;
  for (uint64_t life = 0; life < lives; ++life) {
    const PartId id = InLife(asked.id, life);
    if (version > oracle_.committed(id)) continue;
    const uint64_t value = oracle_.Value(id, version);
    if (number == (asked.ids == 0 ? value : RowsOf(value, asked.ids))) return true;
  }
  return false;
}

}  // namespace kvstore::sim
