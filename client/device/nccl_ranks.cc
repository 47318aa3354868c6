#include "client/device/nccl_ranks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>

#include "common/base/status_macros.h"

namespace kvstore {
namespace {

std::string Named(const std::vector<int>& gpus) {
  return fmt::format("a sum of gpu({})", fmt::join(gpus, "), gpu("));
}

}  // namespace

NcclRanks::~NcclRanks() {
  MutexLock lock(mutex_);
  for (const auto& [gpus, comms] : comms_) {
    for (NcclComm comm : comms) nccl_.CommDestroy(comm);
  }
}

absl::StatusOr<const NcclRanks::Comms*> NcclRanks::CommsOf(const std::vector<int>& gpus) {
  const auto known = comms_.find(gpus);
  if (known != comms_.end()) return &known->second;
  const auto made = comms_.emplace(gpus, Comms(gpus.size())).first;
  const int result =
      nccl_.CommInitAll(made->second.data(), static_cast<int>(gpus.size()), gpus.data());
  if (result != 0) {
    comms_.erase(made);
    return nccl_.Check(result, Named(gpus));
  }
  return &made->second;
}

absl::Status NcclRanks::Run(const std::vector<int>& gpus, const Comms& comms, DType dtype,
                            absl::Span<const void* const> sends, absl::Span<void* const> receives,
                            size_t elements) {
  std::vector<void*> streams(gpus.size());
  for (size_t i = 0; i < gpus.size(); ++i) {
    KVS_ASSIGN_OR_RETURN(streams[i], devices_.Stream(gpus[i]));
  }
  const NcclSum sum = NcclSumOf(dtype);
  int result = nccl_.GroupStart();
  for (size_t i = 0; i < gpus.size() && result == 0; ++i) {
    result = nccl_.ReduceScatter(sends[i], receives[i], elements, sum.dtype, sum.op, comms[i],
                                 streams[i]);
  }
  const int ended = nccl_.GroupEnd();  // always, or the thread's next calls are of this group
  KVS_RETURN_IF_ERROR(nccl_.Check(result != 0 ? result : ended, Named(gpus)));
  for (const int gpu : gpus) KVS_RETURN_IF_ERROR(devices_.Wait(gpu));
  for (NcclComm comm : comms) {
    int error = 0;
    KVS_RETURN_IF_ERROR(nccl_.Check(nccl_.CommGetAsyncError(comm, &error), Named(gpus)));
    KVS_RETURN_IF_ERROR(nccl_.Check(error, Named(gpus)));
  }
  return absl::OkStatus();
}

absl::Status NcclRanks::ReduceScatter(const std::vector<int>& gpus, DType dtype,
                                      absl::Span<const void* const> sends,
                                      absl::Span<void* const> receives, size_t elements) {
  MutexLock lock(mutex_);
  KVS_ASSIGN_OR_RETURN(const Comms* const comms, CommsOf(gpus));
  const absl::Status done = Run(gpus, *comms, dtype, sends, receives, elements);
  if (!done.ok()) {
    for (NcclComm comm : *comms) nccl_.CommAbort(comm);
    comms_.erase(gpus);
  }
  return done;
}

}  // namespace kvstore
