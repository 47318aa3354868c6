// Shapes: at most 8 dimensions; `[]` is one element, and a dimension of 0 makes none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kvstore {

using Shape = std::vector<int64_t>;

inline constexpr int kDimsMax = 8;
inline constexpr int64_t kElementsMax = int64_t{1} << 40;

// Number of elements. Errors: INVALID_ARGUMENT for more than kDimsMax dimensions, a dimension
// below 0, or a product, of those that are not 0, over kElementsMax (computed without overflow).
absl::StatusOr<int64_t> ElementCount(const Shape& shape);

// The same of a row_sparse value, which has at least one dimension: at most kElementsMax rows, a
// row of at most as many elements, and kRowSparseElementsMax in all.
inline constexpr int64_t kRowSparseElementsMax = int64_t{1} << 60;
absl::StatusOr<int64_t> RowSparseElementCount(const Shape& shape);

// "[4,8]".
std::string ShapeString(const Shape& shape);

}  // namespace kvstore
