// How a dense value is cut into parts and which slot a part lives in. Pure; a property of the
// cluster and the key, never of one worker.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/cluster/identity.h"

namespace kvstore {

inline constexpr size_t kPartBytesMax = 1u << 20;
inline constexpr uint32_t kSlotCount = 1024;

// Number of parts of a value of `total_bytes` (at least 1). All but the last have kPartBytesMax
// bytes, which is a multiple of every element size.
constexpr PartIndex PartCount(uint64_t total_bytes) {
  return static_cast<PartIndex>(
      total_bytes == 0 ? 1 : (total_bytes + kPartBytesMax - 1) / kPartBytesMax);
}
constexpr uint64_t PartOffset(PartIndex part) { return uint64_t{part} * kPartBytesMax; }
constexpr size_t PartBytes(uint64_t total_bytes, PartIndex part) {
  const uint64_t left = total_bytes - PartOffset(part);
  return static_cast<size_t>(left < kPartBytesMax ? left : kPartBytesMax);
}

// Neighbouring parts lie in neighbouring slots, which live on different servers.
constexpr SlotIndex SlotOf(PartId id) {
  return static_cast<SlotIndex>((Mix64(id.key) + id.part) % kSlotCount);
}

}  // namespace kvstore
