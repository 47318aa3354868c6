// ShmTransport: another transport, whose streams between processes of one host send their large
// messages through shared memory (shm_stream.h). Between hosts, and for methods that carry little,
// it is the other transport.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/transport/transport.h"

namespace kvstore {

struct ShmTransportOptions {
  // Which methods carry much: of these a listener also serves the form with lanes
  // (InMemoryMethod), and a dial to this host asks for that.
  std::function<bool(const std::string& method)> carries_much;
  // Whether an address is this host's.
  std::function<bool(const std::string& address)> is_here;
  // Off: nothing is offered, and what is offered is declined.
  bool enabled = true;
  // Of 16 KiB, for each direction of a stream.
  uint32_t blocks = 512;
  // A message that has waited for room for so long goes over the other transport.
  int64_t room_wait_ms = 1000;
};

class ShmTransport final : public Transport {
 public:
  ShmTransport(std::unique_ptr<Transport> transport, ShmTransportOptions options)
      : transport_(std::move(transport)), options_(std::move(options)) {}

  std::unique_ptr<EventLoop> MakeLoop(const std::string& name) override {
    return transport_->MakeLoop(name);
  }
  std::unique_ptr<EventLoop> MakeServerLoop(const std::string& name) override {
    return transport_->MakeServerLoop(name);
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& address,
                                                   ListenOptions options) override;
  std::unique_ptr<MessageStream> Dial(EventLoop& loop, const std::string& address,
                                      const std::string& method, StreamEvents events) override;
  absl::StatusOr<std::string> CallUnary(const std::string& address, const std::string& method,
                                        const std::string& request, int64_t deadline_ms) override {
    return transport_->CallUnary(address, method, request, deadline_ms);
  }

 private:
  const std::unique_ptr<Transport> transport_;
  const ShmTransportOptions options_;
};

}  // namespace kvstore
