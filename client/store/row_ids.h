// The ids with which PullRowSparse asks for rows: an array of any dtype, as numbers of rows.
//
// Arrays of ids come from training code, where a float is the usual dtype, and a float that is
// large enough is rounded before anybody here sees it: row 59000001 as an f32 is 59000000. Such an
// id looks like any other, so it is not the id that is refused but the dtype, by what the key's
// height needs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensor/dtype.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// The greatest number of rows whose ids, from 0 on, are told apart in `dtype`: f32 2^24, f16 2^11,
// bf16 2^8, f64 2^53, u8 2^8, i8 2^7, i32 2^31, bool 2, i64 all there can be. In a table of that
// many rows every larger number, rounded or not, is out of range, so that a rounded id is always
// noticed.
int64_t RowsToldApart(DType dtype);

// Whether the ids of a value of `rows` rows may be in `dtype`. Errors: INVALID_ARGUMENT names the
// key `label`, both, and a dtype that will do.
absl::Status CheckIdDType(const std::string& label, DType dtype, int64_t rows);

// The ids in `ids`, whose dtype passed CheckIdDType, ascending, each once. A bool is 0 or 1.
// Errors name the key `label` and the first id that is wrong: INVALID_ARGUMENT if it is not a whole
// number, OUT_OF_RANGE if it is below 0 or not below `rows`. May throw std::bad_alloc.
absl::StatusOr<std::vector<int64_t>> RowIdsOf(const std::string& label, const NDArray& ids,
                                              int64_t rows);

}  // namespace kvstore
