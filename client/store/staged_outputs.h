// StagedOutputs: what a pull of a row_sparse key does with outputs on GPUs. Rows come in any order,
// and go one by one to their places: they are put together in host memory, and each output is
// copied to its GPU at once when all of them are there.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "client/store/store_backend.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Threading: thread-compatible.
class StagedOutputs {
 public:
  // Puts arrays in host memory, of the same storage, in the place of the operation's outputs on
  // GPUs; of a kPullRows these have no rows then. An array that is named twice stays one. May throw
  // std::bad_alloc; then the operation is as it was.
  static StagedOutputs In(KeyOperation* operation);

  bool empty() const { return staged_.empty(); }
  // Copies what was put together. Errors: those of DeviceLibrary; some of the outputs may be filled
  // then. May throw std::bad_alloc.
  absl::Status CopyToDevices() const;

 private:
  struct Staged {
    NDArray on_host;
    NDArray output;
  };
  std::vector<Staged> staged_;
};

}  // namespace kvstore
