// Arrays of f32 for tests of stores: made in one line, read in one line. They are in host memory,
// or, where a sentence runs with arrays on GPUs (ArraysOnGpus), there.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"

namespace kvstore {

using Ints = std::vector<int>;
using Strings = std::vector<std::string>;
using Floats = std::vector<float>;
using Dims = std::vector<int64_t>;

// Cut into three parts of at most 1 MiB, the last one short.
inline constexpr int64_t kSeveralParts = (1 << 18) * 2 + 1001;

// While it lives, the arrays that the thread makes with the functions below are on two GPUs and in
// host memory, in turns.
class ArraysOnGpus {
 public:
  ArraysOnGpus() { Made() = 1; }
  ~ArraysOnGpus() { Made() = 0; }
  ArraysOnGpus(const ArraysOnGpus&) = delete;
  ArraysOnGpus& operator=(const ArraysOnGpus&) = delete;

  // Where the next array is.
  static Context Next() {
    size_t& made = Made();
    if (made == 0 || ++made % 5 == 0) return Context::Cpu();
    return Context::Gpu(static_cast<int>(made % 2));
  }

 private:
  static size_t& Made() {  // by the thread, while there are such arrays
    static thread_local size_t made = 0;
    return made;
  }
};

// Zeros, of any dtype.
inline NDArray Zeros(Dims shape, DataType dtype = DataType::kFloat32) {
  return NDArray(std::move(shape), dtype, ArraysOnGpus::Next());
}
// These values.
inline NDArray Array(Dims shape, const Floats& values) {
  NDArray array = Zeros(std::move(shape));
  array.SyncCopyFromCPU(values.data(), values.size());
  return array;
}
// One dimension, these values.
inline NDArray Array(const Floats& values) {
  return Array(Dims{static_cast<int64_t>(values.size())}, values);
}
// The same value everywhere.
inline NDArray Filled(Dims shape, float value) {
  NDArray array = Zeros(std::move(shape));
  const Floats values(static_cast<size_t>(array.size()), value);
  array.SyncCopyFromCPU(values.data(), values.size());
  return array;
}
inline NDArray Filled(int64_t elements, float value) { return Filled(Dims{elements}, value); }
// The array; or a copy of it where the next array would be made, if that is on a GPU.
inline NDArray Placed(const NDArray& array) {
  const Context context = ArraysOnGpus::Next();
  return context.device == Context::Device::kCpu ? array : array.Copy(context);
}

// What is in an array of default storage, in host memory or a GPU's, once it may be read.
inline Floats Read(const NDArray& array) {
  Floats values(static_cast<size_t>(array.size()));
  array.SyncCopyToCPU(values.data(), values.size());
  return values;
}
// A key's value, pulled and waited for.
inline Floats PullFrom(KVStore& store, int key, const Dims& shape) {
  NDArray out = Zeros(shape);
  store.Pull(Ints{key}, {&out});
  return Read(out);
}
inline Floats PullFrom(KVStore& store, int key, int64_t elements) {
  return PullFrom(store, key, Dims{elements});
}

}  // namespace kvstore
