// The two messages of the data plane: a worker's RequestFrame and a server's ReplyFrame, and their
// one encoder and decoder. Each has entries: requests, or the replies to them.
//
// Encoding writes the protobuf fields by hand into one small header slice and appends the payload's
// slices untouched; decoding hands out sub-ranges of the slices. Entries that differ in part and
// request alone are one on the wire (`also`). Tests hold both to what protobuf reads and writes.
//
// The layout is proto/kvstore/v1/data.proto. The encoder writes fields in ascending order, leaves
// out defaults as proto3 does, and puts each entry's bytes at a multiple of kEntryAlignment within
// the payload. The decoder takes any field order, any slice cut, unknown fields.
//
// Where protobuf leaves room, the decoder does what protobuf's C++ library does: a repeated scalar
// or string counts with its last occurrence, a repeated `optimizer` or `command` merges, and see
// proto_reader.h. It is stricter in one more thing: a second `payload` is refused. A dtype over 255
// becomes 255 and a status code over 16 becomes UNKNOWN, so that a number from a newer peer can
// never pass for one that we know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
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
#include "common/wire/piece.h"

namespace kvstore {

// The pushes of a part that a worker may have under way: from the oldest that it waits for to the
// newest, rounds r to r + 63.
inline constexpr uint32_t kRoundsAheadMax = 64;
inline constexpr size_t kEntryAlignment = 64;
inline constexpr size_t kEntriesPerFrameMax = 4096;
inline constexpr size_t kFrameBytesMax = 4u << 20;
inline constexpr size_t kErrorTextBytesMax = 1024;
// The SDK and the servers cut frames at about this much payload: one full part, or many small ones.
inline constexpr size_t kFramePayloadTarget = 1u << 20;

struct FrameHeader {
  ClusterId cluster = 0;
  uint32_t protocol = kProtocolVersion;
  Epoch epoch = 0;
  JobId job = 0;
  WorkerRank rank = 0;
  Incarnation incarnation = 0;
  Incarnation server_incarnation = 0;
};

// Names a request, together with the worker in the frame's header. Its replies echo it unchanged.
struct EntryHead {
  Op op = Op::kUnspecified;
  KeyId key = 0;
  PartIndex part = 0;
  Round round = 0;  // what it means depends on the op: OpRound
  RequestId request = 0;
  // Of the part that is meant: how often it was deleted or reset before. 0 in an INIT. The
  // replies to INIT and RESET say it.
  uint64_t life = 0;

  PartId id() const { return {key, part}; }
};

struct RequestEntry : EntryHead {
  uint64_t step = 0;
  Op probed_op = Op::kUnspecified;  // kProbe: the op of the request that is asked after
  RequestId takes_back = 0;         // kTakeBack: the INIT (its first fragment) that is taken back
  Piece piece;
};

// How far a request got; numbers as in data.proto.
enum class Progress : uint32_t { kUnspecified = 0, kUnknown = 1, kReceived = 2, kDone = 3 };

struct ReplyEntry : EntryHead {
  ReplyEntry() = default;
  // The one place where a reply gets what it echoes.
  explicit ReplyEntry(const EntryHead& asked) : EntryHead(asked) {}
  ReplyEntry(const EntryHead& asked, const absl::Status& status) : EntryHead(asked) {
    SetStatus(status);
  }
  void SetStatus(const absl::Status& status) {
    code = status.code();
    message.assign(status.message().data(), status.message().size());
  }

  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  Progress progress = Progress::kUnspecified;
  uint32_t retry_after_ms = 0;
  std::vector<WorkerRank> missing_ranks;
  Round version = 0;  // of the value that is attached
  // By how many pushes the worker that is behind most has fewer in that value than the one that
  // asks. Asynchronous stores.
  uint64_t staleness = 0;
  Payload data;
};

struct RequestFrame {
  FrameHeader header;
  std::vector<RequestEntry> entries;
  std::vector<KeySpec> keys;
  std::optional<OptimizerConfig> optimizer;
  std::optional<Command> command;
};

struct ReplyFrame {
  FrameHeader header;
  std::vector<ReplyEntry> entries;
  std::vector<KeySpec> keys;
};

// The KeySpec of `entry`'s key in its frame; null if there is none. Finds at once those that stand
// in the order of the entries, as senders write them (server/service/request_check.h refuses two of
// one key).
const KeySpec* FindKeySpec(const RequestFrame& frame, const RequestEntry& entry);
const KeySpec* FindKeySpec(const ReplyFrame& frame, const ReplyEntry& entry);

// One new slice with all the fields, then the entries' slices as they are, with slices of static
// zeros in the gaps; nothing after the last entry. Never fails: a frame over the limits, or with a
// name that is not UTF-8, is refused by the decoder at the other end. Message strings are cut to
// kErrorTextBytesMax, and bytes in them that are not UTF-8 become '?'.
Payload EncodeFrame(const RequestFrame& frame);
Payload EncodeFrame(const ReplyFrame& frame);

// `Frame` is RequestFrame or ReplyFrame. The entries of the result share `bytes`' owners.
// Errors: INVALID_ARGUMENT says what is wrong with the bytes and where: a truncated field, a wrong
// wire type, entries' bytes that do not add up to the payload (the gap that would follow the last
// entry may be there), more than kEntriesPerFrameMax entries or keys, invalid UTF-8 in a string.
// RESOURCE_EXHAUSTED over kFrameBytesMax. Never reads outside of `bytes`; beside what
// kEntriesPerFrameMax entries and keys take, never allocates more than a small multiple of their
// size.
template <typename Frame>
absl::StatusOr<Frame> DecodeFrame(const Payload& bytes);
template <>
absl::StatusOr<RequestFrame> DecodeFrame<RequestFrame>(const Payload& bytes);
template <>
absl::StatusOr<ReplyFrame> DecodeFrame<ReplyFrame>(const Payload& bytes);

}  // namespace kvstore
