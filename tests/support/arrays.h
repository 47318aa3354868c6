// Arrays of f32 for tests of stores: made in one line, read in one line.
#pragma once

#include <cstring>
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

// One dimension, these values.
inline NDArray Array(const Floats& values) {
  const NDArray array({static_cast<int64_t>(values.size())});
  std::memcpy(array.data(), values.data(), array.bytes());
  return array;
}
// The same value everywhere.
inline NDArray Filled(Dims shape, float value) {
  const NDArray array(std::move(shape));
  for (int64_t i = 0; i < array.size(); ++i) array.data_as<float>()[i] = value;
  return array;
}
inline NDArray Filled(int64_t elements, float value) { return Filled(Dims{elements}, value); }

// What is in an array of default storage, in host memory or a GPU's, once it may be read.
inline Floats Read(const NDArray& array) {
  Floats values(static_cast<size_t>(array.size()));
  array.SyncCopyToCPU(values.data(), values.size());
  return values;
}
// A key's value, pulled and waited for.
inline Floats PullFrom(KVStore& store, int key, const Dims& shape) {
  NDArray out(shape);
  store.Pull(Ints{key}, {&out});
  return Read(out);
}
inline Floats PullFrom(KVStore& store, int key, int64_t elements) {
  return PullFrom(store, key, Dims{elements});
}

}  // namespace kvstore
