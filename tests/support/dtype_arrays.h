// Arrays of every dtype as bytes, for tests of stores.
#pragma once

#include <cstring>
#include <vector>

#include "kvstore/kvstore.h"
#include "tests/support/dtype_oracle.h"

namespace kvstore::testing {

inline constexpr DataType kEveryDType[] = {
    DataType::kFloat32,  DataType::kFloat64, DataType::kFloat16,
    DataType::kBFloat16, DataType::kUInt8,   DataType::kInt8,
    DataType::kInt32,    DataType::kInt64,   DataType::kBool};

inline NDArray ToArray(const Bytes& bytes, DataType dtype) {
  NDArray array({static_cast<int64_t>(bytes.size() / DataTypeBytes(dtype))}, dtype);
  std::memcpy(array.data(), bytes.data(), bytes.size());
  return array;
}

inline Bytes PulledFrom(KVStore& store, int key, size_t elements, DataType dtype) {
  NDArray out({static_cast<int64_t>(elements)}, dtype);
  store.Pull(std::vector<int>{key}, {&out});
  out.WaitToRead();
  return Bytes(out.data_as<uint8_t>(), out.data_as<uint8_t>() + out.bytes());
}

}  // namespace kvstore::testing
