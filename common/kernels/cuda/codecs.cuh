// The codecs of one and two bits an element on a GPU, for nvcc and, on the simulated GPU, for the
// host's compiler: the sum of a list, rounded to its dtype, on top of what was left over, encoded
// in one pass; and what codes stand for.
//
// Bits are those of the CPU (common/codec): sums as in sums.cuh, and then the very steps of the
// scalar reference (cpu/code_steps.h). Each element is encoded for itself.
//
// Bytes for each f32 of k sources, 2bit: 4 k are read, 4 of what is left over are read and written,
// 1/4 of codes: 4 k + 8.25. A thread encodes at least 16 bytes of a source, and whole bytes of
// codes: it loads 16 bytes of every source before its first addition. Where an array does not begin
// at whole 16 bytes, it takes one element at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/kernels/cpu/code_steps.h"
#include "common/kernels/cuda/launch.cuh"
#include "common/kernels/cuda/sums.cuh"
#include "common/tensor/dtype.h"

namespace kvstore::cuda {

// The elements that a thread takes at a time: whole 16 bytes, and a whole byte of codes.
template <typename T, int kBits>
constexpr int kGroup = std::max(static_cast<int>(kPackBytes / sizeof(T)), 8 / kBits);

// Groups of elements of an array: those of the codes' last word are there, too, without elements.
struct Groups {
  size_t elements = 0;
  size_t count = 0;
  bool packed = false;  // whether all arrays begin at whole 16 bytes
};

template <int kBits, typename Acc>
__device__ scalar::Coded<Acc> CodeOf(Acc threshold, Acc x) {
  if constexpr (kBits == 2) {
    return scalar::TwoBitCodeOf(threshold, x);
  } else {
    return scalar::OneBitCodeOf(threshold, Acc{1}, x);
  }
}

template <int kBits, typename Acc>
__device__ Acc MeaningOf(Acc threshold, unsigned code) {
  if constexpr (kBits == 2) {
    return scalar::TwoBitMeaning(threshold, code);
  } else {
    return scalar::OneBitMeaning(Acc{1}, code);
  }
}

// `before`: what was left over; null: nothing. It may be `left_over`.
template <typename T, int kCount, int kBits>
__global__ void EncodeSum(const __grid_constant__ Sources<T, kCount> from, AccOf<T> threshold,
                          const AccOf<T>* before, AccOf<T>* left_over, unsigned char* encoded,
                          const Groups groups) {
  using Acc = AccOf<T>;
  constexpr int kElements = kGroup<T, kBits>;
  constexpr int kBytes = kElements * kBits / 8;
  const size_t step = size_t{gridDim.x} * blockDim.x;
  for (size_t group = size_t{blockIdx.x} * blockDim.x + threadIdx.x; group < groups.count;
       group += step) {
    const size_t at = group * kElements;
    const size_t left = at < groups.elements ? groups.elements - at : 0;
    const int there = left < kElements ? static_cast<int>(left) : kElements;
    T x[kCount][kElements];
    Acc rest[kElements];
    for (int k = 0; k < kCount; ++k)
      LoadGroup<kElements>(from.at[k] + at, there, groups.packed, x[k]);
    if (before != nullptr) LoadGroup<kElements>(before + at, there, groups.packed, rest);
    unsigned char codes[kBytes] = {};
    for (int i = 0; i < kElements; ++i) {
      if (i >= there) continue;
      Acc sum = scalar::Widened(x[0][i]);
      for (int k = 1; k < kCount; ++k) sum = scalar::Sum(sum, scalar::Widened(x[k][i]));
      const Acc rounded = scalar::Widened(Written<T>(sum));
      const scalar::Coded<Acc> coded =
          CodeOf<kBits>(threshold, scalar::Sum(before != nullptr ? rest[i] : Acc{0}, rounded));
      rest[i] = coded.left;
      const int bit = i * kBits;
      codes[bit / 8] =
          static_cast<unsigned char>(codes[bit / 8] | coded.code << (8 - kBits - bit % 8));
    }
    StoreGroup<kElements>(left_over + at, there, groups.packed, rest);
    for (int byte = 0; byte < kBytes; ++byte)
      StoreOne(encoded + group * kBytes + byte, codes[byte]);
  }
}

// values[i] = what code i stands for; or adds that. A thread takes a byte of codes.
template <typename Acc, int kBits, bool kAdds>
__global__ void DecodeCodes(const unsigned char* encoded, Acc threshold, Acc* values,
                            const Groups groups) {
  constexpr int kElements = 8 / kBits;
  constexpr int kPack = static_cast<int>(kPackBytes / sizeof(Acc));
  static_assert(kElements % kPack == 0, "a byte of codes is whole 16 bytes of values");
  const size_t step = size_t{gridDim.x} * blockDim.x;
  for (size_t group = size_t{blockIdx.x} * blockDim.x + threadIdx.x; group < groups.count;
       group += step) {
    const size_t at = group * kElements;
    const size_t left = groups.elements - at;
    const int there = left < kElements ? static_cast<int>(left) : kElements;
    const unsigned codes = LoadOne(encoded + group);
    Acc out[kElements];
    if constexpr (kAdds) LoadGroup<kElements>(values + at, there, groups.packed, out);
    for (int i = 0; i < kElements; ++i) {
      const Acc meaning =
          MeaningOf<kBits>(threshold, codes >> (8 - kBits * (i + 1)) & ((1u << kBits) - 1));
      if constexpr (kAdds) {
        if (i < there) out[i] = scalar::Sum(out[i], meaning);
      } else {
        out[i] = meaning;
      }
    }
    StoreGroup<kElements>(values + at, there, groups.packed, out);
  }
}

// An encoding of the sum of some arrays. `before` is null where nothing was left over; it may be
// `left_over`. Both are in AccumulatorOf(dtype). `encoded`: code.EncodedBytes(elements) bytes.
struct EncodedAs {
  BitCode code;
  const void* before = nullptr;
  void* left_over = nullptr;
  void* encoded = nullptr;
};

template <typename T, int kBits, int kCount = kSourcesMax>
cudaError_t LaunchEncode(const EncodedAs& as, const void* const* sources, int count,
                         size_t elements, const Place& place) {
  if constexpr (kCount == 0) {
    return cudaErrorInvalidValue;
  } else {
    if (count < kCount) {
      return LaunchEncode<T, kBits, kCount - 1>(as, sources, count, elements, place);
    }
    using Acc = AccOf<T>;
    Groups groups;
    groups.elements = elements;
    groups.count = as.code.EncodedBytes(elements) / (kGroup<T, kBits> * kBits / 8);
    groups.packed = AtWholePack(as.before) && AtWholePack(as.left_over);
    Sources<T, kCount> from;
    for (int k = 0; k < kCount; ++k) {
      from.at[k] = static_cast<const T*>(sources[k]);
      groups.packed = groups.packed && AtWholePack(sources[k]);
    }
    return Launch(&EncodeSum<T, kCount, kBits>, BlocksFor(groups.count, place), kThreads, place,
                  from, static_cast<Acc>(as.code.threshold), static_cast<const Acc*>(as.before),
                  static_cast<Acc*>(as.left_over), static_cast<unsigned char*>(as.encoded), groups);
  }
}

// Encodes the sum of up to kSourcesMax arrays, f32, f64, f16 or bf16, rounded to their dtype. All
// are in the memory of the place's device, or of one whose memory it reads, at multiples of their
// elements' size. Returns when the kernel is launched. Errors: cudaErrorInvalidValue for another
// dtype, code or number of sources.
inline cudaError_t EncodeSumOf(DType dtype, const void* const* sources, size_t count,
                               size_t elements, const EncodedAs& as, const Place& place) {
  if (count == 0 || count > static_cast<size_t>(kSourcesMax)) return cudaErrorInvalidValue;
  if (as.code.bits != 1 && as.code.bits != 2) return cudaErrorInvalidValue;
  if (elements == 0) return cudaSuccess;
  const bool two = as.code.bits == 2;
  const int of = static_cast<int>(count);
  switch (dtype) {
    case DType::kFloat32:
      return two ? LaunchEncode<float, 2>(as, sources, of, elements, place)
                 : LaunchEncode<float, 1>(as, sources, of, elements, place);
    case DType::kFloat64:
      return two ? LaunchEncode<double, 2>(as, sources, of, elements, place)
                 : LaunchEncode<double, 1>(as, sources, of, elements, place);
    case DType::kFloat16:
      return two ? LaunchEncode<F16, 2>(as, sources, of, elements, place)
                 : LaunchEncode<F16, 1>(as, sources, of, elements, place);
    case DType::kBFloat16:
      return two ? LaunchEncode<BF16, 2>(as, sources, of, elements, place)
                 : LaunchEncode<BF16, 1>(as, sources, of, elements, place);
    default:
      return cudaErrorInvalidValue;
  }
}

template <typename Acc, int kBits>
cudaError_t LaunchDecode(const BitCode& code, const void* encoded, size_t elements, bool add,
                         void* values, const Place& place) {
  Groups groups;
  groups.elements = elements;
  groups.count = (elements * kBits + 7) / 8;
  groups.packed = AtWholePack(values);
  return Launch(add ? &DecodeCodes<Acc, kBits, true> : &DecodeCodes<Acc, kBits, false>,
                BlocksFor(groups.count, place), kThreads, place,
                static_cast<const unsigned char*>(encoded), static_cast<Acc>(code.threshold),
                static_cast<Acc*>(values), groups);
}

// values[i], f32 or f64, = what code i stands for; or adds that, if `add`: 4.25 or 8.25 bytes for
// each f32 of 2bit. As above.
inline cudaError_t Decode(const BitCode& code, DType dtype, const void* encoded, size_t elements,
                          bool add, void* values, const Place& place) {
  if (code.bits != 1 && code.bits != 2) return cudaErrorInvalidValue;
  if (dtype != DType::kFloat32 && dtype != DType::kFloat64) return cudaErrorInvalidValue;
  if (elements == 0) return cudaSuccess;
  if (dtype == DType::kFloat32) {
    return code.bits == 2 ? LaunchDecode<float, 2>(code, encoded, elements, add, values, place)
                          : LaunchDecode<float, 1>(code, encoded, elements, add, values, place);
  }
  return code.bits == 2 ? LaunchDecode<double, 2>(code, encoded, elements, add, values, place)
                        : LaunchDecode<double, 1>(code, encoded, elements, add, values, place);
}

}  // namespace kvstore::cuda
