// Payload: a chain of byte slices, each kept alive by its owner. It is how payload bytes travel
// through the program without being copied: from gRPC's read buffers to the store, and from the
// store or the caller's memory to gRPC's write buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "common/tensor/buffer.h"

namespace kvstore {

// `size` bytes at `data`, valid while `owner` lives (null: valid by the caller's promise).
struct Slice {
  const uint8_t* data = nullptr;
  size_t size = 0;
  std::shared_ptr<const void> owner;
};

// Value type; copying it copies references, not bytes.
// Threading: thread-compatible; the bytes are immutable while any Payload refers to them.
class Payload {
 public:
  Payload() = default;
  explicit Payload(Slice slice) { Append(std::move(slice)); }
  // The whole buffer.
  explicit Payload(BufferPtr buffer);
  // A copy of `bytes`.
  static Payload CopyOf(std::string_view bytes);

  void Append(Slice slice);  // an empty slice is dropped
  void Append(const Payload& other);
  // Room for `slices` slices without another allocation.
  void Reserve(size_t slices) { slices_.reserve(slices); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  absl::Span<const Slice> slices() const { return slices_; }

  // The bytes [offset, offset + length), sharing the owners. KVS_CHECKs the range.
  Payload Sub(size_t offset, size_t length) const;
  // The same bytes in one slice of memory of its own.
  Payload Copy() const;
  // Copies all size() bytes to `destination`.
  void CopyTo(void* destination) const;
  std::string ToString() const;

 private:
  absl::InlinedVector<Slice, 1> slices_;  // a small value takes no memory for its list
  size_t size_ = 0;
};

// Reads a Payload front to back, across slice borders. Never reads beyond the end. The payload
// outlives the cursor and does not change meanwhile.
class PayloadCursor {
 public:
  explicit PayloadCursor(const Payload& payload) : payload_(&payload) {}

  size_t position() const { return position_; }
  size_t remaining() const { return payload_->size() - position_; }
  // False (and nothing moves) when fewer than `n` bytes remain.
  bool Read(void* destination, size_t n);
  bool Skip(size_t n);
  // Appends the next `n` bytes to `slices`, sharing the owners: no byte is copied.
  bool ReadSlices(size_t n, Payload* slices);
  // Protobuf varint; false (and nothing moves) when it is truncated, longer than 10 bytes, or
  // over 64 bits.
  bool ReadVarint(uint64_t* value);

 private:
  // Hands the next `n` bytes, piece by piece, to visit(slice, offset, length).
  template <typename Visit>
  void Walk(size_t n, const Visit& visit);

  const Payload* payload_;
  size_t slice_ = 0;
  size_t offset_ = 0;  // within slice_
  size_t position_ = 0;
};

}  // namespace kvstore
