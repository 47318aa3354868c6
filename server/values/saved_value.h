// The bytes that a part is saved as: what a checkpoint keeps and a replica is sent. Numbers are
// little-endian and of fixed width, one after the other:
//
//   u8   1                  version of this format
//   u8   storage            0 dense, 1 row-sparse
//   u8   dtype              of the value; numbers of kvstore.v1.DType
//   u64  rows               that the stripe has, 1 for a dense part
//   u64  row_elements       elements of a row; of a dense part all of them
//   u64  version            how many updates there were, also those that failed
//   u8   counted            1 if the updater keeps something beside the value, else 0
//   if it does:
//     u8   tensors          that it keeps, at most 8, and 240 of workers
//     u8   dtype            of them: the value's, or the one in which its sums are
//     u8   one per row      row-sparse: 1 if they, "master" aside, have one element for each row
//     u64  updates          since they were zero
//     for each: u8 length of its name, at least 1, and the name: "momentum"
//   the value, then the tensors; each is
//     dense:       its elements
//     row-sparse:  u64 count, count × u64 the rows that are not zero as numbers within the stripe,
//                  ascending, then count × the row's elements, or one
//
// Nothing follows. A part of 2 f32 after one update by SGD with momentum: 28 bytes of numbers,
// then 1 tensor, f32, 0, updates 1, 8 "momentum": 20 bytes, then 8 bytes of value and 8 of
// momentum: 64.
// That the bytes are those that were saved is for whoever carries them to prove (a file's
// checksum); here they are only known to be a part.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/updater/part_updater.h"
#include "common/wire/frame.h"

namespace kvstore {

struct SavedHeader {
  Storage storage = Storage::kDense;
  DType dtype = DType::kUnspecified;
  uint64_t rows = 0;
  uint64_t row_elements = 0;
  Round version = 0;
  StateLayout state;  // keeps_state(): counted, too
  uint64_t updates = 0;
};

Payload EncodeSavedHeader(const SavedHeader& header);

// Reads a header up to the value. `label`: of the part, for the message. Of `expected`, storage,
// dtype, rows and row_elements count.
// Errors: DATA_LOSS: no header; INVALID_ARGUMENT: that of a part that is not as expected.
absl::StatusOr<SavedHeader> DecodeSavedHeader(std::string_view label, const SavedHeader& expected,
                                              PayloadCursor* cursor);

}  // namespace kvstore
