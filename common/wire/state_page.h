// StatePage: a piece of what an updater keeps beside a part, as the bytes of a reply to READ_STATE
// and of a WRITE_STATE request. A part's tensors come one after the other, each from its first
// element (of a row-sparse part: row) on, in pages that fit a frame.
//
// Bytes, little-endian:
//   u8   1                version of this format
//   u8   verb             0 page, 1 commit, 2 drop (WRITE_STATE)
//   u8   flags            1 kept, 2 one element per row, 4 counted, 8 more pages follow, 16 there
//   are
//                         tensors of workers
//   u8   dtype            of the tensors
//   u8   tensors          at most 8, and 240 of workers
//   u8   tensor           that this page is of
//   u16  0
//   u64  updates          since the tensors were zero
//   u64  from, u64 to     the elements, or rows of the stripe, of this page: from to `to` - 1
//   u32  rows             how many ids begin the bytes; 0 of a dense part
//   u8   length of the updater's name, and the name; for each tensor its name likewise; where there
//        are tensors of workers, what they are called: "previous", if there may be "previous@0"
//   the bytes: the elements, or `rows` int64 ids of rows within the stripe and then the rows
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensor/dtype.h"
#include "common/wire/payload.h"

namespace kvstore {

// About so many bytes of numbers are in a page; a row that is longer is one by itself.
inline constexpr size_t kStatePageBytes = 1u << 19;
// A row of at most 1 MiB of f16 has states of f32, and beside it are ids and names.
inline constexpr size_t kStateBytesMax = (2u << 20) + 4096;

// What is kept beside a part.
struct StateInfo {
  std::string updater;             // whose it is: "sgd"
  std::vector<std::string> names;  // of the tensors; empty: there are none
  DType dtype = DType::kUnspecified;
  bool one_per_row = false;  // tensors but "master" have one element for each row
  bool counted = false;      // updates are counted although there may be no tensor
  // What the tensors are called that each worker has which has pushed, the last ones of `names`
  // (common/model/worker_tensors.h); empty: there are no such.
  std::string by_worker;
  bool kept = false;  // false: there was no update that left anything: all is zero
  uint64_t updates = 0;

  bool keeps_state() const { return counted || !names.empty() || !by_worker.empty(); }
  // Whether the same is kept, whatever it is worth, and of whatever workers. (Who keeps tensors
  // counts updates, too.)
  bool SameKind(const StateInfo& other) const;
};
// "sgd: momentum of f32", "adam: nothing".
std::string Described(const StateInfo& info);

enum class StateVerb : uint8_t { kPage = 0, kCommit = 1, kDrop = 2 };

struct StatePage {
  StateVerb verb = StateVerb::kPage;
  StateInfo info;
  uint32_t tensor = 0;
  uint64_t from = 0;
  uint64_t to = 0;
  bool more = false;
  uint32_t rows = 0;
  Payload data;
};

Payload EncodeStatePage(const StatePage& page);
// Errors: INVALID_ARGUMENT says what is wrong with the bytes. That they are those of the part is
// for whoever knows it to check.
absl::StatusOr<StatePage> DecodeStatePage(const Payload& bytes);

// What a READ_STATE asks for: the page that begins there, or, `info_only`, what is kept without any
// of it. 16 bytes: u32 tensor, u32 1 for info_only, u64 from.
struct StateCursor {
  uint32_t tensor = 0;
  uint64_t from = 0;
  bool info_only = false;
};
Payload EncodeStateCursor(const StateCursor& cursor);
// Errors: INVALID_ARGUMENT.
absl::StatusOr<StateCursor> DecodeStateCursor(const Payload& bytes);

}  // namespace kvstore
