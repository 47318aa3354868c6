#include "server/scheduler/scheduler_service.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <new>
#include <random>
#include <utility>

#include "common/base/await_memory.h"
#include "common/base/clock.h"
#include "common/base/detached_status.h"
#include "common/base/status_macros.h"
#include "common/transport/methods.h"
#include "server/scheduler/advertised_address.h"
#include "server/scheduler/member_identity.h"

namespace kvstore {

namespace {

// Until what found no memory is tried again.
constexpr int64_t kPauseMs = 10;

ClusterId RandomClusterId() {
  std::random_device random;
  return (uint64_t{random()} << 32) | random();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SchedulerService>> SchedulerService::Start(
    SchedulerServiceOptions options, std::unique_ptr<StateFile> file, Transport* transport,
    SchedulerServiceEvents events) {
  std::optional<v1::SchedulerState> state;
  if (file != nullptr) {
    KVS_ASSIGN_OR_RETURN(state, file->Load());
    if (state) KVS_RETURN_IF_ERROR(SchedulerCore::CheckState(options.core, *state));
  }
  auto service = std::unique_ptr<SchedulerService>(
      new SchedulerService(std::move(options), std::move(file), transport, std::move(events)));
  KVS_RETURN_IF_ERROR(service->Begin(std::move(state)));
  KVS_RETURN_IF_ERROR(service->Listen(transport));
  return service;
}

SchedulerService::SchedulerService(SchedulerServiceOptions options, std::unique_ptr<StateFile> file,
                                   Transport* transport, SchedulerServiceEvents events)
    : options_(std::move(options)),
      file_(std::move(file)),
      events_(std::move(events)),
      loop_(transport->MakeServerLoop("scheduler")),
      writer_(file_ == nullptr ? nullptr : transport->MakeLoop("state")),
      silent_(absl::DeadlineExceededError(
          fmt::format("Register expected within {} ms", options_.first_message_ms))),
      too_many_silent_(absl::ResourceExhaustedError(fmt::format(
          "more than {} sessions that have not registered", options_.silent_sessions_max))),
      timer_(loop_.get(), [this] { OnTimer(); }) {}

namespace {

void WriteLog(const SchedulerOutbox& out) {
  for (const SchedulerOutbox::LogLine& line : out.log) {
    spdlog::log(line.warning ? spdlog::level::warn : spdlog::level::info, "{}", line.text);
  }
}

}  // namespace

SchedulerService::~SchedulerService() {
  // We are ending: the core must not take the sessions that end now for lost nodes.
  loop_->Post([this] { over_ = true; });
  if (listener_ != nullptr) listener_->Shutdown();
  listener_.reset();
  writer_.reset();
  loop_.reset();  // nothing runs any more; the rest is ours
}

// The new term is on disk before anybody can connect.
absl::Status SchedulerService::Begin(std::optional<v1::SchedulerState> state) {
  SchedulerOutbox out;
  core_ = std::make_unique<SchedulerCore>(options_.core, std::move(state), RandomClusterId(),
                                          loop_->NowMs(), &out);
  WriteLog(out);
  return file_ == nullptr ? absl::OkStatus() : file_->Save(*out.persist);
}

absl::Status SchedulerService::Listen(Transport* transport) {
  ListenOptions options;
  options.methods.push_back(
      {kSchedulerSessionMethod, loop_.get(),
       [this](std::unique_ptr<MessageStream> stream) { Accept(std::move(stream)); }});
  options.unary_methods.push_back(
      {kSchedulerStatusMethod, loop_.get(), [this](const Payload&, const UnaryReply& reply) {
         v1::ClusterStatus status = core_->Status(loop_->NowMs());
         untold_.Add(std::nullopt, [reply, status]() mutable {
           status.set_steady_ns(SteadyNowNs());
           reply(status.SerializeAsString());
         });
       }});
  loop_->Post([this] { timer_.Arm(core_->NextTimerMs()); });
  KVS_ASSIGN_OR_RETURN(listener_, transport->Listen(options_.listen, std::move(options)));
  return absl::OkStatus();
}

void SchedulerService::Accept(std::unique_ptr<MessageStream> stream) {
  const SessionId id = ++last_session_;
  loop_->PostAfter(options_.first_message_ms, [this, id] { OnSilence(id); });
  MessageStream* const raw = stream.get();
  sessions_[id].stream = std::move(stream);
  try {
    StreamEvents events;
    events.on_message = [this, id](const Payload& bytes) { OnMessage(id, bytes); };
    events.on_closed = [this, id](const absl::Status&) { OnClosed(id); };
    raw->SetEvents(std::move(events));
  } catch (const std::bad_alloc&) {
    sessions_.erase(id);
    throw;
  }
  if (++silent_sessions_ > options_.silent_sessions_max) RefuseAndClose(id, too_many_silent_);
}

void SchedulerService::OnSilence(SessionId id) noexcept {
  const auto session = sessions_.find(id);
  if (session == sessions_.end() || session->second.spoke) return;
  try {
    spdlog::warn("{} opened a session and said nothing for {} ms: closed",
                 session->second.stream->peer(), options_.first_message_ms);
  } catch (const std::bad_alloc&) {
  }
  RefuseAndClose(id, silent_);
}

void SchedulerService::OnMessage(SessionId id, const Payload& bytes) noexcept {
  try {
    Take(id, bytes);
  } catch (const std::bad_alloc&) {
    // Without a word: a refusal would be for good (but for UNAVAILABLE, which needs memory, too).
    if (const auto session = sessions_.find(id); session != sessions_.end()) Lose(&session->second);
  }
  CatchUp();
}

void SchedulerService::Take(SessionId id, const Payload& bytes) {
  Session& session = sessions_.at(id);
  if (session.closing || session.lost) return;
  if (!std::exchange(session.spoke, true)) --silent_sessions_;
  if (session.unanswered >= options_.unanswered_messages_max ||
      session.stream->queued_bytes() > options_.unread_bytes_max) {
    spdlog::warn("{} floods its session: closed", session.stream->peer());
    RefuseAndClose(id, absl::ResourceExhaustedError(fmt::format(
                           "at most {} messages without an answer and {} bytes unread expected, "
                           "got more",
                           options_.unanswered_messages_max, options_.unread_bytes_max)));
    return;
  }
  v1::NodeMessage message;
  if (!message.ParseFromString(bytes.ToString())) {
    spdlog::warn("{} sent {} bytes that are no NodeMessage", session.stream->peer(), bytes.size());
    RefuseAndClose(id, absl::InvalidArgumentError(fmt::format(
                           "a NodeMessage expected, got {} other bytes", bytes.size())));
    return;
  }
  if (message.has_register_()) {
    v1::Register* const wish = message.mutable_register_();
    absl::Status status = CheckRegistration(session.stream->caller(), wish);
    if (status.ok() && wish->role() == v1::ROLE_SERVER) {
      status = CheckAdvertisedAddress(wish->address(), session.stream->peer());
    }
    if (!status.ok()) {
      spdlog::warn("{}", std::string(status.message()));
      RefuseAndClose(id, status);
      return;
    }
  }
  ++session.unanswered;
  const bool taken = (message.has_heartbeat() && core_->OnHeartbeat(loop_->NowMs(), id)) ||
                     Run([&](SchedulerCore& core, int64_t now_ms, SchedulerOutbox* out) {
                       core.OnMessage(now_ms, id, message, out);
                     });
  if (!taken) throw std::bad_alloc();
  untold_.Add(std::nullopt, [this, id] {
    if (const auto it = sessions_.find(id); it != sessions_.end()) --it->second.unanswered;
  });
}

void SchedulerService::OnClosed(SessionId id) noexcept {
  Lose(&sessions_.at(id));
  CatchUp();
}

void SchedulerService::Lose(Session* session) noexcept {
  if (session->lost) return;
  if (!std::exchange(session->spoke, true)) --silent_sessions_;
  session->lost = true;
  ++lost_sessions_;
  session->stream->Close();
}

void SchedulerService::OnTimer() noexcept {
  Run([](SchedulerCore& core, int64_t now_ms, SchedulerOutbox* out) { core.OnTimer(now_ms, out); });
  CatchUp();
}

// Refuses a session by ourselves, without the core; the core only hears that the session is down,
// in case it knew it.
void SchedulerService::RefuseAndClose(SessionId id, const absl::Status& why) noexcept {
  const auto session = sessions_.find(id);
  if (session == sessions_.end() || session->second.lost) return;
  try {
    v1::SchedulerMessage refusal;
    refusal.mutable_refused()->set_code(static_cast<uint32_t>(why.code()));
    refusal.mutable_refused()->set_message(std::string(why.message()));
    session->second.stream->Send(Payload::CopyOf(refusal.SerializeAsString()));
  } catch (const std::bad_alloc&) {
  }
  OnClosed(id);
}

template <typename Call>
bool SchedulerService::Run(Call call) noexcept {
  if (over_) return true;
  std::shared_ptr<SchedulerOutbox> out;
  try {
    auto draft = std::make_unique<SchedulerCore>(*core_);
    out = std::make_shared<SchedulerOutbox>();
    call(*draft, loop_->NowMs(), out.get());
    auto state = std::exchange(out->persist, std::nullopt);
    if (file_ == nullptr) state.reset();
    untold_.Add(std::move(state), [this, out] { Apply(out); });
    core_ = std::move(draft);
  } catch (const std::bad_alloc&) {
    return false;
  }
  // The core has forgotten this session. What still comes in on it must not reach the core, which
  // would take it for a new session.
  for (const SessionId id : out->close) {
    if (const auto session = sessions_.find(id); session != sessions_.end()) {
      session->second.closing = true;
    }
  }
  Write();
  return true;
}

void SchedulerService::Write() noexcept {
  std::optional<v1::SchedulerState> state = untold_.NextWrite();
  if (!state) return;
  std::shared_ptr<v1::SchedulerState> shared;
  try {
    shared = std::make_shared<v1::SchedulerState>();
    shared->Swap(&*state);
    writer_->Post([this, shared] { Save(*shared); });
  } catch (const std::bad_alloc&) {
    if (shared != nullptr) state->Swap(shared.get());
    untold_.NotBegun(*std::move(state));
  }
}

// What depends on it is told only when this is done. So it waits for memory.
void SchedulerService::Save(const v1::SchedulerState& state) noexcept {
  std::optional<absl::Status> saved;
  AwaitMemory([&] {
    if (!saved) saved = Detached(file_->Save(state));
    loop_->Post([this, status = *saved] { OnWritten(status); });
  });
}

void SchedulerService::OnWritten(const absl::Status& status) noexcept {
  if (over_) return;
  if (!status.ok()) {
    // Nobody knows whether this state is on disk, so nothing that depends on it may be told.
    over_ = true;
    events_.on_broken(status);
    return;
  }
  untold_.Written();
  CatchUp();
}

void SchedulerService::Apply(const std::shared_ptr<const SchedulerOutbox>& out) noexcept {
  WriteLog(*out);
  for (const SchedulerOutbox::Message& message : out->messages) {
    const auto session = sessions_.find(message.session);
    if (session == sessions_.end() || session->second.lost) continue;
    try {
      session->second.stream->Send(Payload::CopyOf(message.message.SerializeAsString()));
    } catch (const std::bad_alloc&) {
      Lose(&session->second);  // the node comes back, and is told again
    }
  }
  for (const SessionId id : out->close) {
    const auto session = sessions_.find(id);
    if (session == sessions_.end()) continue;
    if (!session->second.spoke) --silent_sessions_;
    if (session->second.lost) --lost_sessions_;
    sessions_.erase(session);
  }
  if (out->job_ended) ending_ = out;
}

void SchedulerService::CatchUp() noexcept {
  if (over_) return;
  while (lost_sessions_ > 0) {
    const auto lost = std::find_if(sessions_.begin(), sessions_.end(),
                                   [](const auto& each) { return each.second.lost; });
    const SessionId id = lost->first;
    const bool told = Run([&](SchedulerCore& core, int64_t now_ms, SchedulerOutbox* out) {
      core.OnSessionDown(now_ms, id, out);
    });
    if (!told) break;
    if (sessions_.erase(id) > 0) --lost_sessions_;
  }
  Write();
  // A lost session is told to the core with an alarm or never: its node may be the last.
  AwaitMemory([this] {
    if (ending_ != nullptr) {
      // Before the process may end, nodes that are away for a moment have time to come back and
      // learn it.
      loop_->PostAfter(
          ending_->job_ended_untold == 0 ? 0 : options_.core.lost_dead_ms,
          [this, ended = *ending_->job_ended]() mutable { events_.on_job_over(std::move(ended)); });
      ending_ = nullptr;
    }
    if (lost_sessions_ > 0) timer_.Arm(loop_->NowMs() + kPauseMs);
    timer_.Arm(core_->NextTimerMs());
  });
}

}  // namespace kvstore
