// GrpcTransport: streams over gRPC, between processes. Messages are plain gRPC messages of bytes on
// bidirectional methods, so any gRPC client can talk to a listener.
//
//   GrpcTransport      makes loops (one thread + one completion queue each), listens, dials
//   GrpcServerState    the raw service; binds each method to one loop's queue
//   GrpcStream         one end of a stream; its messages are slices that are never copied
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/tls/tls_source.h"
#include "common/transport/transport.h"

namespace kvstore {

struct GrpcTransportOptions {
  size_t message_bytes_max = kMessageBytesMax;
  // A connection without a sign of life for keepalive_ms is pinged, and given up when the answer
  // does not come within keepalive_timeout_ms. Both ends do it. At least 1000 each.
  int keepalive_ms = 10000;
  int keepalive_timeout_ms = 5000;
  // A dial that got no answer at all is given up after so long.
  int connect_timeout_ms = 3000;
  // What a listener's connections may hold in gRPC's buffers together; 0 is no limit. A last line
  // of defence: when it is exceeded gRPC breaks streams, whoever's they are. Allow 8 MiB for each
  // connection that is expected.
  uint64_t server_buffer_bytes_max = 0;
  // Mutual TLS on every connection, dialled and accepted; null: none.
  std::shared_ptr<TlsSource> tls;
  // With TLS: whether `caller`, who has a certificate of the authority, may call `method`;
  // thread-safe. Empty: everybody may who has one.
  std::function<absl::Status(const std::string& method, const Identity& caller)> check_permission;
};

class GrpcTransport final : public Transport {
 public:
  explicit GrpcTransport(GrpcTransportOptions options = {});
  // Its loops and its listener must be gone before it.
  ~GrpcTransport() override;

  std::unique_ptr<EventLoop> MakeLoop(const std::string& name) override;
  std::unique_ptr<EventLoop> MakeServerLoop(const std::string& name) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& address,
                                                   ListenOptions options) override;
  std::unique_ptr<MessageStream> Dial(EventLoop& loop, const std::string& address,
                                      const std::string& method, StreamEvents events) override;
  absl::StatusOr<std::string> CallUnary(const std::string& address, const std::string& method,
                                        const std::string& request, int64_t deadline_ms) override;

 private:
  class Impl;  // keeps gRPC's headers out of this one
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore
