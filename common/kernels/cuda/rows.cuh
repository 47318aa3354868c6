// Sums of rows on a GPU, for nvcc and, on the simulated GPU, for the host's compiler: each row that
// several arrays have is the left fold of theirs, in the order in which they are listed.
//
// Bits are those of sums.cuh. A warp sums a row: its threads take 16 bytes each where all rows
// begin at whole 16 bytes and have whole ones, else an element each. Bytes: each row that came is
// read once, with 8 bytes of its address, and each sum written once; what the table has besides
// costs nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/kernels/cpu/scalar.h"
#include "common/kernels/cuda/launch.cuh"
#include "common/kernels/cuda/sums.cuh"
#include "common/tensor/dtype.h"

namespace kvstore::cuda {

constexpr unsigned kWarp = 32;

// Rows of `width` elements: sum s is that of the rows at rows[begins[s]] to rows[begins[s + 1] -
// 1], at least one. `rows` and `begins` are in the device's memory.
struct RowLists {
  const unsigned long long* rows = nullptr;  // addresses
  const unsigned long long* begins = nullptr;
  size_t sums = 0;
  size_t width = 0;
  bool packed = false;  // whether rows and sums are whole 16 bytes at whole 16 bytes
};

// Elements `at` to at + kCount - 1 of a sum.
template <int kCount, typename T>
__device__ void SumOfRows(const RowLists& lists, size_t begin, size_t end, size_t at,
                          AccOf<T>* sum) {
  for (size_t row = begin; row < end; ++row) {
    const auto* const from = reinterpret_cast<const T*>(LoadOne(lists.rows + row));
    T x[kCount];
    LoadGroup<kCount>(from + at, kCount, kCount > 1, x);
    for (int i = 0; i < kCount; ++i) {
      sum[i] = row == begin ? scalar::Widened(x[i]) : scalar::Sum(sum[i], scalar::Widened(x[i]));
    }
  }
}

template <typename T>
__global__ void SumRows(const RowLists lists, AccOf<T>* to) {
  constexpr int kPack = static_cast<int>(kPackBytes / sizeof(T));
  const size_t thread = size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const size_t warps = size_t{gridDim.x} * blockDim.x / kWarp;
  for (size_t s = thread / kWarp; s < lists.sums; s += warps) {
    const size_t begin = LoadOne(lists.begins + s);
    const size_t end = LoadOne(lists.begins + s + 1);
    AccOf<T>* const out = to + s * lists.width;
    if (lists.packed) {
      for (size_t at = thread % kWarp * kPack; at < lists.width; at += size_t{kWarp} * kPack) {
        AccOf<T> sum[kPack] = {};
        SumOfRows<kPack, T>(lists, begin, end, at, sum);
        StoreGroup<kPack>(out + at, kPack, true, sum);
      }
    } else {
      for (size_t at = thread % kWarp; at < lists.width; at += kWarp) {
        AccOf<T> sum[1] = {};
        SumOfRows<1, T>(lists, begin, end, at, sum);
        StoreOne(out + at, sum[0]);
      }
    }
  }
}

template <typename T>
cudaError_t LaunchRows(const RowLists& lists, void* to, const Place& place) {
  return Launch(&SumRows<T>, BlocksFor(lists.sums * kWarp, place), kThreads, place, lists,
                static_cast<AccOf<T>*>(to));
}

// Sums of rows of that dtype, in AccumulatorOf(dtype), one behind the other. Rows and `to` are in
// the memory of the place's device, or of one whose memory it reads, at multiples of their
// elements' size. Returns when the kernel is launched. Errors: cudaErrorInvalidValue for a dtype
// that is none.
inline cudaError_t SumRowsOf(DType dtype, const RowLists& lists, void* to, const Place& place) {
  if (lists.sums == 0 || lists.width == 0) return cudaSuccess;
  switch (dtype) {
    case DType::kFloat32:
      return LaunchRows<float>(lists, to, place);
    case DType::kFloat64:
      return LaunchRows<double>(lists, to, place);
    case DType::kFloat16:
      return LaunchRows<F16>(lists, to, place);
    case DType::kBFloat16:
      return LaunchRows<BF16>(lists, to, place);
    case DType::kUInt8:
    case DType::kInt8:
      return LaunchRows<uint8_t>(lists, to, place);
    case DType::kInt32:
      return LaunchRows<uint32_t>(lists, to, place);
    case DType::kInt64:
      return LaunchRows<uint64_t>(lists, to, place);
    case DType::kBool:
      return LaunchRows<scalar::Bool>(lists, to, place);
    case DType::kUnspecified:
      break;
  }
  return cudaErrorInvalidValue;
}

}  // namespace kvstore::cuda
