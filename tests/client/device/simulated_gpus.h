// Tells the SDK where the simulated GPUs are: two, gpu(0) and gpu(1).
#pragma once

#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace kvstore::testing {

inline void UseSimulatedGpus() { KVStore::InitPSEnv({{"KVSTORE_CUDA_PLUGIN", KVS_CUDA_SIM}}); }

// What is in an array of default storage, wherever it is, once it may be read.
inline std::vector<uint8_t> BytesOf(const NDArray& array) {
  std::vector<uint8_t> bytes(array.bytes());
  array.SyncCopyToCPU(bytes.data(), static_cast<size_t>(array.size()));
  return bytes;
}

}  // namespace kvstore::testing
