// ClusterAsk: which cluster an operator asks, how long, and as whom.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/transport/transport.h"

namespace kvstore {

struct ClusterAsk {
  std::string scheduler;      // HOST:PORT
  int64_t timeout_ms = 3000;  // of each answer
  std::string tls_dir;        // common/tls/tls_files.h; empty: the cluster has no TLS
};

// Errors: those of TlsSource::Open.
absl::StatusOr<std::unique_ptr<Transport>> TransportFor(const ClusterAsk& ask);

}  // namespace kvstore
