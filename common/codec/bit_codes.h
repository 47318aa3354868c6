// The inner loops of the codecs that send one or two bits for each element.
//
// Layout: elements come from the highest bits of a byte down. Two bits: element i is bits 7-6 of
// byte i/4 where i % 4 is 0, bits 1-0 where it is 3. One bit: element i is bit 7 of byte i/8 where
// i % 8 is 0. What is left of the last 32-bit word is zeros.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvstore {

constexpr size_t TwoBitBytes(size_t elements) { return (elements + 15) / 16 * 4; }
constexpr size_t OneBitBytes(size_t elements) { return (elements + 31) / 32 * 4; }

// For each element x of `values`: x >= threshold: code 11, and x loses the threshold;
// x <= -threshold: code 10, and x gains it; else (a NaN, too) code 00. What is not finite then
// becomes 0. The same bits with every instruction set. Both pointers need no alignment.
void EncodeTwoBit(float threshold, float* values, size_t elements, uint8_t* encoded);
void EncodeTwoBit(double threshold, double* values, size_t elements, uint8_t* encoded);

// For each element x: x > threshold: bit 1, and x loses `step`; else bit 0, and x gains it. What is
// not finite then becomes 0.
void EncodeOneBit(float threshold, float step, float* values, size_t elements, uint8_t* encoded);
void EncodeOneBit(double threshold, double step, double* values, size_t elements, uint8_t* encoded);

// Calls sink(i, value) for every element: +threshold for 11, -threshold for 10, 0 else.
template <typename T, typename Sink>
void DecodeTwoBit(T threshold, const uint8_t* encoded, size_t elements, const Sink& sink) {
  const T values[4] = {T{0}, T{0}, -threshold, threshold};
  size_t i = 0;
  for (; i + 4 <= elements; i += 4) {
    const unsigned codes = encoded[i / 4];
    sink(i, values[codes >> 6]);
    sink(i + 1, values[codes >> 4 & 3]);
    sink(i + 2, values[codes >> 2 & 3]);
    sink(i + 3, values[codes & 3]);
  }
  for (; i < elements; ++i) sink(i, values[encoded[i / 4] >> (6 - i % 4 * 2) & 3]);
}

// +value for a bit that is 1, -value for one that is 0.
template <typename T, typename Sink>
void DecodeOneBit(T value, const uint8_t* encoded, size_t elements, const Sink& sink) {
  const T values[2] = {-value, value};
  size_t i = 0;
  for (; i + 8 <= elements; i += 8) {
    const unsigned bits = encoded[i / 8];
    sink(i, values[bits >> 7]);
    sink(i + 1, values[bits >> 6 & 1]);
    sink(i + 2, values[bits >> 5 & 1]);
    sink(i + 3, values[bits >> 4 & 1]);
    sink(i + 4, values[bits >> 3 & 1]);
    sink(i + 5, values[bits >> 2 & 1]);
    sink(i + 6, values[bits >> 1 & 1]);
    sink(i + 7, values[bits & 1]);
  }
  for (; i < elements; ++i) sink(i, values[encoded[i / 8] >> (7 - i % 8) & 1]);
}

}  // namespace kvstore
