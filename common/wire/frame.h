// Frame: the one message of the data plane (kvstore.v1.Frame), and its one encoder and decoder.
//
// Encoding writes the protobuf fields by hand into one small header slice and appends the payload's
// slices untouched; decoding hands out sub-ranges of the slices. Entries that differ in part and
// request alone are one on the wire (`also`). Tests hold both to what protobuf reads and writes.
//
// The layout is proto/kvstore/v1/data.proto. The encoder writes fields in ascending order, leaves
// out defaults as proto3 does, and puts each part's bytes at a multiple of kPartAlignment within
// the payload. The decoder takes any field order, any slice cut, unknown fields.
//
// Where protobuf leaves room, the decoder does what protobuf's C++ library does: a repeated scalar
// or string counts with its last occurrence, a repeated `optimizer` or `command` merges, a varint
// in a 32-bit field keeps its low 32 bits, repeated numbers come packed or not. It is stricter in
// three things: a second `payload` and a known field with another wire type are refused, and so are
// groups. A dtype over 255 becomes 255 and a status code over 16 becomes UNKNOWN, so that a number
// from a newer peer can never pass for one that we know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/cluster/identity.h"
#include "common/model/command.h"
#include "common/model/key_spec.h"
#include "common/model/op.h"
#include "common/model/optimizer_config.h"
#include "common/model/protocol_version.h"
#include "common/wire/payload.h"

namespace kvstore {

// The pushes of a part that a worker may have under way: from the oldest that it waits for to the
// newest, rounds r to r + 63.
inline constexpr uint32_t kRoundsAheadMax = 64;
inline constexpr size_t kPartAlignment = 64;
inline constexpr size_t kPartsPerFrameMax = 4096;
inline constexpr size_t kFrameBytesMax = 4u << 20;
inline constexpr size_t kErrorTextBytesMax = 1024;
// The SDK and the servers cut frames at about this much payload: one full part, or many small ones.
inline constexpr size_t kFramePayloadTarget = 1u << 20;

enum class Progress : uint32_t { kUnspecified = 0, kUnknown = 1, kReceived = 2, kDone = 3 };

// PartHeader and the bytes that belong to it.
struct PartEntry {
  Op op = Op::kUnspecified;
  KeyId key = 0;
  PartIndex part = 0;
  Round round = 0;
  RequestId request = 0;
  uint64_t step = 0;
  Op probed_op = Op::kUnspecified;
  // Replies.
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  Progress progress = Progress::kUnspecified;
  uint32_t retry_after_ms = 0;
  std::vector<WorkerRank> missing_ranks;

  // Row-sparse keys: so many int64 ids begin `data`; data.proto has the rules.
  uint32_t rows = 0;
  uint32_t fragment = 0;
  uint32_t fragments = 0;  // 0 means 1
  bool create = false;     // kInit

  Payload data;
};

struct FrameHeader {
  ClusterId cluster = 0;
  uint32_t protocol = kProtocolVersion;
  Epoch epoch = 0;
  JobId job = 0;
  WorkerRank rank = 0;
  Incarnation incarnation = 0;
  Incarnation server_incarnation = 0;
};

struct Frame {
  FrameHeader header;
  std::vector<PartEntry> parts;
  std::vector<KeySpec> keys;
  std::optional<OptimizerConfig> optimizer;
  std::optional<Command> command;
};

// The KeySpec of `entry`'s key in its frame; null if there is none. Finds at once those that stand
// in the order of the entries, as senders write them (server/service/request_check.h refuses two of
// one key).
const KeySpec* FindKeySpec(const Frame& frame, const PartEntry& entry);

// One new slice with all the fields, then the parts' slices as they are, with slices of static
// zeros in the gaps; nothing after the last part. Never fails: a frame over the limits, or with a
// name that is not UTF-8, is refused by the decoder at the other end. Message strings are cut to
// kErrorTextBytesMax, and bytes in them that are not UTF-8 become '?'.
Payload EncodeFrame(const Frame& frame);

// The parts of the result share `bytes`' owners.
// Errors: INVALID_ARGUMENT says what is wrong with the bytes and where: a truncated field, a wrong
// wire type, part bytes that do not add up to the payload (the gap that would follow the last part
// may be there), more than kPartsPerFrameMax parts or keys, invalid UTF-8 in a string.
// RESOURCE_EXHAUSTED over kFrameBytesMax. Never reads outside of `bytes`; beside what
// kPartsPerFrameMax parts and keys take, never allocates more than a small multiple of their size.
absl::StatusOr<Frame> DecodeFrame(const Payload& bytes);

}  // namespace kvstore
