#include "server/values/finite_payload.h"

#include <cstring>
#include <memory>

#include "common/codec/codec.h"
#include "common/kernels/finite.h"
#include "common/kernels/kernels.h"

namespace kvstore {

std::optional<NotFiniteAt> FindNotFinite(DType dtype, const Payload& data) {
  if (!MayBeNotFinite(dtype) || data.empty()) return std::nullopt;
  const Payload whole = InOneSlice(data);
  const uint8_t* const bytes = whole.slices()[0].data;
  const size_t elements = whole.size() / DTypeBytes(dtype);
  NotFiniteAt found;
  found.element = FirstNotFinite(dtype, bytes, elements);
  if (found.element == elements) return std::nullopt;
  const uint8_t* const at = bytes + found.element * DTypeBytes(dtype);
  if (dtype == DType::kFloat64) {
    std::memcpy(&found.number, at, sizeof found.number);
  } else {
    float wide = 0;
    Widen(dtype, &wide, at, 1);
    found.number = static_cast<double>(wide);
  }
  return found;
}

Payload Finite(DType dtype, const Payload& data) {
  if (!FindNotFinite(dtype, data)) return data;
  const auto copy = std::make_shared<Buffer>(data.size());
  data.CopyTo(copy->data());
  ZeroNotFinite(dtype, copy->data(), data.size() / DTypeBytes(dtype));
  return Payload(BufferPtr(copy));
}

}  // namespace kvstore
