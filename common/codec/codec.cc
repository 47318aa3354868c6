#include "common/codec/codec.h"

#include <fmt/format.h>

#include <utility>

#include "common/kernels/kernels.h"
#include "common/wire/byte_counts.h"

namespace kvstore {

absl::Status Codec::Check(DType dtype, size_t elements, const Payload& encoded) const {
  const size_t expected = EncodedBytes(dtype, elements);
  if (encoded.size() == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} bytes of {} for {} values of {} expected, got {}", expected, CodecName(id()),
                  elements, DTypeName(dtype), encoded.size()));
}

Payload EncodeValues(const Codec& codec, DType dtype, const uint8_t* values, size_t elements) {
  Buffer wide(elements * DTypeBytes(AccumulatorOf(dtype)));
  const auto encoded = std::make_shared<Buffer>(codec.EncodedBytes(dtype, elements));
  Widen(dtype, wide.data(), values, elements);
  codec.Encode(dtype, wide.data(), elements, {}, nullptr, encoded->data());
  return Payload(BufferPtr(encoded));
}

Payload DecodeValues(const Codec& codec, DType dtype, Payload encoded, size_t elements) {
  const Payload whole = InOneSlice(std::move(encoded));
  const auto wide = std::make_shared<Buffer>(elements * DTypeBytes(AccumulatorOf(dtype)));
  codec.Decode(dtype, whole.slices()[0].data, elements, /*add=*/false, wide->data());
  if (AccumulatorOf(dtype) == dtype) return Payload(BufferPtr(wide));
  const auto values = std::make_shared<Buffer>(elements * DTypeBytes(dtype));
  Narrow(dtype, values->data(), wide->data(), elements);
  return Payload(BufferPtr(values));
}

Payload InOneSlice(Payload encoded) {
  if (encoded.slices().size() == 1) return encoded;
  CountCopiedBytes(encoded.size());
  return encoded.Copy();
}

}  // namespace kvstore
