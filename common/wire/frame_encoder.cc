// The encoder: a Frame to kvstore.v1.Frame bytes, the payload untouched.
//
// The layout of the fields is written once, in the Put* templates, and run twice: over a sink that
// counts, to make one allocation of the right size, and over a sink that writes.
#include <cstring>
#include <memory>
#include <utility>

#include "common/base/check.h"
#include "common/wire/byte_counts.h"
#include "common/wire/frame.h"
#include "common/wire/frame_layout.h"
#include "common/wire/utf8.h"

namespace kvstore {
namespace {

using wire::CommandField;
using wire::FrameField;
using wire::GapAfter;
using wire::KeyField;
using wire::MapField;
using wire::MultipliersField;
using wire::OptimizerField;
using wire::PartField;
using wire::TagOf;
using wire::VarintBytes;
using wire::WireType;

// The gaps between parts.
constexpr uint8_t kZeros[kPartAlignment] = {};

class CountingSink {
 public:
  void Varint(uint64_t value) { bytes_ += VarintBytes(value); }
  void Fixed64(uint64_t) { bytes_ += sizeof(uint64_t); }
  void Bytes(std::string_view bytes) { bytes_ += bytes.size(); }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

// Writes to memory that a CountingSink measured.
class WritingSink {
 public:
  explicit WritingSink(uint8_t* to) : to_(to) {}

  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) *to_++ = static_cast<uint8_t>(value | 0x80u);
    *to_++ = static_cast<uint8_t>(value);
  }
  void Fixed64(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) *to_++ = static_cast<uint8_t>(value >> shift);
  }
  void Bytes(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(to_, bytes.data(), bytes.size());
    to_ += bytes.size();
  }
  const uint8_t* position() const { return to_; }

 private:
  uint8_t* to_;
};

// Fields as proto3 writes them: defaults are left out.

template <typename Sink>
void PutVarint(Sink& sink, uint32_t field, uint64_t value) {
  if (value == 0) return;
  sink.Varint(TagOf(field, WireType::kVarint));
  sink.Varint(value);
}

// Protobuf's enums are int32, and negative int32 are written as negative int64.
template <typename Sink, typename Enum>
void PutEnum(Sink& sink, uint32_t field, Enum value) {
  PutVarint(sink, field, static_cast<uint64_t>(int64_t{static_cast<int32_t>(value)}));
}

template <typename Sink>
void PutFixed64(Sink& sink, uint32_t field, uint64_t value) {
  if (value == 0) return;
  sink.Varint(TagOf(field, WireType::kFixed64));
  sink.Fixed64(value);
}

uint64_t BitsOf(double value) {
  uint64_t bits = 0;
  static_assert(sizeof(bits) == sizeof(value));
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

template <typename Sink>
void PutDouble(Sink& sink, uint32_t field, double value) {
  PutFixed64(sink, field, BitsOf(value));
}

template <typename Sink>
void PutString(Sink& sink, uint32_t field, std::string_view value) {
  if (value.empty()) return;
  sink.Varint(TagOf(field, WireType::kLength));
  sink.Varint(value.size());
  sink.Bytes(value);
}

template <typename Sink, typename T>
void PutPacked(Sink& sink, uint32_t field, const std::vector<T>& values) {
  if (values.empty()) return;
  size_t bytes = 0;
  for (const T value : values) bytes += VarintBytes(static_cast<uint64_t>(value));
  sink.Varint(TagOf(field, WireType::kLength));
  sink.Varint(bytes);
  for (const T value : values) sink.Varint(static_cast<uint64_t>(value));
}

// A message field; `put` writes the message into the sink that it is given.
template <typename Sink, typename Put>
void PutMessage(Sink& sink, uint32_t field, const Put& put) {
  CountingSink counting;
  put(counting);
  sink.Varint(TagOf(field, WireType::kLength));
  sink.Varint(counting.bytes());
  put(sink);
}

// Entries that are written as one, with PartHeader.also: a contribution to many stripes, most of
// them empty, and the replies to one.
struct Run {
  size_t entries = 1;
  uint8_t also[wire::kAlsoBytesMax] = {};
  size_t also_bytes = 0;

  std::string_view bits() const { return {reinterpret_cast<const char*>(also), also_bytes}; }
};

bool MayStandForMany(const PartEntry& part) {
  return part.data.empty() && part.message.empty() && part.missing_ranks.empty();
}

// Whether they differ in part and request number only. Of entries that may stand for many.
bool SameButForPart(const PartEntry& a, const PartEntry& b) {
  return a.op == b.op && a.key == b.key && a.round == b.round && a.step == b.step &&
         a.probed_op == b.probed_op && a.code == b.code && a.progress == b.progress &&
         a.retry_after_ms == b.retry_after_ms && a.rows == b.rows && a.fragment == b.fragment &&
         a.fragments == b.fragments && a.create == b.create;
}

// The run that begins with `parts[begin]`, as long as can be.
Run RunAt(const std::vector<PartEntry>& parts, size_t begin) {
  Run run;
  const PartEntry& first = parts[begin];
  if (!MayStandForMany(first)) return run;
  for (size_t i = begin + 1; i < parts.size(); ++i) {
    const PartEntry& next = parts[i];
    const uint64_t distance = uint64_t{next.part} - first.part;
    if (next.part <= parts[i - 1].part || distance > 8 * wire::kAlsoBytesMax ||
        next.request < first.request || next.request - first.request != distance ||
        !MayStandForMany(next) || !SameButForPart(first, next)) {
      break;
    }
    const auto bit = static_cast<size_t>(distance - 1);
    run.also[bit / 8] = static_cast<uint8_t>(run.also[bit / 8] | 1u << (bit % 8));
    run.also_bytes = bit / 8 + 1;
    ++run.entries;
  }
  return run;
}

template <typename Sink>
void PutPart(Sink& sink, const PartEntry& part, std::string_view also) {
  PutEnum(sink, PartField::kOp, part.op);
  PutFixed64(sink, PartField::kKey, part.key);
  PutVarint(sink, PartField::kPart, part.part);
  PutVarint(sink, PartField::kRound, part.round);
  PutVarint(sink, PartField::kRequest, part.request);
  PutVarint(sink, PartField::kPayloadBytes, static_cast<uint32_t>(part.data.size()));
  PutVarint(sink, PartField::kStep, part.step);
  PutEnum(sink, PartField::kProbedOp, part.probed_op);
  PutVarint(sink, PartField::kCode, static_cast<uint32_t>(part.code));
  if (!part.message.empty()) {
    PutString(sink, PartField::kMessage, ToValidUtf8(part.message, kErrorTextBytesMax));
  }
  PutEnum(sink, PartField::kProgress, part.progress);
  PutVarint(sink, PartField::kRetryAfterMs, part.retry_after_ms);
  PutPacked(sink, PartField::kMissingRanks, part.missing_ranks);
  PutVarint(sink, PartField::kRows, part.rows);
  PutVarint(sink, PartField::kFragment, part.fragment);
  PutVarint(sink, PartField::kFragments, part.fragments);
  PutVarint(sink, PartField::kCreate, part.create ? 1 : 0);
  PutString(sink, PartField::kAlso, also);
}

template <typename Sink>
void PutKey(Sink& sink, const KeySpec& key) {
  PutFixed64(sink, KeyField::kKey, key.key);
  PutString(sink, KeyField::kName, key.name);
  PutVarint(sink, KeyField::kDType, static_cast<uint8_t>(key.dtype));
  PutPacked(sink, KeyField::kShape, key.shape);
  PutEnum(sink, KeyField::kStorage, key.storage);
  PutVarint(sink, KeyField::kShapeUnknown, key.shape_unknown ? 1 : 0);
}

template <typename Sink>
void PutOptimizer(Sink& sink, const OptimizerConfig& optimizer) {
  PutString(sink, OptimizerField::kName, optimizer.name);
  for (const auto& [name, value] : optimizer.parameters) {
    PutMessage(sink, OptimizerField::kParameters, [&name = name, value = value](auto& entry) {
      // Both, defaults too: that is how protobuf writes the entries of a map.
      entry.Varint(TagOf(MapField::kKey, WireType::kLength));
      entry.Varint(name.size());
      entry.Bytes(name);
      entry.Varint(TagOf(MapField::kValue, WireType::kFixed64));
      entry.Fixed64(BitsOf(value));
    });
  }
  for (const auto& [key, multipliers] : optimizer.multipliers) {
    PutMessage(sink, OptimizerField::kMultipliers,
               [&key = key, &multipliers = multipliers](auto& entry) {
                 PutFixed64(entry, MultipliersField::kKey, key);
                 PutDouble(entry, MultipliersField::kLrMult, multipliers.lr_mult);
                 PutDouble(entry, MultipliersField::kWdMult, multipliers.wd_mult);
               });
  }
}

template <typename Sink>
void PutCommand(Sink& sink, const Command& command) {
  PutEnum(sink, CommandField::kId, command.id);
  PutString(sink, CommandField::kBody, command.body);
}

// All fields, up to and with the payload's tag and length.
template <typename Sink>
void PutFrame(Sink& sink, const Frame& frame, size_t payload_bytes) {
  const FrameHeader& header = frame.header;
  PutFixed64(sink, FrameField::kCluster, header.cluster);
  PutVarint(sink, FrameField::kProtocol, header.protocol);
  PutVarint(sink, FrameField::kEpoch, header.epoch);
  PutVarint(sink, FrameField::kJob, header.job);
  PutVarint(sink, FrameField::kRank, header.rank);
  PutVarint(sink, FrameField::kIncarnation, header.incarnation);
  PutVarint(sink, FrameField::kServerIncarnation, header.server_incarnation);
  for (size_t i = 0; i < frame.parts.size();) {
    const Run run = RunAt(frame.parts, i);
    const PartEntry& part = frame.parts[i];
    PutMessage(sink, FrameField::kParts,
               [&part, &run](auto& to) { PutPart(to, part, run.bits()); });
    i += run.entries;
  }
  for (const KeySpec& key : frame.keys) {
    PutMessage(sink, FrameField::kKeys, [&key](auto& to) { PutKey(to, key); });
  }
  if (frame.optimizer) {
    PutMessage(sink, FrameField::kOptimizer,
               [&frame](auto& to) { PutOptimizer(to, *frame.optimizer); });
  }
  if (frame.command) {
    PutMessage(sink, FrameField::kCommand, [&frame](auto& to) { PutCommand(to, *frame.command); });
  }
  if (payload_bytes > 0) {
    sink.Varint(TagOf(FrameField::kPayload, WireType::kLength));
    sink.Varint(payload_bytes);
  }
}

}  // namespace

Payload EncodeFrame(const Frame& frame) {
  size_t payload_bytes = 0;
  size_t slices = 1;
  for (const PartEntry& part : frame.parts) {
    if (part.data.empty()) continue;
    payload_bytes += GapAfter(payload_bytes) + part.data.size();
    slices += part.data.slices().size() + 1;
  }

  CountingSink counting;
  PutFrame(counting, frame, payload_bytes);
  auto header = std::make_shared<Buffer>(counting.bytes());
  WritingSink writing(header->data());
  PutFrame(writing, frame, payload_bytes);
  KVS_CHECK(writing.position() == header->data() + header->size());

  Payload bytes;
  bytes.Reserve(slices);
  bytes.Append(Slice{header->data(), header->size(), header});
  size_t at = 0;
  for (const PartEntry& part : frame.parts) {
    if (part.data.empty()) continue;
    const size_t gap = GapAfter(at);
    bytes.Append(Slice{kZeros, gap, nullptr});
    bytes.Append(part.data);
    at += gap + part.data.size();
  }
  CountMovedBytes(at);
  return bytes;
}

}  // namespace kvstore
