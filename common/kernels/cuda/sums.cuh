// The sums of kernels.h on a GPU, for nvcc and, on the simulated GPU, for the host's compiler.
//
// Bits are the same contract: each element is the left fold of its sources in their order, in
// AccumulatorOf(dtype), by the scalar reference's own functions (cpu/scalar.h), compiled without
// fused multiply-add (nvcc -fmad=false). Which thread sums an element has no part in it.
//
// Bytes: one pass over up to kSourcesMax arrays at a time, sizeof(T) (k + 1) for each element. A
// thread loads 16 bytes of every source before its first addition, past the caches (nobody reads
// them again), and strides over the grid. Where the arrays are not alike aligned, and for the
// elements before and behind whole 16 bytes, it takes one element at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "common/kernels/cpu/scalar.h"
#include "common/kernels/cuda/launch.cuh"
#include "common/tensor/dtype.h"

namespace kvstore::cuda {

constexpr int kSourcesMax = 8;  // of one pass
constexpr unsigned kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;
constexpr size_t kPackBytes = sizeof(uint4);

template <typename T>
using AccOf = decltype(scalar::Widened(T()));

template <typename T, int kCount>
struct Sources {
  const T* at[kCount];
};

// How the elements are cut: `head` before the first whole 16 bytes, then `packs` of these.
struct Cut {
  size_t head = 0;
  size_t packs = 0;
  size_t elements = 0;
  bool packs_stored = false;  // whether what is written has whole 16 bytes at the same elements
};

// A sum as what is written: in the accumulator's dtype, or rounded.
template <typename To, typename Acc>
__device__ To Written(Acc sum) {
  if constexpr (std::is_same_v<To, F16>) {
    return ToF16(sum);
  } else if constexpr (std::is_same_v<To, BF16>) {
    return ToBF16(sum);
  } else {
    return sum;
  }
}

// Elements of other types are loaded and stored as ints of their size.
template <typename T>
using BitsOfSize = std::conditional_t<
    sizeof(T) == 1, unsigned char,
    std::conditional_t<sizeof(T) == 2, unsigned short,
                       std::conditional_t<sizeof(T) == 4, unsigned, unsigned long long>>>;

template <typename T>
__device__ T LoadOne(const T* at) {
  const auto bits = __ldcs(reinterpret_cast<const BitsOfSize<T>*>(at));
  T value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename T>
__device__ void StoreOne(T* at, T value) {
  BitsOfSize<T> bits;
  memcpy(&bits, &value, sizeof value);
  __stcs(reinterpret_cast<BitsOfSize<T>*>(at), bits);
}

// kCount elements, of which `there` are: the others are as they were.
template <int kCount, typename T>
__device__ void LoadGroup(const T* from, int there, bool packed, T* to) {
  constexpr int kPack = static_cast<int>(kPackBytes / sizeof(T));
  if (packed && there == kCount) {
    for (int i = 0; i < kCount; i += kPack) {
      const uint4 bits = __ldcs(reinterpret_cast<const uint4*>(from + i));
      memcpy(to + i, &bits, sizeof bits);
    }
    return;
  }
  for (int i = 0; i < kCount; ++i) {  // indices are constants, so that `to` may be registers
    if (i < there) to[i] = LoadOne(from + i);
  }
}

template <int kCount, typename T>
__device__ void StoreGroup(T* to, int there, bool packed, const T* from) {
  constexpr int kPack = static_cast<int>(kPackBytes / sizeof(T));
  if (packed && there == kCount) {
    for (int i = 0; i < kCount; i += kPack) {
      uint4 bits;
      memcpy(static_cast<void*>(&bits), from + i, sizeof bits);
      __stcs(reinterpret_cast<uint4*>(to + i), bits);
    }
    return;
  }
  for (int i = 0; i < kCount; ++i) {
    if (i < there) StoreOne(to + i, from[i]);
  }
}

// `kAdds`: goes on from the sums that are in `to`, instead of from the first source.
template <typename T, typename To, int kCount, bool kAdds>
__global__ void SumK(const __grid_constant__ Sources<T, kCount> from, To* to, const Cut cut) {
  using Acc = decltype(scalar::Widened(T()));
  constexpr int kPack = static_cast<int>(kPackBytes / sizeof(T));
  const size_t first = size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const size_t step = size_t{gridDim.x} * blockDim.x;
  for (size_t pack = first; pack < cut.packs; pack += step) {
    const size_t at = cut.head + pack * kPack;
    uint4 bits[kCount];
    for (int k = 0; k < kCount; ++k)
      bits[k] = __ldcs(reinterpret_cast<const uint4*>(from.at[k] + at));
    To out[kPack];
    for (int i = 0; i < kPack; ++i) {
      T x[kCount];
      for (int k = 0; k < kCount; ++k) {
        memcpy(&x[k], reinterpret_cast<const unsigned char*>(&bits[k]) + i * sizeof(T), sizeof(T));
      }
      Acc sum;
      if constexpr (kAdds) {
        sum = scalar::Sum(LoadOne(to + at + i), scalar::Widened(x[0]));
      } else {
        sum = scalar::Widened(x[0]);
      }
      for (int k = 1; k < kCount; ++k) sum = scalar::Sum(sum, scalar::Widened(x[k]));
      out[i] = Written<To>(sum);
    }
    if constexpr (sizeof(To) == sizeof(T)) {
      if (cut.packs_stored) {
        uint4 packed;
        memcpy(&packed, out, sizeof packed);
        __stcs(reinterpret_cast<uint4*>(to + at), packed);
        continue;
      }
    }
    for (int i = 0; i < kPack; ++i) StoreOne(to + at + i, out[i]);
  }
  const size_t packed = cut.packs * kPack;
  for (size_t i = first; i < cut.elements - packed; i += step) {
    const size_t at = i < cut.head ? i : i + packed;
    Acc sum = scalar::Widened(LoadOne(from.at[0] + at));
    if constexpr (kAdds) sum = scalar::Sum(LoadOne(to + at), sum);
    for (int k = 1; k < kCount; ++k)
      sum = scalar::Sum(sum, scalar::Widened(LoadOne(from.at[k] + at)));
    StoreOne(to + at, Written<To>(sum));
  }
}

// to[i] = acc[i] rounded to T, f16 or bf16.
template <typename T>
__global__ void NarrowAll(const float* acc, T* to, size_t elements) {
  const size_t step = size_t{gridDim.x} * blockDim.x;
  for (size_t i = size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += step) {
    StoreOne(to + i, Written<T>(LoadOne(acc + i)));
  }
}

inline bool AtWholePack(const void* at) {
  return reinterpret_cast<uintptr_t>(at) % kPackBytes == 0;
}

inline unsigned BlocksFor(size_t work, const Place& place) {
  const size_t blocks = (work + kThreads - 1) / kThreads;
  const size_t most = static_cast<size_t>(place.multiprocessors) * kBlocksPerMultiprocessor;
  return static_cast<unsigned>(std::max<size_t>(1, std::min(blocks, most)));
}

// Whole 16 bytes begin at the same element of each source, or nowhere.
template <typename T>
Cut CutOf(const void* const* sources, size_t count, size_t elements, const void* to) {
  const auto beyond = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % kPackBytes; };
  Cut cut;
  cut.elements = elements;
  for (size_t k = 1; k < count; ++k) {
    if (beyond(sources[k]) != beyond(sources[0])) return cut;
  }
  cut.head = std::min((kPackBytes - beyond(sources[0])) % kPackBytes / sizeof(T), elements);
  cut.packs = (elements - cut.head) / (kPackBytes / sizeof(T));
  cut.packs_stored = beyond(to) == beyond(sources[0]);
  return cut;
}

template <typename T, typename To, bool kAdds, int kCount = kSourcesMax>
cudaError_t LaunchSum(const void* const* sources, int count, size_t elements, void* to,
                      const Place& place) {
  if constexpr (kCount == 0) {
    return cudaErrorInvalidValue;
  } else {
    if (count < kCount) {
      return LaunchSum<T, To, kAdds, kCount - 1>(sources, count, elements, to, place);
    }
    Sources<T, kCount> from;
    for (int k = 0; k < kCount; ++k) from.at[k] = static_cast<const T*>(sources[k]);
    const Cut cut = CutOf<T>(sources, kCount, elements, to);
    const size_t rest = elements - cut.packs * (kPackBytes / sizeof(T));
    return Launch(&SumK<T, To, kCount, kAdds>, BlocksFor(std::max(cut.packs, rest), place),
                  kThreads, place, from, static_cast<To*>(to), cut);
  }
}

template <typename T, typename To>
cudaError_t SumAs(const void* const* sources, size_t count, size_t elements, void* to,
                  const Place& place) {
  const size_t first = std::min<size_t>(count, kSourcesMax);
  cudaError_t error =
      LaunchSum<T, To, false>(sources, static_cast<int>(first), elements, to, place);
  if constexpr (std::is_same_v<To, decltype(scalar::Widened(T()))>) {
    for (size_t k = first; k < count && error == cudaSuccess; k += kSourcesMax) {
      const size_t next = std::min<size_t>(count - k, kSourcesMax);
      error = LaunchSum<T, To, true>(sources + k, static_cast<int>(next), elements, to, place);
    }
  }
  return error;
}

// to[i] = the left fold of the sources' i-th elements, in AccumulatorOf(dtype); `rounded`: in
// `dtype`, which for f16 and bf16 is possible for kSourcesMax arrays at most. All are in the memory
// of the place's device, or of one whose memory it reads, at multiples of their elements' size.
// `to` may be one of the first kSourcesMax sources where it has their dtype. Returns when the
// kernels are launched. Errors: cudaErrorInvalidValue for a dtype that is none, no source, and too
// many to be rounded.
inline cudaError_t LeftFold(DType dtype, const void* const* sources, size_t count, size_t elements,
                            bool rounded, void* to, const Place& place) {
  if (count == 0) return cudaErrorInvalidValue;
  if (elements == 0) return cudaSuccess;
  const bool narrow = dtype == DType::kFloat16 || dtype == DType::kBFloat16;
  if (narrow && rounded && count > static_cast<size_t>(kSourcesMax)) return cudaErrorInvalidValue;
  switch (dtype) {
    case DType::kFloat32:
      return SumAs<float, float>(sources, count, elements, to, place);
    case DType::kFloat64:
      return SumAs<double, double>(sources, count, elements, to, place);
    case DType::kFloat16:
      return rounded ? SumAs<F16, F16>(sources, count, elements, to, place)
                     : SumAs<F16, float>(sources, count, elements, to, place);
    case DType::kBFloat16:
      return rounded ? SumAs<BF16, BF16>(sources, count, elements, to, place)
                     : SumAs<BF16, float>(sources, count, elements, to, place);
    case DType::kUInt8:
    case DType::kInt8:
      return SumAs<uint8_t, uint8_t>(sources, count, elements, to, place);
    case DType::kInt32:
      return SumAs<uint32_t, uint32_t>(sources, count, elements, to, place);
    case DType::kInt64:
      return SumAs<uint64_t, uint64_t>(sources, count, elements, to, place);
    case DType::kBool:
      return SumAs<scalar::Bool, scalar::Bool>(sources, count, elements, to, place);
    case DType::kUnspecified:
      break;
  }
  return cudaErrorInvalidValue;
}

// to[i] = acc[i], f32, rounded to `dtype`, f16 or bf16 (else cudaErrorInvalidValue). As above.
inline cudaError_t Narrow(DType dtype, const void* acc, size_t elements, void* to,
                          const Place& place) {
  if (elements == 0) return cudaSuccess;
  const unsigned blocks = BlocksFor(elements, place);
  const auto* const from = static_cast<const float*>(acc);
  if (dtype == DType::kFloat16) {
    return Launch(&NarrowAll<F16>, blocks, kThreads, place, from, static_cast<F16*>(to), elements);
  }
  if (dtype == DType::kBFloat16) {
    return Launch(&NarrowAll<BF16>, blocks, kThreads, place, from, static_cast<BF16*>(to),
                  elements);
  }
  return cudaErrorInvalidValue;
}

}  // namespace kvstore::cuda
