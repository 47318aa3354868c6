// MakeTransport: the transport that a process of ours talks through. Daemons, SDK and tools get it
// here and know no implementation; encryption will be an option of it.
#pragma once

#include <cstdint>
#include <memory>

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
};

// Over gRPC.
std::unique_ptr<Transport> MakeTransport(const TransportOptions& options = {});

}  // namespace kvstore
