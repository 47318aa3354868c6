// Protobuf's wire format, written by hand: for messages whose payload bytes must not be copied.
//
// How a message is laid out is written once, as a template over the sink, and run twice: over a
// CountingSink, to make one allocation of the right size, and over a WritingSink. Fields are
// written as proto3 writes them: defaults are left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "common/wire/wire_type.h"

namespace kvstore::wire {

// Bytes of `value` as a varint: 1 to 10.
constexpr size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

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

inline uint64_t BitsOf(double value) {
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

}  // namespace kvstore::wire
