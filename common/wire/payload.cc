#include "common/wire/payload.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/wire/byte_counts.h"

namespace kvstore {

Payload::Payload(BufferPtr buffer) {
  const uint8_t* data = buffer->data();
  const size_t size = buffer->size();
  Append(Slice{data, size, std::move(buffer)});
}

Payload Payload::CopyOf(std::string_view bytes) {
  auto buffer = std::make_shared<Buffer>(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer->data(), bytes.data(), bytes.size());
  CountCopiedBytes(bytes.size());
  return Payload(BufferPtr(std::move(buffer)));
}

void Payload::Append(Slice slice) {
  if (slice.size == 0) return;
  size_ += slice.size;
  slices_.push_back(std::move(slice));
}

void Payload::Append(const Payload& other) {
  // By index and with the count taken before: `other` may be this payload.
  const size_t count = other.slices_.size();
  for (size_t i = 0; i < count; ++i) Append(Slice(other.slices_[i]));
}

Payload Payload::Sub(size_t offset, size_t length) const {
  KVS_CHECK(offset <= size_ && length <= size_ - offset);
  Payload sub;
  PayloadCursor cursor(*this);
  cursor.Skip(offset);
  cursor.ReadSlices(length, &sub);
  return sub;
}

Payload Payload::Copy() const {
  auto buffer = std::make_shared<Buffer>(size_);
  CopyTo(buffer->data());
  return Payload(BufferPtr(std::move(buffer)));
}

void Payload::CopyTo(void* destination) const {
  auto* to = static_cast<uint8_t*>(destination);
  for (const Slice& slice : slices_) {
    std::memcpy(to, slice.data, slice.size);
    to += slice.size;
  }
  CountCopiedBytes(size_);
}

std::string Payload::ToString() const {
  std::string bytes(size_, '\0');
  CopyTo(bytes.data());
  return bytes;
}

template <typename Visit>
void PayloadCursor::Walk(size_t n, const Visit& visit) {
  position_ += n;
  while (n > 0) {
    const Slice& slice = payload_->slices()[slice_];
    const size_t length = std::min(n, slice.size - offset_);
    visit(slice, offset_, length);
    n -= length;
    offset_ += length;
    if (offset_ == slice.size) {
      ++slice_;
      offset_ = 0;
    }
  }
}

bool PayloadCursor::Read(void* destination, size_t n) {
  if (n > remaining()) return false;
  auto* to = static_cast<uint8_t*>(destination);
  Walk(n, [&to](const Slice& slice, size_t offset, size_t length) {
    std::memcpy(to, slice.data + offset, length);
    to += length;
  });
  return true;
}

bool PayloadCursor::Skip(size_t n) {
  if (n > remaining()) return false;
  Walk(n, [](const Slice&, size_t, size_t) {});
  return true;
}

bool PayloadCursor::ReadSlices(size_t n, Payload* slices) {
  if (n > remaining()) return false;
  Walk(n, [slices](const Slice& slice, size_t offset, size_t length) {
    slices->Append(Slice{slice.data + offset, length, slice.owner});
  });
  return true;
}

bool PayloadCursor::ReadVarint(uint64_t* value) {
  constexpr size_t kVarintBytesMax = 10;
  if (slice_ < payload_->slices().size()) {  // mostly all of it lies in one slice
    const Slice& in = payload_->slices()[slice_];
    const uint8_t* const bytes = in.data + offset_;
    const size_t here = std::min(in.size - offset_, kVarintBytesMax - 1);
    uint64_t result = 0;
    for (size_t i = 0; i < here; ++i) {
      result |= uint64_t{bytes[i] & 0x7fu} << (7 * i);
      if (bytes[i] >= 0x80) continue;
      *value = result;
      offset_ += i + 1;
      position_ += i + 1;
      if (offset_ == in.size) {
        ++slice_;
        offset_ = 0;
      }
      return true;
    }
  }
  size_t slice = slice_;
  size_t offset = offset_;
  uint64_t result = 0;
  for (size_t i = 0; i < kVarintBytesMax; ++i) {
    if (slice == payload_->slices().size()) return false;
    const Slice& in = payload_->slices()[slice];
    const uint8_t byte = in.data[offset];
    if (++offset == in.size) {
      ++slice;
      offset = 0;
    }
    // The tenth byte holds bit 63 alone.
    if (i == kVarintBytesMax - 1 && byte > 1) return false;
    result |= uint64_t{byte & 0x7fu} << (7 * i);
    if (byte < 0x80) {
      *value = result;
      slice_ = slice;
      offset_ = offset;
      position_ += i + 1;
      return true;
    }
  }
  return false;
}

}  // namespace kvstore
