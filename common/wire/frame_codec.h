// What the codecs of RequestFrame and ReplyFrame have in common: the header, what a reply echoes,
// runs of entries, descriptions of keys, and the payload. Each of the two (request_codec.cc,
// reply_codec.cc) is a struct that says the rest:
//
//   using Frame = RequestFrame;
//   using Entry = RequestEntry;
//   static constexpr const char* kFrameName, *kEntryName;      // in errors
//   static Payload& Bytes(Entry&);                             // the entry's bytes
//   static bool MayStandForMany(const Entry&);                 // apart from its bytes
//   static bool SameFields(const Entry&, const Entry&);        // beyond EntryHead
//   static void PutFields(Sink&, const Entry&);                // of the entry
//   static void PutExtras(Sink&, const Frame&);                // of the frame
//   static absl::Status ReadField(ProtoReader&, const Field&, Entry*);   // these two skip what
//   static absl::Status ReadExtra(ProtoReader&, const Field&, Frame*);   // they do not know
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/wire/byte_counts.h"
#include "common/wire/frame.h"
#include "common/wire/model_codec.h"
#include "common/wire/proto_reader.h"
#include "common/wire/proto_writer.h"

namespace kvstore::wire {

struct FrameField {
  enum : uint32_t {
    kCluster = 1,
    kProtocol = 2,
    kEpoch = 3,
    kJob = 4,
    kRank = 5,
    kIncarnation = 6,
    kServerIncarnation = 7,
    kEntries = 8,
    kKeys = 9,
    kPayload = 15,
  };
};

// What both kinds of entry begin with.
struct EntryField {
  enum : uint32_t {
    kOp = 1,
    kKey = 2,
    kPart = 3,
    kRound = 4,
    kRequest = 5,
    kPayloadBytes = 6,
    kAlso = 7,
    kLife = 17,
  };
};

// The most bytes that `also` may have: an entry then stands for 512 others at most.
inline constexpr size_t kAlsoBytesMax = 64;

// Bytes between the end of an entry's bytes at `payload_bytes` and the beginning of the next one's.
constexpr size_t GapAfter(size_t payload_bytes) {
  return (kEntryAlignment - payload_bytes % kEntryAlignment) % kEntryAlignment;
}

// ---- encoding

// Entries that are written as one, with `also`: a contribution to many stripes, most of them empty,
// and the replies to one.
struct Run {
  size_t entries = 1;
  uint8_t also[kAlsoBytesMax] = {};
  size_t also_bytes = 0;

  std::string_view bits() const { return {reinterpret_cast<const char*>(also), also_bytes}; }
};

// The run that begins with `entries[begin]`, as long as can be: of entries without bytes that are
// the same but for their part and request number, both of which grow by the same distance.
//
// Example: requests 100, 101, 103 about parts 5, 6, 8 are one entry (request 100, part 5) with the
// bits 0 and 2 of `also` set: each set bit i adds request 100 + 1 + i about part 5 + 1 + i.
template <typename Codec>
Run RunAt(const std::vector<typename Codec::Entry>& entries, size_t begin) {
  using Entry = typename Codec::Entry;
  const auto may_stand_for_many = [](const Entry& entry) {
    return Codec::Bytes(entry).empty() && Codec::MayStandForMany(entry);
  };
  Run run;
  const Entry& first = entries[begin];
  if (!may_stand_for_many(first)) return run;
  for (size_t i = begin + 1; i < entries.size(); ++i) {
    const Entry& next = entries[i];
    const uint64_t distance = uint64_t{next.part} - first.part;
    if (next.part <= entries[i - 1].part || distance > 8 * kAlsoBytesMax ||
        next.request < first.request || next.request - first.request != distance ||
        next.op != first.op || next.key != first.key || next.round != first.round ||
        next.life != first.life || !may_stand_for_many(next) || !Codec::SameFields(first, next)) {
      break;
    }
    const auto bit = static_cast<size_t>(distance - 1);
    run.also[bit / 8] = static_cast<uint8_t>(run.also[bit / 8] | 1u << (bit % 8));
    run.also_bytes = bit / 8 + 1;
    ++run.entries;
  }
  return run;
}

// All fields, up to and with the payload's tag and length.
template <typename Codec, typename Sink>
void PutFrame(Sink& sink, const typename Codec::Frame& frame, size_t payload_bytes) {
  const FrameHeader& header = frame.header;
  PutFixed64(sink, FrameField::kCluster, header.cluster);
  PutVarint(sink, FrameField::kProtocol, header.protocol);
  PutVarint(sink, FrameField::kEpoch, header.epoch);
  PutVarint(sink, FrameField::kJob, header.job);
  PutVarint(sink, FrameField::kRank, header.rank);
  PutVarint(sink, FrameField::kIncarnation, header.incarnation);
  PutVarint(sink, FrameField::kServerIncarnation, header.server_incarnation);
  for (size_t i = 0; i < frame.entries.size();) {
    const Run run = RunAt<Codec>(frame.entries, i);
    const typename Codec::Entry& entry = frame.entries[i];
    PutMessage(sink, FrameField::kEntries, [&entry, &run](auto& to) {
      PutEnum(to, EntryField::kOp, entry.op);
      PutFixed64(to, EntryField::kKey, entry.key);
      PutVarint(to, EntryField::kPart, entry.part);
      PutVarint(to, EntryField::kRound, entry.round);
      PutVarint(to, EntryField::kRequest, entry.request);
      PutVarint(to, EntryField::kPayloadBytes, static_cast<uint32_t>(Codec::Bytes(entry).size()));
      PutString(to, EntryField::kAlso, run.bits());
      Codec::PutFields(to, entry);
      PutVarint(to, EntryField::kLife, entry.life);
    });
    i += run.entries;
  }
  for (const KeySpec& key : frame.keys) {
    PutMessage(sink, FrameField::kKeys, [&key](auto& to) { PutKey(to, key); });
  }
  Codec::PutExtras(sink, frame);
  if (payload_bytes > 0) {
    sink.Varint(TagOf(FrameField::kPayload, WireType::kLength));
    sink.Varint(payload_bytes);
  }
}

// The zeros between entries' bytes.
inline constexpr uint8_t kGapBytes[kEntryAlignment] = {};

template <typename Codec>
Payload Encode(const typename Codec::Frame& frame) {
  size_t payload_bytes = 0;
  size_t slices = 1;
  for (const auto& entry : frame.entries) {
    const Payload& data = Codec::Bytes(entry);
    if (data.empty()) continue;
    payload_bytes += GapAfter(payload_bytes) + data.size();
    slices += data.slices().size() + 1;
  }

  CountingSink counting;
  PutFrame<Codec>(counting, frame, payload_bytes);
  auto header = std::make_shared<Buffer>(counting.bytes());
  WritingSink writing(header->data());
  PutFrame<Codec>(writing, frame, payload_bytes);
  KVS_CHECK(writing.position() == header->data() + header->size());

  Payload bytes;
  bytes.Reserve(slices);
  bytes.Append(Slice{header->data(), header->size(), header});
  size_t at = 0;
  for (const auto& entry : frame.entries) {
    const Payload& data = Codec::Bytes(entry);
    if (data.empty()) continue;
    const size_t gap = GapAfter(at);
    bytes.Append(Slice{kGapBytes, gap, nullptr});
    bytes.Append(data);
    at += gap + data.size();
  }
  CountMovedBytes(at);
  return bytes;
}

// ---- decoding

// What the fields say before the payload is dealt out to the entries: it may come before them.
template <typename Codec>
struct RawFrame {
  typename Codec::Frame frame;
  std::vector<uint32_t> payload_bytes;  // of each entry
  bool has_payload = false;
  Payload payload;
};

// How many entries a frame has, those aside that stand for many: so the list of them is made once.
// What is wrong with the bytes is for ReadFields to say.
inline size_t CountEntries(const Payload& bytes) {
  PayloadCursor cursor(bytes);
  size_t entries = 0;
  for (uint64_t tag = 0; cursor.ReadVarint(&tag);) {
    uint64_t n = 0;
    switch (static_cast<WireType>(tag & 7u)) {
      case WireType::kVarint:
        if (!cursor.ReadVarint(&n)) return entries;
        break;
      case WireType::kFixed64:
        if (!cursor.Skip(8)) return entries;
        break;
      case WireType::kFixed32:
        if (!cursor.Skip(4)) return entries;
        break;
      case WireType::kLength:
        if (tag >> 3u == FrameField::kPayload) return entries;  // the last field, as we write it
        if (!cursor.ReadVarint(&n) || !cursor.Skip(n)) return entries;
        entries += tag >> 3u == FrameField::kEntries ? 1 : 0;
        break;
      default:
        return entries;
    }
  }
  return entries;
}

// Refuses an element if there are as many as may be already.
inline absl::Status CheckRoom(const ProtoReader& reader, const char* what, size_t count) {
  if (count < kEntriesPerFrameMax) return absl::OkStatus();
  return reader.Bad(fmt::format("at most {} {} expected, got more", kEntriesPerFrameMax, what));
}

template <typename Codec>
absl::Status ReadEntry(ProtoReader& reader, typename Codec::Entry* entry, uint32_t* payload_bytes,
                       std::string* also) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case EntryField::kOp:
        status = reader.Enum32(field, &entry->op);
        break;
      case EntryField::kKey:
        status = reader.Fixed64(field, &entry->key);
        break;
      case EntryField::kPart:
        status = reader.Uint32(field, &entry->part);
        break;
      case EntryField::kRound:
        status = reader.Uint64(field, &entry->round);
        break;
      case EntryField::kRequest:
        status = reader.Uint64(field, &entry->request);
        break;
      case EntryField::kLife:
        status = reader.Uint64(field, &entry->life);
        break;
      case EntryField::kPayloadBytes:
        status = reader.Uint32(field, payload_bytes);
        break;
      case EntryField::kAlso: {
        Payload bits;
        KVS_RETURN_IF_ERROR(reader.Bytes(field, &bits));
        if (bits.size() > kAlsoBytesMax) {
          return reader.Bad(fmt::format("at most {} bytes of `also` expected, got {}",
                                        kAlsoBytesMax, bits.size()));
        }
        *also = bits.ToString();
        break;
      }
      default:
        status = Codec::ReadField(reader, field, entry);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

// Adds the entries for which the last one stands, besides itself.
template <typename Codec>
absl::Status AddRun(const ProtoReader& reader, const std::string& also, RawFrame<Codec>* raw) {
  if (also.empty()) return absl::OkStatus();
  auto& entries = raw->frame.entries;
  const typename Codec::Entry first = entries.back();
  if (raw->payload_bytes.back() > 0 || !Codec::MayStandForMany(first)) {
    return reader.Bad("no bytes, message or missing_ranks expected with `also`, got some");
  }
  for (size_t bit = 0; bit < 8 * also.size(); ++bit) {
    if ((static_cast<uint8_t>(also[bit / 8]) >> (bit % 8) & 1u) == 0) continue;
    KVS_RETURN_IF_ERROR(CheckRoom(reader, "entries", entries.size()));
    const uint64_t distance = bit + 1;
    if (distance > std::numeric_limits<PartIndex>::max() - first.part ||
        distance > std::numeric_limits<RequestId>::max() - first.request) {
      return reader.Bad(fmt::format("`also` goes past the last part or request: bit {}", bit));
    }
    typename Codec::Entry& entry = entries.emplace_back(first);
    entry.part += static_cast<PartIndex>(distance);
    entry.request += distance;
    raw->payload_bytes.push_back(0);
  }
  return absl::OkStatus();
}

template <typename Codec>
absl::Status ReadFields(ProtoReader& reader, RawFrame<Codec>* raw) {
  FrameHeader& header = raw->frame.header;
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case FrameField::kCluster:
        status = reader.Fixed64(field, &header.cluster);
        break;
      case FrameField::kProtocol:
        status = reader.Uint32(field, &header.protocol);
        break;
      case FrameField::kEpoch:
        status = reader.Uint64(field, &header.epoch);
        break;
      case FrameField::kJob:
        status = reader.Uint64(field, &header.job);
        break;
      case FrameField::kRank:
        status = reader.Uint32(field, &header.rank);
        break;
      case FrameField::kIncarnation:
        status = reader.Uint64(field, &header.incarnation);
        break;
      case FrameField::kServerIncarnation:
        status = reader.Uint64(field, &header.server_incarnation);
        break;
      case FrameField::kEntries: {
        KVS_RETURN_IF_ERROR(CheckRoom(reader, "entries", raw->frame.entries.size()));
        raw->frame.entries.emplace_back();
        raw->payload_bytes.push_back(0);
        std::string also;
        KVS_RETURN_IF_ERROR(reader.Message(field, Codec::kEntryName, [&](ProtoReader& entry) {
          return ReadEntry<Codec>(entry, &raw->frame.entries.back(), &raw->payload_bytes.back(),
                                  &also);
        }));
        status = AddRun(reader, also, raw);
        break;
      }
      case FrameField::kKeys:
        KVS_RETURN_IF_ERROR(CheckRoom(reader, "keys", raw->frame.keys.size()));
        raw->frame.keys.emplace_back();
        status = reader.Message(field, "KeySpec", [&](ProtoReader& key) {
          return ReadKey(key, &raw->frame.keys.back());
        });
        break;
      case FrameField::kPayload:
        if (raw->has_payload) return reader.Bad("one payload expected, got a second one");
        raw->has_payload = true;
        status = reader.Bytes(field, &raw->payload);
        break;
      default:
        status = Codec::ReadExtra(reader, field, &raw->frame);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

// Gives each entry its bytes. The gaps' content is of no interest.
template <typename Codec>
absl::Status DealOutPayload(RawFrame<Codec>* raw) {
  PayloadCursor cursor(raw->payload);
  auto& entries = raw->frame.entries;
  for (size_t i = 0; i < entries.size(); ++i) {
    const size_t wanted = raw->payload_bytes[i];
    if (wanted == 0) continue;
    const size_t gap = GapAfter(cursor.position());
    if (!cursor.Skip(gap) || !cursor.ReadSlices(wanted, &Codec::Bytes(entries[i]))) {
      return absl::InvalidArgumentError(fmt::format(
          "bad frame: entry {} of {}: payload_bytes {} at offset {} expected, got a payload of {}",
          i, entries.size(), wanted, cursor.position(), raw->payload.size()));
    }
  }
  if (cursor.remaining() > GapAfter(cursor.position())) {
    return absl::InvalidArgumentError(
        fmt::format("bad frame: a payload of {} bytes expected for {} entries, got {}",
                    cursor.position(), entries.size(), raw->payload.size()));
  }
  return absl::OkStatus();
}

template <typename Codec>
absl::StatusOr<typename Codec::Frame> Decode(const Payload& bytes) {
  if (bytes.size() > kFrameBytesMax) {
    return absl::ResourceExhaustedError(
        fmt::format("a frame of at most {} bytes expected, got {}", kFrameBytesMax, bytes.size()));
  }
  RawFrame<Codec> raw;
  raw.frame.header.protocol = 0;  // absent is 0 on the wire; kProtocolVersion is for senders
  const size_t entries = std::min(CountEntries(bytes), kEntriesPerFrameMax);
  raw.frame.entries.reserve(entries);
  raw.payload_bytes.reserve(entries);
  PayloadCursor cursor(bytes);
  ProtoReader reader(Codec::kFrameName, &cursor, bytes.size());
  KVS_RETURN_IF_ERROR(ReadFields(reader, &raw));
  KVS_RETURN_IF_ERROR(DealOutPayload(&raw));
  CountMovedBytes(raw.payload.size());
  return std::move(raw.frame);
}

}  // namespace kvstore::wire
