#include "common/transport/shm/shm_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "common/base/check.h"

namespace kvstore {
namespace {

// When a sender that waits for room looks by itself, since the receiver tells of most: then, and
// after twice as long again and again if nothing has come of it, for a receiver that is stopped.
constexpr int64_t kLookMinMs = 1;
constexpr int64_t kLookMaxMs = 64;

class ShmStream final : public MessageStream {
 public:
  explicit ShmStream(std::shared_ptr<ShmEnd> end) : end_(std::move(end)) {}
  ~ShmStream() override { end_->Close(); }
  ShmStream(const ShmStream&) = delete;
  ShmStream& operator=(const ShmStream&) = delete;

  void SetEvents(StreamEvents events) override { end_->SetEvents(std::move(events)); }
  void Send(Payload message) override { end_->Send(std::move(message)); }
  size_t queued_bytes() const override { return end_->queued_bytes(); }
  void Close() override { end_->Close(); }
  std::string peer() const override { return end_->peer(); }
  Identity caller() const override { return end_->caller(); }
  bool shares_memory() const override { return end_->shares_memory(); }

 private:
  std::shared_ptr<ShmEnd> end_;
};

}  // namespace

class ShmEnd::RoomWait {
 public:
  explicit RoomWait(std::weak_ptr<ShmEnd> end) : end_(std::move(end)) {}
  ~RoomWait() {
    if (ran_) return;
    if (const auto end = end_.lock(); end != nullptr) end->DropPending();
  }
  RoomWait(const RoomWait&) = delete;
  RoomWait& operator=(const RoomWait&) = delete;
  void Run() {
    ran_ = true;
    const auto end = end_.lock();
    if (end == nullptr) return;
    end->timer_runs_ = false;
    try {
      end->SendPending();
    } catch (const std::bad_alloc&) {
      end->BreakWithoutMemory();
    }
  }

 private:
  const std::weak_ptr<ShmEnd> end_;
  bool ran_ = false;
};

std::unique_ptr<MessageStream> ShmEnd::Dial(Transport& transport, EventLoop& loop,
                                            const std::string& address, const std::string& method,
                                            std::shared_ptr<SharedMemory> memory,
                                            const ShmEndOptions& options, StreamEvents events) {
  const auto end = std::make_shared<ShmEnd>(&loop, /*dials=*/true, options);
  end->SetEvents(std::move(events));
  end->offered_ = std::move(memory);
  // Before the answer, so that what the other end sends after it can be read.
  end->receiver_.emplace(LaneMemory(end->offered_, options.blocks, 1));
  const Payload offer = EncodeOffer({end->offered_->name(), options.blocks});
  end->stream_ = transport.Dial(loop, address, method, end->EventsOf());
  end->stream_->Send(offer);
  return std::make_unique<ShmStream>(end);
}

std::unique_ptr<MessageStream> ShmEnd::Accept(EventLoop& loop, const ShmEndOptions& options,
                                              std::unique_ptr<MessageStream> stream) {
  const auto end = std::make_shared<ShmEnd>(&loop, /*dials=*/false, options);
  end->stream_ = std::move(stream);
  end->stream_->SetEvents(end->EventsOf());
  return std::make_unique<ShmStream>(end);
}

// The stream beneath belongs to the end: its events must not keep the end alive.
StreamEvents ShmEnd::EventsOf() {
  const std::weak_ptr<ShmEnd> weak = weak_from_this();
  StreamEvents events;
  events.on_message = [weak](const Payload& message) {
    if (const auto end = weak.lock(); end != nullptr) end->OnMessage(message);
  };
  events.on_closed = [weak](absl::Status status) {
    if (const auto end = weak.lock(); end != nullptr) end->OnClosed(std::move(status));
  };
  events.on_open = [weak] {
    const auto end = weak.lock();
    if (end == nullptr) return;
    const std::shared_ptr<StreamEvents> users = end->events_;
    if (users != nullptr && users->on_open) users->on_open();
  };
  return events;
}

void ShmEnd::SetEvents(StreamEvents events) {
  events_ = std::make_shared<StreamEvents>(std::move(events));
}

void ShmEnd::Send(Payload message) {
  if (closed_) return;
  if (pending_.empty()) {
    if (SendInLane(message)) return;
    if (!GoesInLane(message)) {
      stream_->Send(EncodeInline(message));
      return;
    }
    waits_since_ms_ = loop_->NowMs();
    look_ms_ = kLookMinMs;
  }
  WaitForRoom();
  const size_t bytes = message.size();
  pending_.push_back(std::move(message));
  pending_bytes_ += bytes;
}

// A message that is too long for any stream goes inline, where it ends this one.
bool ShmEnd::GoesInLane(const Payload& message) const {
  return message.size() >= kLaneMessageBytesMin && message.size() <= kMessageBytesMax &&
         sender_.has_value() && !sender_->broken() && sender_->Fits(message.size());
}

bool ShmEnd::SendInLane(const Payload& message) {
  if (!GoesInLane(message)) return false;
  const std::optional<Extent> extent = sender_->Put(message);
  if (!extent.has_value()) return false;
  try {
    stream_->Send(EncodeInLane(*extent));
  } catch (const std::bad_alloc&) {
    sender_->TakeBackUnannounced(*extent);
    throw;
  }
  return true;
}

void ShmEnd::SendPending() {
  while (!closed_ && !pending_.empty()) {
    const Payload& next = pending_.front();
    if (!SendInLane(next)) {
      if (GoesInLane(next) && loop_->NowMs() - waits_since_ms_ < options_.room_wait_ms) break;
      stream_->Send(EncodeInline(next));
    }
    pending_bytes_ -= next.size();
    pending_.pop_front();
    waits_since_ms_ = loop_->NowMs();
    look_ms_ = kLookMinMs;
  }
  if (!closed_ && !pending_.empty()) WaitForRoom();
}

void ShmEnd::WaitForRoom() {
  sender_->AskForRoom();
  if (timer_runs_) return;
  // Shared, since a task can be copied; only the last copy to go counts.
  const auto wait = std::make_shared<RoomWait>(weak_from_this());
  loop_->PostAfter(look_ms_, [wait] { wait->Run(); });
  timer_runs_ = true;
  look_ms_ = std::min(look_ms_ * 2, kLookMaxMs);
}

void ShmEnd::DropPending() {
  // Owners' destructors run when nothing is half-done here.
  const std::deque<Payload> dropped = std::move(pending_);
  pending_.clear();
  pending_bytes_ = 0;
}

void ShmEnd::Close() {
  // Destroying what the events hold may destroy the last handle, which closes again.
  const std::shared_ptr<StreamEvents> events = std::move(events_);
  if (closed_) return;
  closed_ = true;
  // What was sent before still goes out, if the peer takes it.
  try {
    for (const Payload& message : pending_) stream_->Send(EncodeInline(message));
  } catch (const std::bad_alloc&) {
  }
  DropPending();
  stream_->Close();
}

void ShmEnd::OnClosed(absl::Status status) {
  const std::shared_ptr<StreamEvents> events = std::move(events_);
  if (closed_) return;
  closed_ = true;
  DropPending();
  if (events != nullptr && events->on_closed) events->on_closed(std::move(status));
}

void ShmEnd::BreakWithoutMemory() noexcept {
  stream_->Close();
  OnClosed(absl::Status(absl::StatusCode::kUnavailable, ""));  // for want of memory for words
}

void ShmEnd::Violated(const char* what) {
  stream_->Close();
  OnClosed(absl::InvalidArgumentError(fmt::format("{}: {}", peer(), what)));
}

void ShmEnd::OnMessage(const Payload& message) {
  if (closed_) return;
  const std::optional<Envelope> kind = KindOf(message);
  if (!dials_ && !greeted_ && kind != Envelope::kOffer) {
    return Violated("an offer of shared memory expected first");
  }
  if (!kind.has_value()) return Violated("a message of no kind that there is");
  switch (*kind) {
    case Envelope::kOffer:
      return OnOffer(message);
    case Envelope::kAnswer:
      return OnAnswer(message);
    case Envelope::kInline:
      return Deliver(TakeInline(message));
    case Envelope::kInLane:
      return OnInLane(message);
    case Envelope::kRoom:
      return SendPending();
  }
}

void ShmEnd::OnOffer(const Payload& message) {
  const std::optional<LaneOffer> offer = DecodeOffer(message);
  if (dials_ || greeted_ || !offer.has_value()) return Violated("no offer of shared memory");
  greeted_ = true;
  LaneAnswer answer;
  if (!options_.takes_memory) {
    answer.why_not = "shared memory is off";
  } else {
    absl::StatusOr<std::shared_ptr<SharedMemory>> memory =
        SharedMemory::Open(offer->name, LaneMemory::BytesFor(offer->blocks));
    answer.accepted = memory.ok();
    if (memory.ok()) {
      receiver_.emplace(LaneMemory(*memory, offer->blocks, 0));
      sender_.emplace(LaneMemory(*memory, offer->blocks, 1));
    } else {
      answer.why_not = memory.status().ToString();
    }
  }
  stream_->Send(EncodeAnswer(answer));
}

void ShmEnd::OnAnswer(const Payload& message) {
  const std::optional<LaneAnswer> answer = DecodeAnswer(message);
  if (!dials_ || greeted_ || !answer.has_value()) return Violated("no answer to an offer");
  greeted_ = true;
  if (answer->accepted) {
    sender_.emplace(LaneMemory(offered_, options_.blocks, 0));
  } else {
    receiver_.reset();
  }
  offered_.reset();
}

void ShmEnd::OnInLane(const Payload& message) {
  const std::optional<Extent> extent = DecodeInLane(message);
  if (!extent.has_value() || !receiver_.has_value()) return Violated("no message in a lane");
  std::optional<Payload> taken = receiver_->Take(*extent);
  if (!taken.has_value()) return Violated("a message where none can lie in the lane");
  Deliver(*std::move(taken));
  if (!closed_ && receiver_->RoomIsDue()) stream_->Send(EncodeRoom());
}

void ShmEnd::Deliver(Payload message) {
  const std::shared_ptr<StreamEvents> events = events_;
  if (events != nullptr && events->on_message) events->on_message(std::move(message));
}

}  // namespace kvstore
