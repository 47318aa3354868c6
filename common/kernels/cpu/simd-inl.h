// What the SIMD files share, compiled once per instruction set: included between
// HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE of each, hence no #pragma once.
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(KVS_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KVS_SIMD_INL_H
#undef KVS_SIMD_INL_H
#else
#define KVS_SIMD_INL_H
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvstore {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Arrays start at any byte, so vectors are moved as bytes and given their type in registers.
#if HWY_TARGET == HWY_SCALAR
template <class D>
hn::Vec<D> Get(D d, const uint8_t* at) {
  hn::TFromD<D> value;
  std::memcpy(&value, at, sizeof(value));
  return hn::Set(d, value);
}

template <class D>
void Put(D, hn::Vec<D> v, uint8_t* at) {
  const hn::TFromD<D> value = hn::GetLane(v);
  std::memcpy(at, &value, sizeof(value));
}
#else
template <class D>
hn::Vec<D> Get(D d, const uint8_t* at) {
  return hn::BitCast(d, hn::LoadU(hn::Repartition<uint8_t, D>(), at));
}

template <class D>
void Put(D, hn::Vec<D> v, uint8_t* at) {
  const hn::Repartition<uint8_t, D> bytes;
  hn::StoreU(hn::BitCast(bytes, v), bytes, at);
}
#endif

// Past the cache; `at` is a multiple of a vector's bytes. FlushStream before anybody is told.
template <class D>
void PutStreamed([[maybe_unused]] D d, hn::Vec<D> v, uint8_t* at) {
#if HWY_TARGET == HWY_SCALAR
  Put(d, v, at);
#else
  const hn::Repartition<uint8_t, D> bytes;
  hn::Stream(hn::BitCast(bytes, v), bytes, at);
#endif
}

// Calls `step` with the index of the first element of each whole vector, then
// `rest(index, elements left)`.
template <class D, typename Step, typename Rest>
void ForEachVector(D d, size_t elements, Step step, Rest rest) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= elements; i += lanes) step(i);
  if (i < elements) rest(i, elements - i);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace kvstore
HWY_AFTER_NAMESPACE();

#endif  // toggle
