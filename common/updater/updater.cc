#include "common/updater/updater.h"

#include <fmt/format.h>

#include "common/kernels/kernels.h"

namespace kvstore {

size_t UpdaterState::bytes() const {
  size_t total = 0;
  for (const MutableBufferPtr& tensor : tensors) total += tensor->size();
  return total;
}

absl::Status CheckFloatDType(const Updater& updater, const UpdaterPart& part) {
  if (KernelsSupport(part.dtype)) return absl::OkStatus();
  return absl::UnimplementedError(fmt::format("optimizer '{}': dtype f32 or f64 expected, got {}",
                                              updater.name(), DTypeName(part.dtype)));
}

}  // namespace kvstore
