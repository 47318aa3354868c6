#include "common/membership/scheduler_session.h"

#include <new>
#include <utility>

#include "common/base/await_memory.h"
#include "common/transport/methods.h"

namespace kvstore {
namespace {

// Until what found no memory is tried again.
constexpr int64_t kPauseMs = 10;
// More is forgotten: whoever waits for it gives up at its deadline.
constexpr size_t kUnlearnedMax = 64;

}  // namespace

SchedulerSession::SchedulerSession(Transport* transport, EventLoop* loop, std::string scheduler,
                                   MembershipOptions options, Learned learned)
    : transport_(transport),
      loop_(loop),
      scheduler_(std::move(scheduler)),
      core_(std::move(options)),
      learned_(std::move(learned)),
      timer_(loop, [this] { OnTimer(); }) {
  unlearned_.reserve(kUnlearnedMax);
}

SchedulerSession::~SchedulerSession() = default;

void SchedulerSession::Start() noexcept {
  AwaitMemory([this] {
    Run([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
      core.Start(now_ms, out);
    });
  });
}

uint64_t SchedulerSession::Barrier(uint64_t deadline_ms) {
  uint64_t generation = 0;
  Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    generation = core.Barrier(now_ms, deadline_ms, out);
  });
  return generation;
}

void SchedulerSession::Confirm(uint64_t attempt) noexcept {
  TryRun([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.Confirm(now_ms, attempt, out);
  });
}

void SchedulerSession::NotReady(uint64_t attempt, const std::string& why) noexcept {
  TryRun([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
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
  MembershipCore draft = core_;
  MembershipOutbox out;
  call(draft, loop_->NowMs(), &out);
  std::vector<Payload> messages;
  messages.reserve(out.messages.size());
  for (const v1::NodeMessage& message : out.messages) {
    messages.push_back(Payload::CopyOf(message.SerializeAsString()));
  }
  std::string put_off = draft.last_put_off();
  core_ = std::move(draft);
  // From here on it has happened.
  if (!put_off.empty()) trouble_ = std::move(put_off);
  try {
    for (Payload& message : messages) {
      if (stream_ != nullptr) stream_->Send(std::move(message));
    }
    if (out.close) stream_.reset();
    if (out.dial) Dial();
  } catch (const std::bad_alloc&) {
    stream_.reset();
    broken_ = true;
  }
  Learn(std::move(out));
  CatchUp();
}

template <typename Call>
bool SchedulerSession::TryRun(Call call) noexcept {
  try {
    Run(call);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void SchedulerSession::Learn(MembershipOutbox out) noexcept {
  if (unlearned_.size() == kUnlearnedMax) return;
  unlearned_.push_back(std::move(out));
  LearnAll();
}

// In the order in which it happened: a routing table, for one, must not be learned before an older
// one. Whoever learns something may call the session (Confirm), which then has more to tell: that
// waits until this call is over.
void SchedulerSession::LearnAll() noexcept {
  if (std::exchange(learning_, true)) return;
  bool had_memory = true;
  while (had_memory && !unlearned_.empty()) {
    const MembershipOutbox& out = unlearned_.front();
    try {
      learned_(out);
    } catch (const std::bad_alloc&) {
      had_memory = false;
    }
    if (had_memory) unlearned_.erase(unlearned_.begin());
  }
  learning_ = false;
}

void SchedulerSession::CatchUp() noexcept {
  if (stopped_) return;
  LearnAll();
  if (std::exchange(broken_, false)) {
    broken_ = !TryRun([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
      core.OnSessionDown(now_ms, out);
    });
  }
  // Without an alarm nobody may call again: a session that is broken has no stream.
  AwaitMemory([this] {
    if (broken_ || !unlearned_.empty()) timer_.Arm(loop_->NowMs() + kPauseMs);
    timer_.Arm(core_.NextTimerMs());
  });
}

void SchedulerSession::OnTimer() noexcept {
  const bool ran = TryRun([](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
    core.OnTimer(now_ms, out);
  });
  if (!ran) CatchUp();
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

void SchedulerSession::OnMessage(const Payload& bytes) noexcept {
  try {
    v1::SchedulerMessage message;
    if (!message.ParseFromString(bytes.ToString())) {
      return OnClosed(absl::InternalError("the scheduler sent bytes that are no SchedulerMessage"));
    }
    Run([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
      core.OnMessage(now_ms, message, out);
    });
  } catch (const std::bad_alloc&) {
    stream_.reset();
    broken_ = true;
    CatchUp();
  }
}

void SchedulerSession::OnClosed(const absl::Status& status) noexcept {
  stream_.reset();
  // The scheduler's transport does not let this process call it: as final as a refusal in words.
  if (absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status)) {
    const bool told = TryRun([&](MembershipCore& core, int64_t now_ms, MembershipOutbox* out) {
      v1::SchedulerMessage message;
      message.mutable_refused()->set_code(static_cast<uint32_t>(status.code()));
      message.mutable_refused()->set_message(std::string(status.message()));
      core.OnMessage(now_ms, message, out);
    });
    if (told) return;
  }
  broken_ = true;
  try {
    trouble_ = status.ok() ? "the scheduler closed the session" : std::string(status.message());
  } catch (const std::bad_alloc&) {
  }
  CatchUp();
}

}  // namespace kvstore
