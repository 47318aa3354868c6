// The decoder: kvstore.v1.Frame bytes, in slices cut anywhere, to a Frame whose parts refer to
// those slices. Written for bytes from a hostile peer: every length is compared with what is left
// before it is used, nesting is as deep as the schema and no deeper.
#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <utility>

#include "common/base/status_macros.h"
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
using wire::WireType;

struct Field {
  uint32_t number = 0;
  uint32_t type = 0;  // as it came: maybe no WireType
};

// Reads the fields of one message, which ends at the payload's byte `end`. Nested readers share
// the cursor; a reader that is done() has left it at its end.
class MessageReader {
 public:
  MessageReader(const char* message, PayloadCursor* cursor, size_t end)
      : message_(message), cursor_(cursor), end_(end) {}

  bool done() const { return cursor_->position() == end_; }

  absl::Status Next(Field* field) {
    const size_t start = cursor_->position();
    uint64_t tag = 0;
    KVS_RETURN_IF_ERROR(Varint("tag", &tag));
    // Protobuf's own limit: a tag is a varint of at most 32 bits in at most 5 bytes.
    if (tag > std::numeric_limits<uint32_t>::max() || cursor_->position() - start > 5) {
      return Bad(fmt::format("a tag of at most 5 bytes and 32 bits expected, got {:#x}", tag));
    }
    field->number = static_cast<uint32_t>(tag >> 3);
    field->type = static_cast<uint32_t>(tag & 7u);
    if (field->number == 0) return Bad("a field number of at least 1 expected, got 0");
    return absl::OkStatus();
  }

  // A field that we do not know: of a newer version, or garbage.
  absl::Status Skip(const Field& field) {
    switch (static_cast<WireType>(field.type)) {
      case WireType::kVarint: {
        uint64_t ignored = 0;
        return Varint("varint", &ignored);
      }
      case WireType::kFixed64:
        return SkipBytes(8);
      case WireType::kFixed32:
        return SkipBytes(4);
      case WireType::kLength: {
        size_t length = 0;
        KVS_RETURN_IF_ERROR(Length(&length));
        return SkipBytes(length);
      }
    }
    return Bad(fmt::format("wire type 0, 1, 2 or 5 expected in field {}, got {}", field.number,
                           field.type));
  }

  absl::Status Uint64(const Field& field, uint64_t* value) {
    KVS_RETURN_IF_ERROR(Expect(field, WireType::kVarint));
    return Varint("varint", value);
  }

  absl::Status Uint32(const Field& field, uint32_t* value) {
    uint64_t wide = 0;
    KVS_RETURN_IF_ERROR(Uint64(field, &wide));
    *value = static_cast<uint32_t>(wide);
    return absl::OkStatus();
  }

  absl::Status Bool(const Field& field, bool* value) {
    uint64_t wide = 0;
    KVS_RETURN_IF_ERROR(Uint64(field, &wide));
    *value = wide != 0;
    return absl::OkStatus();
  }

  // An enum of 32 bits; any number is kept.
  template <typename Enum>
  absl::Status Enum32(const Field& field, Enum* value) {
    static_assert(sizeof(Enum) == sizeof(uint32_t));
    uint32_t number = 0;
    KVS_RETURN_IF_ERROR(Uint32(field, &number));
    *value = static_cast<Enum>(number);
    return absl::OkStatus();
  }

  absl::Status Fixed64(const Field& field, uint64_t* value) {
    KVS_RETURN_IF_ERROR(Expect(field, WireType::kFixed64));
    uint8_t bytes[sizeof(uint64_t)];
    if (sizeof(bytes) > Left()) return Truncated("fixed64", sizeof(bytes));
    cursor_->Read(bytes, sizeof(bytes));
    *value = 0;
    for (size_t i = 0; i < sizeof(bytes); ++i) *value |= uint64_t{bytes[i]} << (8 * i);
    return absl::OkStatus();
  }

  absl::Status Double(const Field& field, double* value) {
    uint64_t bits = 0;
    KVS_RETURN_IF_ERROR(Fixed64(field, &bits));
    std::memcpy(value, &bits, sizeof(bits));
    return absl::OkStatus();
  }

  absl::Status String(const Field& field, std::string* value) {
    KVS_RETURN_IF_ERROR(Expect(field, WireType::kLength));
    size_t length = 0;
    KVS_RETURN_IF_ERROR(Length(&length));
    value->resize(length);
    cursor_->Read(value->data(), length);
    const size_t valid = ValidUtf8Prefix(*value);
    if (valid != length) {
      return Bad(fmt::format("UTF-8 expected in field {}, got byte {:#04x} at {} of {}",
                             field.number, static_cast<uint8_t>((*value)[valid]), valid, length));
    }
    return absl::OkStatus();
  }

  absl::Status Bytes(const Field& field, Payload* value) {
    KVS_RETURN_IF_ERROR(Expect(field, WireType::kLength));
    size_t length = 0;
    KVS_RETURN_IF_ERROR(Length(&length));
    cursor_->ReadSlices(length, value);
    return absl::OkStatus();
  }

  // Repeated varints: one, or a packed run of them.
  template <typename T>
  absl::Status Repeated(const Field& field, std::vector<T>* values) {
    uint64_t value = 0;
    if (field.type == static_cast<uint32_t>(WireType::kVarint)) {
      KVS_RETURN_IF_ERROR(Varint("varint", &value));
      values->push_back(static_cast<T>(value));
      return absl::OkStatus();
    }
    KVS_RETURN_IF_ERROR(Expect(field, WireType::kLength));
    size_t length = 0;
    KVS_RETURN_IF_ERROR(Length(&length));
    MessageReader packed(message_, cursor_, cursor_->position() + length);
    while (!packed.done()) {
      KVS_RETURN_IF_ERROR(packed.Varint("packed varint", &value));
      values->push_back(static_cast<T>(value));
    }
    return absl::OkStatus();
  }

  // A message field: hands a reader of it to `decode`.
  template <typename Decode>
  absl::Status Message(const Field& field, const char* message, const Decode& decode) {
    KVS_RETURN_IF_ERROR(Expect(field, WireType::kLength));
    size_t length = 0;
    KVS_RETURN_IF_ERROR(Length(&length));
    MessageReader reader(message, cursor_, cursor_->position() + length);
    return decode(reader);
  }

  absl::Status Bad(const std::string& problem) const {
    return absl::InvalidArgumentError(
        fmt::format("bad frame: {} before byte {}: {}", message_, cursor_->position(), problem));
  }

 private:
  size_t Left() const { return end_ - cursor_->position(); }

  absl::Status Truncated(const char* what, size_t expected) const {
    return Bad(fmt::format("truncated {}: {} bytes expected, got {}", what, expected, Left()));
  }

  absl::Status Varint(const char* what, uint64_t* value) {
    const size_t start = cursor_->position();
    if (!cursor_->ReadVarint(value) || cursor_->position() > end_) {
      return absl::InvalidArgumentError(
          fmt::format("bad frame: {} at byte {}: a {} of at most 10 bytes and 64 bits expected, "
                      "got {} bytes without its end",
                      message_, start, what, end_ - start));
    }
    return absl::OkStatus();
  }

  // The length of what follows; it is there.
  absl::Status Length(size_t* length) {
    uint64_t wide = 0;
    KVS_RETURN_IF_ERROR(Varint("length", &wide));
    if (wide > Left()) return Truncated("field", wide);
    *length = static_cast<size_t>(wide);
    return absl::OkStatus();
  }

  absl::Status SkipBytes(size_t n) {
    if (n > Left()) return Truncated("field", n);
    cursor_->Skip(n);
    return absl::OkStatus();
  }

  absl::Status Expect(const Field& field, WireType type) const {
    if (field.type == static_cast<uint32_t>(type)) return absl::OkStatus();
    return Bad(fmt::format("wire type {} expected in field {}, got {}", static_cast<uint32_t>(type),
                           field.number, field.type));
  }

  const char* message_;
  PayloadCursor* cursor_;
  size_t end_;
};

absl::Status DecodeCode(MessageReader& reader, const Field& field, absl::StatusCode* code) {
  uint32_t number = 0;
  KVS_RETURN_IF_ERROR(reader.Uint32(field, &number));
  *code = number > static_cast<uint32_t>(absl::StatusCode::kUnauthenticated)
              ? absl::StatusCode::kUnknown
              : static_cast<absl::StatusCode>(number);
  return absl::OkStatus();
}

absl::Status DecodeDType(MessageReader& reader, const Field& field, DType* dtype) {
  uint32_t number = 0;
  KVS_RETURN_IF_ERROR(reader.Uint32(field, &number));
  constexpr uint32_t kNone = std::numeric_limits<uint8_t>::max();
  *dtype = static_cast<DType>(number < kNone ? number : kNone);
  return absl::OkStatus();
}

// The bits of PartHeader.also: so many bytes at most that an entry stands for few others.
absl::Status DecodeAlso(MessageReader& reader, const Field& field, std::string* also) {
  Payload bits;
  KVS_RETURN_IF_ERROR(reader.Bytes(field, &bits));
  if (bits.size() > wire::kAlsoBytesMax) {
    return reader.Bad(fmt::format("at most {} bytes of `also` expected, got {}",
                                  wire::kAlsoBytesMax, bits.size()));
  }
  *also = bits.ToString();
  return absl::OkStatus();
}

absl::Status DecodePart(MessageReader& reader, PartEntry* part, uint32_t* payload_bytes,
                        std::string* also) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case PartField::kOp:
        status = reader.Enum32(field, &part->op);
        break;
      case PartField::kKey:
        status = reader.Fixed64(field, &part->key);
        break;
      case PartField::kPart:
        status = reader.Uint32(field, &part->part);
        break;
      case PartField::kRound:
        status = reader.Uint64(field, &part->round);
        break;
      case PartField::kRequest:
        status = reader.Uint64(field, &part->request);
        break;
      case PartField::kPayloadBytes:
        status = reader.Uint32(field, payload_bytes);
        break;
      case PartField::kStep:
        status = reader.Uint64(field, &part->step);
        break;
      case PartField::kProbedOp:
        status = reader.Enum32(field, &part->probed_op);
        break;
      case PartField::kCode:
        status = DecodeCode(reader, field, &part->code);
        break;
      case PartField::kMessage:
        status = reader.String(field, &part->message);
        break;
      case PartField::kProgress:
        status = reader.Enum32(field, &part->progress);
        break;
      case PartField::kRetryAfterMs:
        status = reader.Uint32(field, &part->retry_after_ms);
        break;
      case PartField::kMissingRanks:
        status = reader.Repeated(field, &part->missing_ranks);
        break;
      case PartField::kRows:
        status = reader.Uint32(field, &part->rows);
        break;
      case PartField::kFragment:
        status = reader.Uint32(field, &part->fragment);
        break;
      case PartField::kFragments:
        status = reader.Uint32(field, &part->fragments);
        break;
      case PartField::kCreate:
        status = reader.Bool(field, &part->create);
        break;
      case PartField::kAlso:
        status = DecodeAlso(reader, field, also);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status DecodeKey(MessageReader& reader, KeySpec* key) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case KeyField::kKey:
        status = reader.Fixed64(field, &key->key);
        break;
      case KeyField::kName:
        status = reader.String(field, &key->name);
        break;
      case KeyField::kDType:
        status = DecodeDType(reader, field, &key->dtype);
        break;
      case KeyField::kShape:
        status = reader.Repeated(field, &key->shape);
        break;
      case KeyField::kStorage:
        status = reader.Enum32(field, &key->storage);
        break;
      case KeyField::kShapeUnknown:
        status = reader.Bool(field, &key->shape_unknown);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status DecodeParameter(MessageReader& reader, std::map<std::string, double>* parameters) {
  std::string name;
  double value = 0;
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case MapField::kKey:
        status = reader.String(field, &name);
        break;
      case MapField::kValue:
        status = reader.Double(field, &value);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  (*parameters)[std::move(name)] = value;
  return absl::OkStatus();
}

absl::Status DecodeMultipliers(MessageReader& reader, OptimizerConfig* optimizer) {
  KeyId key = 0;
  KeyMultipliers multipliers{0, 0};
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case MultipliersField::kKey:
        status = reader.Fixed64(field, &key);
        break;
      case MultipliersField::kLrMult:
        status = reader.Double(field, &multipliers.lr_mult);
        break;
      case MultipliersField::kWdMult:
        status = reader.Double(field, &multipliers.wd_mult);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  optimizer->multipliers[key] = multipliers;
  return absl::OkStatus();
}

absl::Status DecodeOptimizer(MessageReader& reader, OptimizerConfig* optimizer) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case OptimizerField::kName:
        status = reader.String(field, &optimizer->name);
        break;
      case OptimizerField::kParameters:
        status = reader.Message(field, "OptimizerConfig.parameters", [&](MessageReader& entry) {
          return DecodeParameter(entry, &optimizer->parameters);
        });
        break;
      case OptimizerField::kMultipliers:
        status = reader.Message(field, "KeyMultipliers", [&](MessageReader& entry) {
          return DecodeMultipliers(entry, optimizer);
        });
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status DecodeCommand(MessageReader& reader, Command* command) {
  while (!reader.done()) {
    Field field;
    KVS_RETURN_IF_ERROR(reader.Next(&field));
    absl::Status status;
    switch (field.number) {
      case CommandField::kId:
        status = reader.Enum32(field, &command->id);
        break;
      case CommandField::kBody: {
        Payload body;
        status = reader.Bytes(field, &body);
        command->body = body.ToString();
        break;
      }
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

// What the fields say before the payload is dealt out to the parts: it may come before them.
struct RawFrame {
  Frame frame;
  std::vector<uint32_t> payload_bytes;  // of each part
  bool has_payload = false;
  Payload payload;
};

// Refuses the element that would be one too many.
absl::Status CheckRoom(const MessageReader& reader, const char* what, size_t count) {
  if (count < kPartsPerFrameMax) return absl::OkStatus();
  return reader.Bad(fmt::format("at most {} {} expected, got more", kPartsPerFrameMax, what));
}

// The entries that the last one stands for, too.
absl::Status AddRun(const MessageReader& reader, const std::string& also, RawFrame* raw) {
  if (also.empty()) return absl::OkStatus();
  const PartEntry first = raw->frame.parts.back();
  if (raw->payload_bytes.back() > 0 || !first.message.empty() || !first.missing_ranks.empty()) {
    return reader.Bad("no bytes, message or missing_ranks expected with `also`, got some");
  }
  for (size_t bit = 0; bit < 8 * also.size(); ++bit) {
    if ((static_cast<uint8_t>(also[bit / 8]) >> (bit % 8) & 1u) == 0) continue;
    KVS_RETURN_IF_ERROR(CheckRoom(reader, "parts", raw->frame.parts.size()));
    const uint64_t distance = bit + 1;
    if (distance > std::numeric_limits<PartIndex>::max() - first.part ||
        distance > std::numeric_limits<RequestId>::max() - first.request) {
      return reader.Bad(fmt::format("`also` goes past the last part or request: bit {}", bit));
    }
    PartEntry& part = raw->frame.parts.emplace_back(first);
    part.part += static_cast<PartIndex>(distance);
    part.request += distance;
    raw->payload_bytes.push_back(0);
  }
  return absl::OkStatus();
}

absl::Status DecodeFields(MessageReader& reader, RawFrame* raw) {
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
      case FrameField::kParts: {
        KVS_RETURN_IF_ERROR(CheckRoom(reader, "parts", raw->frame.parts.size()));
        raw->frame.parts.emplace_back();
        raw->payload_bytes.push_back(0);
        std::string also;
        KVS_RETURN_IF_ERROR(reader.Message(field, "PartHeader", [&](MessageReader& part) {
          return DecodePart(part, &raw->frame.parts.back(), &raw->payload_bytes.back(), &also);
        }));
        status = AddRun(reader, also, raw);
        break;
      }
      case FrameField::kKeys:
        KVS_RETURN_IF_ERROR(CheckRoom(reader, "keys", raw->frame.keys.size()));
        raw->frame.keys.emplace_back();
        status = reader.Message(field, "KeySpec", [&](MessageReader& key) {
          return DecodeKey(key, &raw->frame.keys.back());
        });
        break;
      case FrameField::kOptimizer:
        if (!raw->frame.optimizer) raw->frame.optimizer.emplace();
        status = reader.Message(field, "OptimizerConfig", [&](MessageReader& optimizer) {
          return DecodeOptimizer(optimizer, &*raw->frame.optimizer);
        });
        break;
      case FrameField::kCommand:
        if (!raw->frame.command) raw->frame.command.emplace();
        status = reader.Message(field, "Command", [&](MessageReader& command) {
          return DecodeCommand(command, &*raw->frame.command);
        });
        break;
      case FrameField::kPayload:
        if (raw->has_payload) return reader.Bad("one payload expected, got a second one");
        raw->has_payload = true;
        status = reader.Bytes(field, &raw->payload);
        break;
      default:
        status = reader.Skip(field);
    }
    KVS_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

// Gives each part its bytes. The gaps' content is of no interest.
absl::Status DealOutPayload(RawFrame* raw) {
  PayloadCursor cursor(raw->payload);
  for (size_t i = 0; i < raw->frame.parts.size(); ++i) {
    const size_t wanted = raw->payload_bytes[i];
    if (wanted == 0) continue;
    const size_t gap = GapAfter(cursor.position());
    if (!cursor.Skip(gap) || !cursor.ReadSlices(wanted, &raw->frame.parts[i].data)) {
      return absl::InvalidArgumentError(fmt::format(
          "bad frame: part {} of {}: payload_bytes {} at offset {} expected, got a payload of {}",
          i, raw->frame.parts.size(), wanted, cursor.position(), raw->payload.size()));
    }
  }
  if (cursor.remaining() > GapAfter(cursor.position())) {
    return absl::InvalidArgumentError(
        fmt::format("bad frame: a payload of {} bytes expected for {} parts, got {}",
                    cursor.position(), raw->frame.parts.size(), raw->payload.size()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Frame> DecodeFrame(const Payload& bytes) {
  if (bytes.size() > kFrameBytesMax) {
    return absl::ResourceExhaustedError(
        fmt::format("a frame of at most {} bytes expected, got {}", kFrameBytesMax, bytes.size()));
  }
  RawFrame raw;
  raw.frame.header.protocol = 0;  // absent is 0 on the wire; kProtocolVersion is for senders
  PayloadCursor cursor(bytes);
  MessageReader reader("Frame", &cursor, bytes.size());
  KVS_RETURN_IF_ERROR(DecodeFields(reader, &raw));
  KVS_RETURN_IF_ERROR(DealOutPayload(&raw));
  CountMovedBytes(raw.payload.size());
  return std::move(raw.frame);
}

}  // namespace kvstore
