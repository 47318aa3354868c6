// MakeTransport: the transport that a process of ours talks through. Daemons, SDK and tools get it
// here and know no implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/tls/tls_source.h"
#include "common/transport/transport.h"

namespace kvstore {

struct TransportOptions {
  // What the connections of this process's listener may hold in the transport's buffers together;
  // 0: no limit. Over it streams are broken, whoever's they are (they are dialled again): allow
  // 8 MiB for each connection that is expected.
  uint64_t server_buffer_bytes_max = 0;
  // The streams of values between processes of this host, if both are the same user's, go through
  // shared memory.
  bool shared_memory = true;
  // Mutual TLS on every connection; null: neither encrypted nor authenticated. What goes through
  // shared memory is not encrypted: it does not leave the host, and who may have it was decided
  // over the connection.
  std::shared_ptr<TlsSource> tls;
};

// Over gRPC.
std::unique_ptr<Transport> MakeTransport(const TransportOptions& options = {});

// The lines that gRPC logs by itself go to spdlog from now on, at most one a second. For daemons: a
// program of somebody else's may use gRPC, too, and it has one log.
void TakeLogOfTransport();

// TlsSource::Open for a process that listens: it takes TLS 1.3 and nothing older. To be called
// before the process has threads that look at its environment, and before its first transport.
absl::StatusOr<std::shared_ptr<TlsSource>> OpenTlsToListen(const std::string& folder);

}  // namespace kvstore
