// The versions of the protocol (docs/protocol.md), of its frames and of its sessions with the
// scheduler alike.
#pragma once

#include <cstdint>

namespace kvstore {

// What we speak, and say that we speak.
inline constexpr uint32_t kProtocolVersion = 1;
// What a server understands.
inline constexpr uint32_t kProtocolVersionMin = 1;
inline constexpr uint32_t kProtocolVersionMax = kProtocolVersion;

}  // namespace kvstore
