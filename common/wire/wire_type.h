// WireType: how protobuf says what kind of value a field has.
#pragma once

#include <cstdint>

namespace kvstore::wire {

enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

// What begins a field.
constexpr uint64_t TagOf(uint32_t field, WireType type) {
  return uint64_t{field} << 3 | static_cast<uint32_t>(type);
}

}  // namespace kvstore::wire
