#include "common/transport/grpc/grpc_stream.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "common/base/check.h"
#include "common/transport/grpc/grpc_payload.h"

namespace kvstore {

void GrpcStream::SetEvents(StreamEvents events) {
  KVS_CHECK(InLoop());
  events_ = std::make_shared<StreamEvents>(std::move(events));
}

void GrpcStream::Send(Payload message) {
  KVS_CHECK(InLoop());
  if (over_ || winding_down_) return;
  if (message.size() > message_bytes_max_) {
    Fail(absl::ResourceExhaustedError(fmt::format("message: at most {} bytes expected, got {}",
                                                  message_bytes_max_, message.size())));
    return;
  }
  queued_bytes_ += message.size();
  queue_.push_back(std::move(message));
  WriteNext();
}

void GrpcStream::Close() {
  KVS_CHECK(InLoop());
  // Destroying what the events hold may destroy the last handle, which closes again.
  const std::shared_ptr<StreamEvents> events = std::move(events_);
  if (over_) return;
  WindDown();
}

void GrpcStream::Abort() {
  events_.reset();
  DropQueue();
  Cancel();
}

void GrpcStream::Open() {
  open_ = true;
  reading_ = true;
  StartRead(&read_message_, &read_tag_);
  WriteNext();
}

void GrpcStream::TellOpen() {
  const std::shared_ptr<StreamEvents> events = events_;
  if (events != nullptr && events->on_open) events->on_open();
}

void GrpcStream::WindDown() {
  if (winding_down_) return;
  winding_down_ = true;
  if (!open_ && queue_.empty()) {
    Cancel();  // still connecting, and nothing to say
    return;
  }
  WriteNext();
  CancelLater();
}

void GrpcStream::CancelLater() {
  try {
    loop_->PostAfter(kCloseLingerMs, [weak = weak_from_this()] {
      const std::shared_ptr<GrpcStream> self = weak.lock();
      if (self != nullptr && !self->over_) self->Break();
    });
  } catch (const std::bad_alloc&) {
    Break();
  }
}

void GrpcStream::Break() {
  DropQueue();
  Cancel();
}

// Allocates nothing, and owners' destructors run when nothing is half-done here.
void GrpcStream::DropQueue() {
  while (!queue_.empty()) {
    const Payload dropped = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= dropped.size();
  }
}

void GrpcStream::WriteNext() {
  if (!open_ || writing_ || ended_) return;
  if (!queue_.empty()) {
    const Payload message = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= message.size();
    try {
      written_message_ = ToByteBuffer(message);
      writing_ = true;
    } catch (const std::bad_alloc&) {
      Break();  // messages arrive whole and in order, or the stream ends
    }
  }
  if (writing_) {
    StartWrite(written_message_, &write_tag_);
  } else if (winding_down_ && queue_.empty()) {
    ended_ = true;
    ending_ = true;
    StartEnd(&end_tag_);
  }
}

void GrpcStream::OnWritten(bool ok) {
  writing_ = false;
  written_message_.Clear();
  if (!ok) DropQueue();  // the call is dead; the read tells when
  WriteNext();
  FinishIfOver();
}

void GrpcStream::OnRead(bool ok) {
  reading_ = false;
  if (!ok) {
    OnReadsOver();
    FinishIfOver();
    return;
  }
  try {
    Deliver(TakePayload(&read_message_));
  } catch (const std::bad_alloc&) {
    Break();  // the next read ends the stream
  }
  reading_ = true;
  StartRead(&read_message_, &read_tag_);
}

void GrpcStream::Deliver(Payload message) {
  const std::shared_ptr<StreamEvents> events = events_;
  if (events != nullptr && events->on_message) events->on_message(std::move(message));
}

void GrpcStream::OnEnded(bool) {
  ending_ = false;
  FinishIfOver();
}

void GrpcStream::FinishIfOver() {
  if (over_ || reading_ || writing_ || ending_ || !IsOver()) return;
  over_ = true;
  DropQueue();
  const std::shared_ptr<GrpcStream> self = shared_from_this();
  const std::shared_ptr<StreamEvents> events = std::move(events_);
  if (events != nullptr && events->on_closed) {
    absl::Status status(absl::StatusCode::kUnavailable, "");  // for want of memory for words
    try {
      status = FinalStatus();
    } catch (const std::bad_alloc&) {
    }
    events->on_closed(std::move(status));
  }
  OnReleased();
  loop_->Release(this);
}

}  // namespace kvstore
