#include "common/transport/grpc/grpc_payload.h"

#include <grpcpp/support/slice.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "common/wire/byte_counts.h"

namespace kvstore {
namespace {

// A copy of so few bytes costs less than the bookkeeping of a reference: three allocations, and an
// element of its own in what the kernel gathers.
constexpr size_t kCopiedBytesMax = 2048;

using Owner = std::shared_ptr<const void>;

void DropOwner(void* owner) { std::unique_ptr<Owner>(static_cast<Owner*>(owner)); }

bool IsCopied(const Slice& slice) {
  return slice.size <= kCopiedBytesMax || slice.owner == nullptr;
}

// Up to 23 bytes lie within the slice object itself.
bool IsInPlace(const grpc::Slice& slice) {
  const auto* object = reinterpret_cast<const uint8_t*>(&slice);
  return slice.begin() >= object && slice.begin() < object + sizeof(slice);
}

grpc::Slice Reference(const Slice& slice) {
  auto owner = std::make_unique<Owner>(slice.owner);
  // gRPC reads only; its signature predates const.
  return grpc::Slice(const_cast<uint8_t*>(slice.data), slice.size, DropOwner, owner.release());
}

}  // namespace

Payload TakePayload(grpc::ByteBuffer* bytes) {
  // The buffer is what keeps the bytes, not its slices: dropping the last reference of a slice of
  // gRPC 1.51 outside of gRPC's own threads crashes when a memory quota is exceeded, while
  // destroying a buffer prepares the thread for it.
  const auto buffer = std::make_shared<grpc::ByteBuffer>();
  buffer->Swap(bytes);
  std::vector<grpc::Slice> slices;
  // Cannot fail: only a compressed buffer is decoded, and compression is refused.
  (void)buffer->Dump(&slices);
  Payload payload;
  for (const grpc::Slice& slice : slices) {
    if (IsInPlace(slice)) {
      payload.Append(Payload::CopyOf({reinterpret_cast<const char*>(slice.begin()), slice.size()}));
    } else {
      payload.Append(Slice{slice.begin(), slice.size(), buffer});
    }
  }
  return payload;
}

grpc::ByteBuffer ToByteBuffer(const Payload& payload) {
  std::vector<grpc::Slice> slices;
  slices.reserve(payload.slices().size());
  const absl::Span<const Slice> source = payload.slices();
  for (size_t i = 0; i < source.size();) {
    if (!IsCopied(source[i])) {
      slices.push_back(Reference(source[i++]));
      continue;
    }
    size_t end = i;
    size_t size = 0;
    while (end < source.size() && IsCopied(source[end])) size += source[end++].size;
    CountCopiedBytes(size);
    grpc::Slice copy(size);
    auto* out = const_cast<uint8_t*>(copy.begin());  // ours alone until it is handed over
    for (; i < end; ++i) {
      std::memcpy(out, source[i].data, source[i].size);
      out += source[i].size;
    }
    slices.push_back(std::move(copy));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace kvstore
