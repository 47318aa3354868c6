// NcclLibrary: NVIDIA's library of collectives, opened by name when a program first wants it. The
// SDK has no link to it, and no header of it: the list below is what it uses, in the C interface
// that NCCL has had since 2.10.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensor/dtype.h"

namespace kvstore {

// ncclComm_t: what one rank of a set of GPUs is to NCCL.
using NcclComm = struct NcclCommOpaque*;

// Name and type of each function, without "nccl". Enums of NCCL are ints here, a stream of CUDA is
// a void*; each but the strings' returns a ncclResult_t, of which 0 is success.
#define KVS_NCCL_FUNCTIONS(X)                                                                    \
  X(GetVersion, int(int* version))                                                               \
  X(CommInitAll, int(NcclComm * comms, int gpus, const int* gpu_list))                           \
  X(CommDestroy, int(NcclComm comm))                                                             \
  X(CommAbort, int(NcclComm comm))                                                               \
  X(CommGetAsyncError, int(NcclComm comm, int* error))                                           \
  X(GroupStart, int())                                                                           \
  X(GroupEnd, int())                                                                             \
  X(ReduceScatter, int(const void* send, void* receive, size_t receive_count, int dtype, int op, \
                       NcclComm comm, void* stream))                                             \
  X(GetErrorString, const char*(int result))

// The type of a sum's elements for NCCL, and the operation that sums them.
struct NcclSum {
  int dtype = 0;
  int op = 0;
};
// `dtype`: one that is its own accumulator.
NcclSum NcclSumOf(DType dtype);

// Threading: thread-safe, as far as NCCL is: a communicator is used by one thread at a time. Lives
// as long as the process.
class NcclLibrary {
 public:
  // `file`, or libnccl.so.2 where the loader finds it, if it is empty.
  // Errors: FAILED_PRECONDITION says what cannot be opened, or which of its functions is missing.
  static absl::StatusOr<const NcclLibrary*> Open(const std::string& file);
  // What Open opens for `file`.
  static std::string FileOf(const std::string& file);

  // "2.28.9".
  const std::string& version() const { return version_; }
  // OK, or INTERNAL with NCCL's words for what went wrong with `what`.
  absl::Status Check(int result, const std::string& what) const;

#define KVS_NCCL_MEMBER(name, type) std::add_pointer_t<type> name = nullptr;
  KVS_NCCL_FUNCTIONS(KVS_NCCL_MEMBER)
#undef KVS_NCCL_MEMBER

 private:
  NcclLibrary() = default;

  std::string version_;
};

}  // namespace kvstore
