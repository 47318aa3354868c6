#include "common/transport/inproc/inproc_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "common/base/await_memory.h"
#include "common/base/check.h"
#include "common/base/detached_status.h"
#include "common/tensor/buffer.h"

namespace kvstore {
namespace {

constexpr size_t kSliceBytes = 16384;

// The bytes as they come off a wire: other memory, other cuts.
Payload Transfer(const Payload& sent) {
  auto buffer = std::make_shared<Buffer>(sent.size());
  sent.CopyTo(buffer->data());
  Payload received;
  for (size_t offset = 0; offset < sent.size(); offset += kSliceBytes) {
    received.Append(
        Slice{buffer->data() + offset, std::min(kSliceBytes, sent.size() - offset), buffer});
  }
  return received;
}

// Slices without an owner are only good during Send.
Payload WithOwners(Payload message) {
  const auto slices = message.slices();
  const bool owned = std::all_of(slices.begin(), slices.end(),
                                 [](const Slice& slice) { return slice.owner != nullptr; });
  return owned ? std::move(message) : Transfer(message);
}

}  // namespace

void LoopEnd::Add(std::shared_ptr<InprocEnd> end) {
  if (stopped_) {
    end->End(absl::UnavailableError("the loop stopped"), /*tell=*/false);
  } else {
    ends_.insert(std::move(end));
  }
}

void LoopEnd::Remove(const std::shared_ptr<InprocEnd>& end) { ends_.erase(end); }

void LoopEnd::Stop() {
  stopped_ = true;
  const std::unordered_set<std::shared_ptr<InprocEnd>> ends = std::move(ends_);
  ends_.clear();
  for (const std::shared_ptr<InprocEnd>& end : ends) {
    end->End(absl::UnavailableError(fmt::format("{}: the loop stopped", end->peer())),
             /*tell=*/false);
  }
}

void InprocEnd::SetEvents(StreamEvents events) {
  KVS_CHECK(InLoop());
  events_ = std::make_shared<StreamEvents>(std::move(events));
}

void InprocEnd::Send(Payload message) {
  KVS_CHECK(InLoop());
  if (over_) return;
  if (message.size() > link_->message_bytes_max) {
    End(absl::ResourceExhaustedError(fmt::format("message: at most {} bytes expected, got {}",
                                                 link_->message_bytes_max, message.size())),
        /*tell=*/true);
    return;
  }
  const std::shared_ptr<InprocEnd> other = other_.lock();
  if (other == nullptr) return;  // it ended; the news is under way
  queued_bytes_.fetch_add(message.size(), std::memory_order_relaxed);
  other->PostReceive(WithOwners(std::move(message)));
}

void InprocEnd::PostOpen() {
  loop_->tasks().Post([self = shared_from_this()] {
    const std::shared_ptr<StreamEvents> events = self->events_;
    if (!self->over_ && events != nullptr && events->on_open) events->on_open();
  });
}

void InprocEnd::PostReceive(Payload message) {
  loop_->tasks().Post([self = shared_from_this(), message = std::move(message)]() mutable {
    if (const auto sender = self->other_.lock(); sender != nullptr) {
      sender->queued_bytes_.fetch_sub(message.size(), std::memory_order_relaxed);
    }
    if (self->over_ || self->link_->broken.load(std::memory_order_acquire)) return;
    self->link_->messages->fetch_add(1, std::memory_order_relaxed);
    try {
      Payload received = Transfer(message);
      message = Payload();  // before the event: a wire would be through with the sender's bytes
      const std::shared_ptr<StreamEvents> events = self->events_;
      if (events != nullptr && events->on_message) events->on_message(std::move(received));
    } catch (const std::bad_alloc&) {
      self->End(absl::UnavailableError("no memory for a message"), /*tell=*/true);
    }
  });
}

// A real connection breaks without memory, so this one waits for what its task takes.
void InprocEnd::PostEnd(const absl::Status& status) noexcept {
  AwaitMemory([&] {
    loop_->tasks().Post([self = shared_from_this(), status = Detached(status)] {
      self->End(status, /*tell=*/true);
    });
  });
}

void InprocEnd::End(const absl::Status& status, bool tell) {
  KVS_CHECK(InLoop());
  // The events may hold the last handle, whose destructor comes back here.
  const std::shared_ptr<StreamEvents> events = std::move(events_);
  if (over_) return;
  over_ = true;
  const std::shared_ptr<InprocEnd> self = shared_from_this();
  loop_->Remove(self);
  if (const auto other = other_.lock(); other != nullptr) other->PostEnd(status);
  if (tell && events != nullptr && events->on_closed) events->on_closed(status);
}

}  // namespace kvstore
