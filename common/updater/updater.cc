#include "common/updater/updater.h"

#include <fmt/format.h>

#include "common/kernels/kernels.h"

namespace kvstore {

size_t UpdaterState::bytes() const {
  size_t total = 0;
  for (const MutableBufferPtr& tensor : tensors) total += tensor->size();
  return total;
}

absl::Status Updater::CheckDType(DType dtype) const {
  if (KernelsSupport(dtype)) return absl::OkStatus();
  return absl::UnimplementedError(
      fmt::format("optimizer '{}': dtype f32 or f64 expected, got {}", name(), DTypeName(dtype)));
}

}  // namespace kvstore
