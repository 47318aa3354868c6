// LocalValue: the value of one key of a local store, and the arithmetic on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "client/store/store_backend.h"
#include "common/cluster/partitioner.h"
#include "common/tensor/buffer.h"
#include "common/updater/part_updater.h"
#include "common/updater/updater.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Memory that the values of a store use in turn, so that a push allocates nothing: the thread that
// folds and updates is one.
struct Scratch {
  MutableBufferPtr part;   // for the sum of one part; null, or at least kPartBytesMax bytes
  MutableBufferPtr whole;  // for a merged value; null, or as large as the largest so far
};

// A user's updater of one key; what it throws is the status.
using WholeUpdate = std::function<absl::Status(const NDArray& merged, NDArray* stored)>;

// The value lies in its parts, as on a server, or in one piece, which is what a user's updater
// wants; a value of one part is both. A push brings it into the form that it needs.
// Methods may throw std::bad_alloc; then the value is as it was.
// Threading: thread-compatible.
class LocalValue {
 public:
  // A copy of the array.
  LocalValue(const ValueSpec& spec, const NDArray& value);

  // One round: the left fold of `values` in list order, then the updater.
  // Errors: the updater's, then the value stays as it was; UNKNOWN if memory ran out when some
  // parts were updated, and others not.
  absl::Status Push(KeyId key, const std::vector<NDArray>& values, const PartUpdater& updater,
                    Scratch* scratch);
  // The same with a user's updater, which writes the value where it lies. Errors: the updater's;
  // what it has written until then stays (decision 12).
  absl::Status Push(const std::vector<NDArray>& values, const WholeUpdate& update,
                    Scratch* scratch);
  void CopyTo(const NDArray& output) const;

 private:
  absl::Status PushPart(KeyId key, PartIndex part, const std::vector<NDArray>& values,
                        const PartUpdater& updater, Scratch* scratch);
  void ToParts();
  void ToWhole();

  ValueSpec spec_;
  std::vector<MutableBufferPtr> parts_;  // empty while the value is whole and has several parts
  std::vector<std::unique_ptr<UpdaterState>> states_;  // of the parts; null without a state
  MutableBufferPtr whole_;  // null while the value has several parts in `parts_`
};

}  // namespace kvstore
