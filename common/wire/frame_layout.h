// The bytes of a frame, as its encoder and its decoder (and nobody else) need to know them:
// protobuf's wire types, tags and varint sizes, the field numbers of proto/kvstore/v1, and the gaps
// between parts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/wire/frame.h"

namespace kvstore::wire {

enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

constexpr uint64_t TagOf(uint32_t field, WireType type) {
  return uint64_t{field} << 3 | static_cast<uint32_t>(type);
}

// Bytes of `value` as a varint: 1 to 10.
constexpr size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

struct FrameField {
  enum : uint32_t {
    kCluster = 1,
    kProtocol = 2,
    kEpoch = 3,
    kJob = 4,
    kRank = 5,
    kIncarnation = 6,
    kServerIncarnation = 7,
    kParts = 8,
    kKeys = 9,
    kOptimizer = 10,
    kCommand = 11,
    kPayload = 15,
  };
};

struct PartField {
  enum : uint32_t {
    kOp = 1,
    kKey = 2,
    kPart = 3,
    kRound = 4,
    kRequest = 5,
    kPayloadBytes = 6,
    kStep = 7,
    kProbedOp = 8,
    kCode = 9,
    kMessage = 10,
    kProgress = 11,
    kRetryAfterMs = 12,
    kMissingRanks = 13,
    kRows = 14,
    kFragment = 15,
    kFragments = 16,
    kCreate = 17,
    kAlso = 18,
  };
};

struct KeyField {
  enum : uint32_t {
    kKey = 1,
    kName = 2,
    kDType = 3,
    kShape = 4,
    kStorage = 5,
    kShapeUnknown = 6,
  };
};

struct OptimizerField {
  enum : uint32_t { kName = 1, kParameters = 2, kMultipliers = 3 };
};

struct MultipliersField {
  enum : uint32_t { kKey = 1, kLrMult = 2, kWdMult = 3 };
};

struct CommandField {
  enum : uint32_t { kId = 1, kBody = 2 };
};

// An entry of a map.
struct MapField {
  enum : uint32_t { kKey = 1, kValue = 2 };
};

// Bytes of PartHeader.also.
inline constexpr size_t kAlsoBytesMax = 64;

// Bytes between the end of a part at `payload_bytes` and the beginning of the next one.
constexpr size_t GapAfter(size_t payload_bytes) {
  return (kPartAlignment - payload_bytes % kPartAlignment) % kPartAlignment;
}

}  // namespace kvstore::wire
