#include "common/membership/scheduler_session.h"

#include <utility>

#include "common/transport/methods.h"

namespace kvstore {

SchedulerSession::SchedulerSession(Transport* transport, EventLoop* loop, std::string scheduler,
                                   MembershipOptions options, Learned learned)
    : transport_(transport),
      loop_(loop),
      scheduler_(std::move(scheduler)),
      core_(std::move(options)),
      learned_(std::move(learned)),
      timer_(loop, [this] {
        Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
          core.OnTimer(now_ms, out);
        });
      }) {}

SchedulerSession::~SchedulerSession() = default;

void SchedulerSession::Start() {
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) { core.Start(now_ms, out); });
}

uint64_t SchedulerSession::Barrier(uint64_t deadline_ms) {
  uint64_t generation = 0;
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    generation = core.Barrier(now_ms, deadline_ms, out);
  });
  return generation;
}

void SchedulerSession::Confirm(uint64_t attempt) {
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.Confirm(now_ms, attempt, out);
  });
}

void SchedulerSession::NotReady(uint64_t attempt, const std::string& why) {
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.NotReady(now_ms, attempt, why, out);
  });
}

void SchedulerSession::Begin() {
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) { core.Begin(now_ms, out); });
}

void SchedulerSession::Leave() {
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) { core.Leave(now_ms, out); });
}

void SchedulerSession::ReportFailure(const std::string& message) {
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.ReportFailure(now_ms, message, out);
  });
}

void SchedulerSession::Stop() {
  stopped_ = true;
  stream_.reset();
}

template <typename Call>
void SchedulerSession::Run(Call call) {
  if (stopped_) return;
  MembershipOutbox out;
  call(core_, SteadyNowMs(), &out);
  for (const v1::NodeMessage& message : out.messages) {
    if (stream_ != nullptr) stream_->Send(Payload::CopyOf(message.SerializeAsString()));
  }
  if (out.close) stream_.reset();
  if (!core_.last_put_off().empty()) trouble_ = core_.last_put_off();
  if (out.dial) Dial();
  timer_.Arm(core_.NextTimerMs());
  learned_(out);
}

// A stream may be used as soon as it is dialled: what is sent waits for the connection, and the
// core's own deadline on the answer to Register does the rest.
void SchedulerSession::Dial() {
  StreamEvents events;
  events.on_message = [this](const Payload& bytes) { OnMessage(bytes); };
  events.on_closed = [this](const absl::Status& status) { OnClosed(status); };
  stream_ = transport_->Dial(*loop_, scheduler_, kSchedulerSessionMethod, std::move(events));
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.OnSessionUp(now_ms, out);
  });
}

void SchedulerSession::OnMessage(const Payload& bytes) {
  v1::SchedulerMessage message;
  if (!message.ParseFromString(bytes.ToString())) {
    return OnClosed(absl::InternalError("the scheduler sent bytes that are no SchedulerMessage"));
  }
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.OnMessage(now_ms, message, out);
  });
}

void SchedulerSession::OnClosed(const absl::Status& status) {
  stream_.reset();
  trouble_ = status.ok() ? "the scheduler closed the session" : std::string(status.message());
  Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.OnSessionDown(now_ms, out);
  });
}

}  // namespace kvstore
