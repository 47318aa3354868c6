// ReplyFrame of proto/kvstore/v1/data.proto: what a reply has beyond the frame codec's part.
#include "common/wire/frame.h"
#include "common/wire/frame_codec.h"
#include "common/wire/utf8.h"

namespace kvstore {
namespace wire {
namespace {

struct ReplyField {
  enum : uint32_t {
    kProgress = 8,
    kCode = 9,
    kMessage = 10,
    kRetryAfterMs = 11,
    kMissingRanks = 12,
    kVersion = 13,
    kStaleness = 14,
  };
};

absl::Status ReadCode(ProtoReader& reader, const Field& field, absl::StatusCode* code) {
  uint32_t number = 0;
  KVS_RETURN_IF_ERROR(reader.Uint32(field, &number));
  *code = number > static_cast<uint32_t>(absl::StatusCode::kUnauthenticated)
              ? absl::StatusCode::kUnknown
              : static_cast<absl::StatusCode>(number);
  return absl::OkStatus();
}

struct ReplyCodec {
  using Frame = ReplyFrame;
  using Entry = ReplyEntry;
  static constexpr const char* kFrameName = "ReplyFrame";
  static constexpr const char* kEntryName = "ReplyEntry";

  static const Payload& Bytes(const Entry& entry) { return entry.data; }
  static Payload& Bytes(Entry& entry) { return entry.data; }
  static bool MayStandForMany(const Entry& entry) {
    return entry.message.empty() && entry.missing_ranks.empty();
  }
  static bool SameFields(const Entry& a, const Entry& b) {
    return a.progress == b.progress && a.code == b.code && a.retry_after_ms == b.retry_after_ms &&
           a.version == b.version && a.staleness == b.staleness;
  }

  template <typename Sink>
  static void PutFields(Sink& sink, const Entry& entry) {
    PutEnum(sink, ReplyField::kProgress, entry.progress);
    PutVarint(sink, ReplyField::kCode, static_cast<uint32_t>(entry.code));
    if (!entry.message.empty()) {
      PutString(sink, ReplyField::kMessage, ToValidUtf8(entry.message, kErrorTextBytesMax));
    }
    PutVarint(sink, ReplyField::kRetryAfterMs, entry.retry_after_ms);
    PutPacked(sink, ReplyField::kMissingRanks, entry.missing_ranks);
    PutVarint(sink, ReplyField::kVersion, entry.version);
    PutVarint(sink, ReplyField::kStaleness, entry.staleness);
  }
  template <typename Sink>
  static void PutExtras(Sink&, const Frame&) {}

  static absl::Status ReadField(ProtoReader& reader, const Field& field, Entry* entry) {
    switch (field.number) {
      case ReplyField::kProgress:
        return reader.Enum32(field, &entry->progress);
      case ReplyField::kCode:
        return ReadCode(reader, field, &entry->code);
      case ReplyField::kMessage:
        return reader.String(field, &entry->message);
      case ReplyField::kRetryAfterMs:
        return reader.Uint32(field, &entry->retry_after_ms);
      case ReplyField::kMissingRanks:
        return reader.Repeated(field, &entry->missing_ranks);
      case ReplyField::kVersion:
        return reader.Uint64(field, &entry->version);
      case ReplyField::kStaleness:
        return reader.Uint64(field, &entry->staleness);
      default:
        return reader.Skip(field);
    }
  }
  static absl::Status ReadExtra(ProtoReader& reader, const Field& field, Frame*) {
    return reader.Skip(field);
  }
};

}  // namespace
}  // namespace wire

Payload EncodeFrame(const ReplyFrame& frame) { return wire::Encode<wire::ReplyCodec>(frame); }

template <>
absl::StatusOr<ReplyFrame> DecodeFrame<ReplyFrame>(const Payload& bytes) {
  return wire::Decode<wire::ReplyCodec>(bytes);
}

}  // namespace kvstore
