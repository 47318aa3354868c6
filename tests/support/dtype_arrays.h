// Arrays of every dtype as bytes, for tests of stores.
#pragma once

#include <vector>

#include "kvstore/kvstore.h"
#include "tests/support/arrays.h"
#include "tests/support/dtype_oracle.h"

namespace kvstore::testing {

inline constexpr DataType kEveryDType[] = {
    DataType::kFloat32,  DataType::kFloat64, DataType::kFloat16,
    DataType::kBFloat16, DataType::kUInt8,   DataType::kInt8,
    DataType::kInt32,    DataType::kInt64,   DataType::kBool};

inline NDArray ToArray(const Bytes& bytes, DataType dtype) {
  const size_t elements = bytes.size() / DataTypeBytes(dtype);
  NDArray array = Zeros({static_cast<int64_t>(elements)}, dtype);
  array.SyncCopyFromCPU(bytes.data(), elements);
  return array;
}

inline Bytes PulledFrom(KVStore& store, int key, size_t elements, DataType dtype) {
  NDArray out = Zeros({static_cast<int64_t>(elements)}, dtype);
  store.Pull(std::vector<int>{key}, {&out});
  Bytes bytes(out.bytes());
  out.SyncCopyToCPU(bytes.data(), elements);
  return bytes;
}

}  // namespace kvstore::testing
