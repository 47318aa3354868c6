// What tests of memory share that hand a client a transport of their own: it dials, and nothing
// else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/transport/transport.h"

namespace kvstore::testing {

// A stream on which nothing comes.
class SilentStream : public MessageStream {
 public:
  void SetEvents(StreamEvents) override {}
  void Send(Payload) override {}
  size_t queued_bytes() const override { return 0; }
  void Close() override {}
  std::string peer() const override { return "peer"; }
};

// Its Dial is the test's.
class DialOnlyTransport : public Transport {
 public:
  std::unique_ptr<EventLoop> MakeLoop(const std::string&) final { return nullptr; }
  std::unique_ptr<EventLoop> MakeServerLoop(const std::string&) final { return nullptr; }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string&, ListenOptions) final {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::string> CallUnary(const std::string&, const std::string&, const std::string&,
                                        int64_t) final {
    return absl::UnimplementedError("");
  }
};

}  // namespace kvstore::testing
