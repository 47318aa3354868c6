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

absl::StatusOr<int64_t> RowSparseElementCount(const Shape& shape) {
  const auto first = shape.begin() + (shape.empty() ? 0 : 1);
  const absl::StatusOr<int64_t> rows = ElementCount(Shape(shape.begin(), first));
  if (shape.size() > static_cast<size_t>(kDimsMax) || !rows.ok()) return ElementCount(shape);
  const absl::StatusOr<int64_t> of_row = ElementCount(Shape(first, shape.end()));
  if (!of_row.ok()) return ElementCount(shape);
  if (*rows == 0 || *of_row <= kRowSparseElementsMax / *rows) return *rows * *of_row;
  return absl::InvalidArgumentError(fmt::format(
      "at most 2^60 elements of a row_sparse value expected, got shape {}", ShapeString(shape)));
}

std::string ShapeString(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

}  // namespace kvstore
