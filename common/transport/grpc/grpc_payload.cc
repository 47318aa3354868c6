#include "common/transport/grpc/grpc_payload.h"

#include <grpcpp/support/slice.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace kvstore {
namespace {

// A copy of so few bytes costs less than the bookkeeping of a reference: gRPC keeps up to 23 bytes
// inside of its slice, and a reference costs three allocations.
constexpr size_t kCopiedBytesMax = 64;

using Owner = std::shared_ptr<const void>;

void DropOwner(void* owner) { std::unique_ptr<Owner>(static_cast<Owner*>(owner)); }

bool IsCopied(const Slice& slice) {
  return slice.size <= kCopiedBytesMax || slice.owner == nullptr;
}

grpc::Slice Reference(const Slice& slice) {
  auto owner = std::make_unique<Owner>(slice.owner);
  // gRPC reads only; its signature predates const.
  return grpc::Slice(const_cast<uint8_t*>(slice.data), slice.size, DropOwner, owner.release());
}

}  // namespace

Payload TakePayload(grpc::ByteBuffer* bytes) {
  auto slices = std::make_shared<std::vector<grpc::Slice>>();
  // Cannot fail: only a compressed buffer is decoded, and compression is refused.
  (void)bytes->Dump(slices.get());
  bytes->Clear();
  Payload payload;
  // gRPC holds small slices in place: the pointers are good because `slices` grows no more.
  for (const grpc::Slice& slice : *slices) {
    payload.Append(Slice{slice.begin(), slice.size(), slices});
  }
  return payload;
}

grpc::ByteBuffer ToByteBuffer(const Payload& payload) {
  std::vector<grpc::Slice> slices;
  slices.reserve(payload.slices().size());
  const std::vector<Slice>& source = payload.slices();
  for (size_t i = 0; i < source.size();) {
    if (!IsCopied(source[i])) {
      slices.push_back(Reference(source[i++]));
      continue;
    }
    size_t end = i;
    size_t size = 0;
    while (end < source.size() && IsCopied(source[end])) size += source[end++].size;
    grpc::Slice copy(size);
    uint8_t* out = const_cast<uint8_t*>(copy.begin());  // ours alone until it is handed over
    for (; i < end; ++i) {
      std::memcpy(out, source[i].data, source[i].size);
      out += source[i].size;
    }
    slices.push_back(std::move(copy));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace kvstore
