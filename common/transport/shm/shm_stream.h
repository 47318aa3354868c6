// ShmStream: a stream whose large messages go through memory that both ends share, and everything
// else over another stream. Order is that of the other stream: a message in a lane (lane.h) is
// announced on it by a short one.
//
//   dialling end                        accepting end
//   makes memory, kOffer          =>    opens it
//                                 <=    kAnswer: yes, or why not
//   kInline message               =>    (before the answer, and always for small messages)
//   copies a message into lane 0
//   kInLane, where                =>    reads it there, marks it as read
//   no room: keeps what is sent
//                                 <=    kRoom, when enough was read
//
// Where the answer is no, all messages go inline, and the stream is as good as the one beneath it.
// A lane cannot hold a stream up for good: a message that has waited for room for `room_wait_ms`
// goes inline, whoever holds on to the blocks.
//
// Without memory: what Send throws has not been sent. What waits and cannot be sent for want of
// memory breaks the stream; what cannot when it is closed is lost with it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/transport/shm/envelope.h"
#include "common/transport/shm/lane.h"
#include "common/transport/transport.h"

namespace kvstore {

// Below this a message goes inline: what it takes to announce it would cost more than its copies.
inline constexpr size_t kLaneMessageBytesMin = 16 << 10;

// How an end is made; see ShmTransportOptions.
struct ShmEndOptions {
  bool takes_memory = true;  // an accepting end; if not, it declines
  uint32_t blocks = 0;       // a dialling end
  int64_t room_wait_ms = 0;
};

// One end. Loop-bound.
class ShmEnd : public std::enable_shared_from_this<ShmEnd> {
 public:
  // A dialling end. `memory` is offered to the other one.
  static std::unique_ptr<MessageStream> Dial(Transport& transport, EventLoop& loop,
                                             const std::string& address, const std::string& method,
                                             std::shared_ptr<SharedMemory> memory,
                                             const ShmEndOptions& options, StreamEvents events);
  // An accepting end.
  static std::unique_ptr<MessageStream> Accept(EventLoop& loop, const ShmEndOptions& options,
                                               std::unique_ptr<MessageStream> stream);

  ShmEnd(EventLoop* loop, bool dials, const ShmEndOptions& options)
      : loop_(loop), dials_(dials), options_(options) {}

  // What MessageStream offers; see there.
  void SetEvents(StreamEvents events);
  void Send(Payload message);
  void Close();
  size_t queued_bytes() const { return pending_bytes_ + stream_->queued_bytes(); }
  std::string peer() const { return stream_->peer(); }
  Identity caller() const { return stream_->caller(); }
  bool shares_memory() const { return sender_.has_value() && !sender_->broken(); }

 private:
  // Waits for room with the end; dropped by a loop that stops, it drops what has waited.
  class RoomWait;

  StreamEvents EventsOf();
  void OnMessage(const Payload& message);
  void OnClosed(absl::Status status);
  void OnOffer(const Payload& message);
  void OnAnswer(const Payload& message);
  void OnInLane(const Payload& message);
  void Deliver(Payload message);
  // The other end does not keep to what is agreed.
  void Violated(const char* what);
  // Sends what waits, as far as there is room; after a wait without any the first of it inline.
  void SendPending();
  bool GoesInLane(const Payload& message) const;
  bool SendInLane(const Payload& message);  // false: it goes inline, or there is no room now
  // Looks again after a while. To be called before what waits does: it may throw.
  void WaitForRoom();
  void BreakWithoutMemory() noexcept;
  void DropPending();

  EventLoop* const loop_;
  const bool dials_;
  const ShmEndOptions options_;
  bool greeted_ = false;  // the offer was made, or came; the dialling end: the answer came
  bool closed_ = false;
  std::unique_ptr<MessageStream> stream_;
  // Shared, so that an event may destroy the stream while it runs. Null: nobody listens.
  std::shared_ptr<StreamEvents> events_;
  std::shared_ptr<SharedMemory> offered_;
  std::optional<LaneSender> sender_;
  std::optional<LaneReceiver> receiver_;
  // Waits for room in the lane, with all that was sent after it.
  std::deque<Payload> pending_;
  size_t pending_bytes_ = 0;
  int64_t waits_since_ms_ = 0;  // the first of them
  bool timer_runs_ = false;
  int64_t look_ms_ = 0;  // until the next look for room
};

}  // namespace kvstore
