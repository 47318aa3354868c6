// A stream that never was: a dial that was wrong from the start tells its user so by on_closed.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/transport/transport.h"

namespace kvstore {

class DeadStream final : public MessageStream {
 public:
  DeadStream(EventLoop& loop, StreamEvents events, absl::Status why)
      : events_(std::make_shared<StreamEvents>(std::move(events))) {
    loop.Post([weak = std::weak_ptr<StreamEvents>(events_), why = std::move(why)] {
      // The event may destroy the stream: `alive` keeps the function that runs.
      if (const auto alive = weak.lock(); alive != nullptr && alive->on_closed) {
        alive->on_closed(why);
      }
    });
  }

  void SetEvents(StreamEvents events) override {
    if (events_ != nullptr) *events_ = std::move(events);
  }
  void Send(Payload) override {}
  size_t queued_bytes() const override { return 0; }
  void Close() override { events_.reset(); }
  std::string peer() const override { return "nobody"; }

 private:
  std::shared_ptr<StreamEvents> events_;
};

}  // namespace kvstore
