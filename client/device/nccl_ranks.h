// NcclRanks: sets of GPUs of this process that sum with NCCL, each GPU as a rank of its set.
#pragma once

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/device/device_library.h"
#include "client/device/nccl_library.h"
#include "common/base/mutex.h"
#include "common/tensor/dtype.h"

namespace kvstore {

// Thread-safe; one collective at a time.
class NcclRanks {
 public:
  // Both outlive it.
  NcclRanks(const NcclLibrary& nccl, const DeviceLibrary& devices)
      : nccl_(nccl), devices_(devices) {}
  ~NcclRanks();
  NcclRanks(const NcclRanks&) = delete;
  NcclRanks& operator=(const NcclRanks&) = delete;

  // Rank i is gpus[i], which ascend, and brings `elements` times gpus.size() elements at sends[i],
  // in its memory; the i-th `elements` of the sum are at receives[i] then. `dtype` is its own
  // accumulator. In what order NCCL adds is its own affair.
  // Errors: INTERNAL; then what is received is undefined, and the set is made anew the next time.
  absl::Status ReduceScatter(const std::vector<int>& gpus, DType dtype,
                             absl::Span<const void* const> sends, absl::Span<void* const> receives,
                             size_t elements) KVS_EXCLUDES(mutex_);

 private:
  using Comms = std::vector<NcclComm>;  // by rank
  absl::StatusOr<const Comms*> CommsOf(const std::vector<int>& gpus) KVS_REQUIRES(mutex_);
  absl::Status Run(const std::vector<int>& gpus, const Comms& comms, DType dtype,
                   absl::Span<const void* const> sends, absl::Span<void* const> receives,
                   size_t elements) KVS_REQUIRES(mutex_);

  const NcclLibrary& nccl_;
  const DeviceLibrary& devices_;
  Mutex mutex_;
  std::map<std::vector<int>, Comms> comms_ KVS_GUARDED_BY(mutex_);
};

}  // namespace kvstore
