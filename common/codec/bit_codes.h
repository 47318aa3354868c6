// The inner loops of the codecs that send one or two bits for each element. What happens to an
// element, and where its code is: common/kernels/cpu/code_steps.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/kernels/cpu/code_steps.h"

namespace kvstore {

// For each element x of `values`: x >= threshold: code 11, and x loses the threshold;
// x <= -threshold: code 10, and x gains it; else (a NaN, too) code 00. What is not finite then
// becomes 0. The same bits with every instruction set. Both pointers need no alignment.
void EncodeTwoBit(float threshold, float* values, size_t elements, uint8_t* encoded);
void EncodeTwoBit(double threshold, double* values, size_t elements, uint8_t* encoded);

// For each element x: x > threshold: bit 1, and x loses `step`; else bit 0, and x gains it. What is
// not finite then becomes 0.
void EncodeOneBit(float threshold, float step, float* values, size_t elements, uint8_t* encoded);
void EncodeOneBit(double threshold, double step, double* values, size_t elements, uint8_t* encoded);

// What all values of a byte stand for, so that a decoder takes one look for a byte of codes: its
// loads and stores of kPerByte elements become vectors.
template <typename T, size_t kPerByte>
struct ByteMeanings {
  // `meanings`: of each code. The element that comes first has the highest bits of a byte.
  explicit ByteMeanings(const T* meanings) {
    constexpr size_t kBits = 8 / kPerByte;
    for (size_t byte = 0; byte < 256; ++byte) {
      for (size_t i = 0; i < kPerByte; ++i) {
        of[byte][i] = meanings[byte >> (8 - kBits * (i + 1)) & ((1U << kBits) - 1)];
      }
    }
  }
  T of[256][kPerByte];
};

template <typename T, size_t kPerByte, typename Sink>
void DecodeBytes(const T* meanings, const uint8_t* encoded, size_t elements, const Sink& sink) {
  constexpr size_t kBits = 8 / kPerByte;
  // Below, the table would take longer to make than it saves.
  constexpr size_t kTableElementsMin = 4096;
  size_t i = 0;
  if (elements >= kTableElementsMin) {
    const ByteMeanings<T, kPerByte> table(meanings);
    for (; i + kPerByte <= elements; i += kPerByte) {
      const T* const values = table.of[encoded[i / kPerByte]];
      for (size_t k = 0; k < kPerByte; ++k) sink(i + k, values[k]);
    }
  }
  for (; i < elements; ++i) {
    const unsigned byte = encoded[i / kPerByte];
    sink(i, meanings[byte >> (8 - kBits * (i % kPerByte + 1)) & ((1U << kBits) - 1)]);
  }
}

// Calls sink(i, value) for every element: +threshold for 11, -threshold for 10, 0 else.
template <typename T, typename Sink>
void DecodeTwoBit(T threshold, const uint8_t* encoded, size_t elements, const Sink& sink) {
  const T meanings[4] = {T{0}, T{0}, scalar::TwoBitMeaning(threshold, 2),
                         scalar::TwoBitMeaning(threshold, 3)};
  DecodeBytes<T, 4>(meanings, encoded, elements, sink);
}

// +value for a bit that is 1, -value for one that is 0.
template <typename T, typename Sink>
void DecodeOneBit(T value, const uint8_t* encoded, size_t elements, const Sink& sink) {
  const T meanings[2] = {scalar::OneBitMeaning(value, 0), scalar::OneBitMeaning(value, 1)};
  DecodeBytes<T, 8>(meanings, encoded, elements, sink);
}

}  // namespace kvstore
