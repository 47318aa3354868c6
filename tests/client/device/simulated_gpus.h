// Tells the SDK where the simulated GPUs are: two, gpu(0) and gpu(1), of 96 MiB each.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace kvstore::testing {

inline void UseSimulatedGpus() {
  ::setenv("KVS_TEST_CUDA_MEMORY_MIB", "96", /*replace=*/0);
  KVStore::InitPSEnv({{"KVSTORE_CUDA_PLUGIN", KVS_CUDA_SIM}});
}

// What is in an array of default storage, wherever it is, once it may be read.
inline std::vector<uint8_t> BytesOf(const NDArray& array) {
  std::vector<uint8_t> bytes(array.bytes());
  array.SyncCopyToCPU(bytes.data(), static_cast<size_t>(array.size()));
  return bytes;
}

// Arrays that together take all memory of gpu(0) that is free.
inline std::vector<NDArray> AllMemoryOfGpu0() {
  std::vector<NDArray> all;
  for (int64_t elements = int64_t{1} << 24; elements > 0; elements /= 2) {
    try {
      for (;;) {
        all.emplace_back(std::vector<int64_t>{elements}, DataType::kFloat32, Context::Gpu(0));
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kResourceExhausted) throw;
    }
  }
  return all;
}

}  // namespace kvstore::testing
