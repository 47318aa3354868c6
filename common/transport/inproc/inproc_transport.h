// InprocTransport: streams between threads of one process, for tests: no sockets, no gRPC,
// ThreadSanitizer sees all of it, and the network can be broken at will.
#pragma once

#include <memory>
#include <string>

#include "common/transport/inproc/inproc_network.h"
#include "common/transport/transport.h"

namespace kvstore {

class InprocTransport final : public Transport {
 public:
  explicit InprocTransport(std::shared_ptr<InprocNetwork> network) : network_(std::move(network)) {}

  std::unique_ptr<EventLoop> MakeLoop(const std::string& name) override;
  std::unique_ptr<EventLoop> MakeServerLoop(const std::string& name) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& address,
                                                   ListenOptions options) override;
  std::unique_ptr<MessageStream> Dial(EventLoop& loop, const std::string& address,
                                      const std::string& method, StreamEvents events) override;
  absl::StatusOr<std::string> CallUnary(const std::string& address, const std::string& method,
                                        const std::string& request, int64_t deadline_ms) override;

 private:
  const std::shared_ptr<InprocNetwork> network_;
};

}  // namespace kvstore
