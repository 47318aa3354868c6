// ProgramUpdater: an updater that is not one of ours: code of the program that the server lives in
// (server/embedded), or of a plugin that the daemon has loaded (server/plugin).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/cluster/identity.h"
#include "common/tensor/buffer.h"
#include "common/updater/part_updater.h"
#include "common/wire/frame.h"

namespace kvstore {

// One update: of a dense part, or of some rows of a stripe. The arrays are the updater's to write
// to, `stored` and `state` are copies that become the value and its state if it succeeds.
struct ProgramUpdate {
  const KeySpec* key = nullptr;
  PartId part;
  Round version = 0;                    // that it makes
  uint64_t update = 1;                  // which one it is since the state was zero, from 1
  DType dtype = DType::kUnspecified;    // of the arrays: ProgramUpdater::ComputesIn
  uint64_t first_element = 0;           // of a dense part, its number within the value
  std::vector<int64_t> rows;            // of a stripe: their numbers within the value, ascending
  size_t row_elements = 0;              // 0: a dense part
  MutableBufferPtr merged;              // the round's sum, rounded to the key's dtype
  MutableBufferPtr stored;              // the value
  std::vector<MutableBufferPtr> state;  // as the layout has them
  RoundCounts counts;                   // of the sum
};

// Thread-safe: the shards of a server share one.
class ProgramUpdater {
 public:
  virtual ~ProgramUpdater() = default;

  // Whether there is one now. Then it takes the place of the optimizer's.
  virtual bool is_set() const = 0;
  // What it is in messages: "the updater of its program".
  virtual std::string label() const { return "the updater of its program"; }
  // Whether it updates rows of row-sparse keys.
  virtual bool takes_rows() const { return false; }
  // The dtype of the arrays that it is given for values of `dtype`: that, or AccumulatorOf(dtype).
  virtual DType ComputesIn(DType dtype) const { return dtype; }
  // What is kept beside values of `dtype`. Always the same for a dtype.
  virtual StateLayout LayoutFor(DType /*dtype*/) const { return {}; }
  // Errors: name the key and what the code threw, or said; then nothing of the part changes.
  virtual absl::Status Update(const ProgramUpdate& update) = 0;
};

}  // namespace kvstore
