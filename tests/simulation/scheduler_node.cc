#include "tests/simulation/scheduler_node.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace kvstore::sim {
namespace {

// For traces: messages of the lite runtime cannot print themselves.
std::string KindName(const v1::NodeMessage& message) {
  switch (message.kind_case()) {
    case v1::NodeMessage::kRegister:
      return fmt::format("register as {} of nonce {:x}", v1::Role_Name(message.register_().role()),
                         message.register_().nonce());
    case v1::NodeMessage::kHeartbeat:
      return "heartbeat";
    case v1::NodeMessage::kBarrier:
      return fmt::format("barrier {}", message.barrier().generation());
    case v1::NodeMessage::kLeave:
      return "leave";
    case v1::NodeMessage::kFailed:
      return "failed: " + message.failed().message();
    case v1::NodeMessage::kConfirm:
      return fmt::format("confirm attempt {:x}", message.confirm().attempt());
    case v1::NodeMessage::kNotReady:
      return fmt::format("not ready in attempt {:x}", message.not_ready().attempt());
    case v1::NodeMessage::kBegin:
      return "begin";
    case v1::NodeMessage::KIND_NOT_SET:
      break;
  }
  return "nothing";
}

std::string KindName(const v1::SchedulerMessage& message) {
  switch (message.kind_case()) {
    case v1::SchedulerMessage::kRegistered:
      return fmt::format("registered as rank {} incarnation {} of term {}, job {}",
                         message.registered().rank(), message.registered().incarnation(),
                         message.registered().term(), message.registered().job());
    case v1::SchedulerMessage::kRouting:
      return fmt::format("routing of epoch {}, job {}", message.routing().epoch(),
                         message.routing().job());
    case v1::SchedulerMessage::kBarrier:
      return fmt::format("barrier {}: {} {}", message.barrier().generation(),
                         message.barrier().code(), message.barrier().message());
    case v1::SchedulerMessage::kLeave:
      return "left";
    case v1::SchedulerMessage::kRefused:
      return fmt::format("refused: {} {}", message.refused().code(), message.refused().message());
    case v1::SchedulerMessage::kJobEnded:
      return fmt::format("job {} ended: {} {}", message.job_ended().job(),
                         message.job_ended().code(), message.job_ended().message());
    case v1::SchedulerMessage::kNodeHealth:
      return fmt::format("{} {} is {}", v1::Role_Name(message.node_health().role()),
                         message.node_health().rank(),
                         v1::Health_Name(message.node_health().health()));
    case v1::SchedulerMessage::kProposal:
      return fmt::format("proposal of attempt {:x}, job {}", message.proposal().attempt(),
                         message.proposal().job());
    case v1::SchedulerMessage::kBegun:
      return "begun";
    case v1::SchedulerMessage::KIND_NOT_SET:
      break;
  }
  return "nothing";
}

}  // namespace

SchedulerNode::SchedulerNode(World& world, Network& network, Told& told)
    : world_(world),
      network_(network),
      told_(told),
      process_(world.AddProcess("scheduler")),
      rng_(world.rng().Fork()) {}

void SchedulerNode::Start() {
  world_.Begin(process_);
  told_.SchedulerStarted();
  network_.OnClosedAt(process_, [this](ConnId id) {
    Run([&](SchedulerOutbox* out) { core_->OnSessionDown(world_.clock_ms(process_), id, out); });
  });
  alarm_ = std::make_unique<Alarm>(world_, process_, [this] {
    Run([&](SchedulerOutbox* out) { core_->OnTimer(world_.clock_ms(process_), out); });
  });
  if (durable_) {
    const absl::Status usable = SchedulerCore::CheckState(world_.params().scheduler, *durable_);
    if (!usable.ok()) world_.Fail("the scheduler cannot go on: " + usable.ToString());
  }
  if (world_.tracing()) world_.Trace("scheduler starts");
  Run([&](SchedulerOutbox* out) {
    core_ = std::make_unique<SchedulerCore>(world_.params().scheduler, durable_, rng_.Next(),
                                            world_.clock_ms(process_), out);
  });
}

void SchedulerNode::Crash() {
  if (writing_) {
    const bool made_it = rng_.Coin();
    if (made_it) OnDisk();
    world_.stats().Count(made_it ? Fault::kPersistSurvived : Fault::kPersistLost);
  }
  if (world_.tracing()) world_.Trace("scheduler crashes");
  writing_.reset();
  untold_ = {};
  core_.reset();
  alarm_.reset();
  world_.Kill(process_);
  network_.ProcessDied(process_);
}

void SchedulerNode::Expect(ConnId id, uint64_t nonce, Reader deliver) {
  readers_[id] = {nonce, std::move(deliver)};
}

void SchedulerNode::OnMessage(ConnId id, const v1::NodeMessage& message) {
  if (world_.tracing() && !message.has_heartbeat()) {
    world_.Trace(
        fmt::format("scheduler < {}: {}", world_.name(network_.dialler(id)), KindName(message)));
  }
  if (message.has_confirm()) told_.Confirmed(readers_.at(id).first, message.confirm());
  Run([&](SchedulerOutbox* out) { core_->OnMessage(world_.clock_ms(process_), id, message, out); });
}

template <typename Call>
void SchedulerNode::Run(Call call) {
  SchedulerOutbox out;
  call(&out);
  if (world_.tracing()) {
    for (const auto& line : out.log) world_.Trace("scheduler: " + line.text);
  }
  alarm_->Arm(core_->NextTimerMs());
  auto state = std::exchange(out.persist, std::nullopt);
  untold_.Add(std::move(state), [this, out = std::move(out)] { SendOut(out); });
  Write();
}

void SchedulerNode::Write() {
  std::optional<v1::SchedulerState> state = untold_.NextWrite();
  if (!state) return;
  writing_ = std::move(state);
  const Params& p = world_.params();
  int64_t ms = rng_.Between(0, p.disk_ms);
  if (!world_.healed() && rng_.Permille(p.disk_slow_permille)) ms += rng_.Between(0, kDiskSlowMs);
  const bool fails = !world_.healed() && rng_.Permille(p.disk_fails_permille);
  world_.After(ms, process_, [this, fails] {
    if (fails) {
      // Whether the state is on disk nobody knows; the process ends.
      world_.stats().Count(Fault::kDiskFailed);
      Crash();
      world_.Outside(rng_.Between(1, 2000), [this] { Start(); });
      return;
    }
    OnDisk();
    untold_.Written();
    Write();
  });
}

void SchedulerNode::OnDisk() {
  durable_ = std::exchange(writing_, std::nullopt);
  if (durable_->begun()) told_.BegunOnDisk(durable_->job());
}

void SchedulerNode::SendOut(const SchedulerOutbox& out) {
  for (const SchedulerOutbox::Message& message : out.messages) {
    ++world_.stats().messages;
    if (message.message.has_registered()) {
      told_.Registered(readers_.at(message.session).first, message.message.registered());
    }
    if (message.message.has_routing()) told_.Routing(message.message.routing());
    if (message.message.has_proposal()) told_.Proposed(message.message.proposal());
    if (message.message.has_job_ended()) told_.JobEnded(message.message.job_ended().job());
    const bool reads = told_.IsReader(readers_.at(message.session).first);
    if (message.message.has_begun() || (message.message.has_leave() && !reads) ||
        (message.message.has_barrier() && message.message.barrier().code() == 0)) {
      told_.Begun();
    }
    const auto copy = std::make_shared<const v1::SchedulerMessage>(message.message);
    network_.ToDialler(message.session, [this, id = message.session, copy] {
      if (world_.tracing()) {
        world_.Trace(
            fmt::format("{} < scheduler: {}", world_.name(network_.dialler(id)), KindName(*copy)));
      }
      readers_.at(id).second(*copy);
    });
  }
  for (const SessionId id : out.close) network_.Close(id, /*by_acceptor=*/true);
}

std::string SchedulerNode::StateName() const {
  return core_ == nullptr ? "down" : core_->Status(world_.clock_ms(process_)).state();
}

}  // namespace kvstore::sim
