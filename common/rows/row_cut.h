// How a row-sparse value is cut: into stripes, row r in stripe r mod P as its row r div P. A stripe
// is the part of that number: it lives in a slot like any other part. Pure; a property of the key,
// never of one worker.
#pragma once

#include <cstdint>

#include "common/cluster/identity.h"
#include "common/cluster/partitioner.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace kvstore {

// A prime, so that strided and hashed ids spread.
inline constexpr PartIndex kStripes = 61;

// Rows of one entry of a frame.
inline constexpr uint32_t kRowsPerEntryMax = 1u << 18;
// A row and its id fit into an entry of kPartBytesMax bytes.
inline constexpr size_t kRowBytesMax = kPartBytesMax - sizeof(int64_t);

// The shape of a row-sparse value, at least one dimension, seen as rows.
struct RowShape {
  int64_t rows = 0;           // shape[0]
  uint64_t row_elements = 1;  // the product of the other dimensions
  size_t row_bytes = 0;
  PartIndex stripes = 1;  // kStripes; 1 for a value of at most kPartBytesMax bytes

  // The stripe of `row`, which is at least 0. The divisor is a constant for the compiler: a row is
  // divided in several places on its way, and handling a narrow row costs less than one division by
  // a number that the compiler does not know.
  PartIndex StripeOf(int64_t row) const {
    return stripes == 1 ? 0 : static_cast<PartIndex>(static_cast<uint64_t>(row) % kStripes);
  }
  // The number of `row` within its stripe.
  int64_t RowInStripe(int64_t row) const {
    return stripes == 1 ? row : static_cast<int64_t>(static_cast<uint64_t>(row) / kStripes);
  }
  // Rows of stripe `stripe`.
  int64_t RowsIn(PartIndex stripe) const {
    return rows / stripes + (stripe < static_cast<PartIndex>(rows % stripes) ? 1 : 0);
  }
};

// `shape` has at least one dimension, `dtype` is a known one (both checked by whoever admits it).
inline RowShape RowShapeOf(const Shape& shape, DType dtype) {
  RowShape cut;
  cut.rows = shape[0];
  for (size_t i = 1; i < shape.size(); ++i) cut.row_elements *= static_cast<uint64_t>(shape[i]);
  cut.row_bytes = static_cast<size_t>(cut.row_elements) * DTypeBytes(dtype);
  const bool small = static_cast<uint64_t>(cut.rows) <= kPartBytesMax / cut.row_bytes;
  cut.stripes = small ? 1 : kStripes;
  return cut;
}

}  // namespace kvstore
