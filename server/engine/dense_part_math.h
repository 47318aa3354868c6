// DensePartMath: the arithmetic of ServerCore on dense tensors. A thin adapter: sums are
// common/kernels, updates are common/updater, just as in the local store.
#pragma once

#include <memory>

#include "common/updater/part_updater.h"
#include "server/core/part_math.h"

namespace kvstore {

// Adds the elements that `x` holds to those of `acc`: acc[i] = acc[i] + x[i] in `dtype` (f32, f64;
// KVS_CHECKed). Slices may cut elements at any byte. `x` and `acc` hold the same number of bytes,
// whole elements (KVS_CHECKed). No copy is made of more than one element.
void AccumulatePayload(DType dtype, Buffer& acc, const Payload& x);

// Shard-bound. dtypes f32 and f64: whoever admits an Init refuses others first.
class DensePartMath final : public PartMath {
 public:
  // Starts with the updater "assign".
  DensePartMath() = default;

  MutableBufferPtr Copy(const Payload& contribution) override;
  void Accumulate(const KeySpec& key, Buffer& accumulator, const Payload& contribution) override;
  absl::StatusOr<BufferPtr> Update(const KeySpec& key, PartId part, const BufferPtr& value,
                                   MutableBufferPtr sum,
                                   std::unique_ptr<PartState>* state) override;
  absl::Status SetOptimizer(const OptimizerConfig& spec) override;

 private:
  PartUpdater updater_;
};

}  // namespace kvstore
