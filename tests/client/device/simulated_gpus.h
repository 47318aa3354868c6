// Tells the SDK where the simulated GPUs are: two, gpu(0) and gpu(1), of 96 MiB each.
#pragma once

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

}  // namespace kvstore::testing
