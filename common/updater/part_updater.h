// PartUpdater: the updater that is set, applied to parts. The daemons' engine and the local store
// both run exactly this, which is why their bits agree.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensor/buffer.h"
#include "common/tensor/dtype.h"
#include "common/updater/updater.h"

namespace kvstore {

// Threading: thread-compatible (one owner: a shard, or a store).
class PartUpdater {
 public:
  // Starts with "assign": the new value is the sum.
  PartUpdater();

  // Replaces the rule. States stay with their parts: the next Update of a part keeps its state if
  // the new rule keeps the same tensors (sgd with another learning rate or momentum), else starts
  // from zeros, or drops it.
  // Errors: those of MakeUpdater; then the old rule stays.
  absl::Status Set(std::string_view name, const UpdaterParameters& parameters);

  const std::string& name() const { return name_; }
  const UpdaterParameters& parameters() const { return parameters_; }

  // One update of one part. `value` stays as it is; `sum` becomes the result. Both hold the same
  // number of bytes, whole elements of `dtype` (KVS_CHECKed). `*state` is null before the part's
  // first update, and is created, replaced or dropped as the rule needs it.
  // Errors: UNIMPLEMENTED names the dtype; then neither `value` nor `*state` has changed.
  absl::StatusOr<BufferPtr> Update(DType dtype, const Buffer& value, MutableBufferPtr sum,
                                   std::unique_ptr<UpdaterState>* state) const;

 private:
  std::string name_;
  UpdaterParameters parameters_;
  std::unique_ptr<Updater> updater_;
  std::vector<std::string> state_names_;  // of updater_
};

}  // namespace kvstore
