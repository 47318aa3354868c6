#include "common/tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kvstore {

absl::StatusOr<int64_t> ElementCount(const Shape& shape) {
  if (shape.size() > static_cast<size_t>(kDimsMax)) {
    return absl::InvalidArgumentError(
        fmt::format("at most {} dimensions expected, got {}", kDimsMax, shape.size()));
  }
  int64_t count = 1;
  bool none = false;
  for (const int64_t dim : shape) {
    if (dim < 0) {
      return absl::InvalidArgumentError(
          fmt::format("dimensions of at least 0 expected, got shape {}", ShapeString(shape)));
    }
    if (dim == 0) {
      none = true;
      continue;
    }
    // Also beside a dimension of 0, so that every product of some of them fits.
    if (dim > kElementsMax / count) {
      return absl::InvalidArgumentError(
          fmt::format("at most 2^40 elements expected, got shape {}", ShapeString(shape)));
    }
    count *= dim;
  }
  return none ? 0 : count;
}

std::string ShapeString(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

}  // namespace kvstore
