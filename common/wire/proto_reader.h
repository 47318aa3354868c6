// ProtoReader: protobuf's wire format, read by hand out of a Payload, for messages whose payload
// bytes must not be copied. Written for bytes from a hostile peer: every length is compared with
// what is left before it is used.
//
// Where protobuf leaves room, this does what protobuf's C++ library does: a varint in a 32-bit
// field keeps its low 32 bits, repeated numbers come packed or not. It is stricter in two things: a
// known field with another wire type is refused, and so are groups.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/status_macros.h"
#include "common/wire/payload.h"
#include "common/wire/utf8.h"
#include "common/wire/wire_type.h"

namespace kvstore::wire {

struct Field {
  uint32_t number = 0;
  uint32_t type = 0;  // as it came: maybe no WireType
};

// Reads the fields of one message, which ends at the payload's byte `end`. Nested readers share
// the cursor; a reader that is done() has left it at its end.
//
//   while (!reader.done()) {
//     Field field;
//     KVS_RETURN_IF_ERROR(reader.Next(&field));
//     KVS_RETURN_IF_ERROR(field.number == 1 ? reader.Uint64(field, &value) : reader.Skip(field));
//   }
//
// Errors, of all methods: INVALID_ARGUMENT says what was expected, what came, and where.
class ProtoReader {
 public:
  // `message` names the message in errors.
  ProtoReader(const char* message, PayloadCursor* cursor, size_t end)
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

  // Skips a field that we do not know: it is of a newer version, or garbage.
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
    ProtoReader packed(message_, cursor_, cursor_->position() + length);
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
    ProtoReader reader(message, cursor_, cursor_->position() + length);
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

  // Reads the length of what follows; refuses it if so many bytes are not there.
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

}  // namespace kvstore::wire
