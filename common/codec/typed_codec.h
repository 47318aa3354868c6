// TypedCodec: what a codec in f32 and one in f64 have in common. A codec derives from it and has
//   template <typename T> size_t EncodedBytesOf(size_t elements) const;
//   template <typename T> void EncodeOf(T* values, size_t elements, const BlockName& block,
//                                       void* scratch, uint8_t* encoded) const;
//   template <typename T, typename Sink> void DecodeOf(const uint8_t* encoded, size_t elements,
//                                                      const Sink& sink) const;
// with T float or double. A Sink takes what the elements stand for, each once, in any order.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>

#include "common/codec/codec.h"
#include "common/kernels/kernels.h"

namespace kvstore {

// values[i] = value.
template <typename T>
struct Assigns {
  T* values;
  void operator()(size_t i, T value) const { values[i] = value; }
};
// values[i] += value.
template <typename T>
struct Adds {
  T* values;
  void operator()(size_t i, T value) const { values[i] = values[i] + value; }
};

// What cannot be sent later either is forgotten: an infinity or a NaN would stay left over for
// ever.
template <typename T>
T LeftOver(T value) {
  return std::abs(value) <= std::numeric_limits<T>::max() ? value : T{0};
}

// How many of `elements` a codec sends that sends a share of them.
inline size_t SentOf(size_t elements, double ratio) {
  const auto sent = static_cast<size_t>(ratio * static_cast<double>(elements));
  return sent == 0 ? 1 : sent;
}

// Numbers at any byte.
template <typename T>
T LoadAs(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}
template <typename T>
void StoreAs(T value, uint8_t* at) {
  std::memcpy(at, &value, sizeof(value));
}

template <typename Derived>
class TypedCodec : public Codec {
 public:
  using Codec::Codec;

  size_t EncodedBytes(DType dtype, size_t elements) const final {
    return IsF64(dtype) ? derived().template EncodedBytesOf<double>(elements)
                        : derived().template EncodedBytesOf<float>(elements);
  }
  void Encode(DType dtype, void* values, size_t elements, const BlockName& block, void* scratch,
              uint8_t* encoded) const noexcept final {
    IsF64(dtype)
        ? derived().EncodeOf(static_cast<double*>(values), elements, block, scratch, encoded)
        : derived().EncodeOf(static_cast<float*>(values), elements, block, scratch, encoded);
  }
  void Decode(DType dtype, const uint8_t* encoded, size_t elements, bool add,
              void* values) const noexcept final {
    IsF64(dtype) ? DecodeTo(encoded, elements, add, static_cast<double*>(values))
                 : DecodeTo(encoded, elements, add, static_cast<float*>(values));
  }

 private:
  static bool IsF64(DType dtype) { return AccumulatorOf(dtype) == DType::kFloat64; }
  const Derived& derived() const { return static_cast<const Derived&>(*this); }
  template <typename T>
  void DecodeTo(const uint8_t* encoded, size_t elements, bool add, T* values) const {
    add ? derived().template DecodeOf<T>(encoded, elements, Adds<T>{values})
        : derived().template DecodeOf<T>(encoded, elements, Assigns<T>{values});
  }
};

}  // namespace kvstore
