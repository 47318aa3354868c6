// DensePartMath: the arithmetic of ServerCore on dense tensors. A thin adapter: sums are
// common/kernels, updates are common/updater, just as in the local store.
#pragma once

#include <memory>

#include "common/updater/part_updater.h"
#include "server/core/part_math.h"
#include "server/values/program_updater.h"

namespace kvstore {

// Sums are in AccumulatorOf(dtype), values in the key's dtype. Slices may cut elements at any byte.
//
// Shard-bound.
class DensePartMath final : public PartMath {
 public:
  // Starts with the updater "assign". While `program`, which outlives this, has an updater, that
  // one is used instead.
  explicit DensePartMath(ProgramUpdater* program = nullptr) : program_(program) {}

  uint64_t BytesOf(const KeySpec& key, PartIndex part) const override;
  absl::Status Check(const KeySpec& key, PartId part, Op op, const Piece& piece) const override;
  void Fill(const KeySpec& key, PartId part, const Piece& piece,
            std::unique_ptr<PartValue>* value) override;
  void Fold(const KeySpec& key, PartId part, const Piece& piece,
            std::unique_ptr<PartSum>* sum) override;
  absl::Status Update(const KeySpec& key, PartId part, std::unique_ptr<PartSum> sum,
                      std::unique_ptr<PartValue>* value,
                      std::unique_ptr<PartState>* state) override;
  // The stored buffer itself: a value is never written to, an update makes another one.
  Payload Read(const KeySpec& key, PartId part, const PartValue& value,
               const Piece& asked) override;
  bool has_own_updater() const override { return program_ != nullptr && program_->is_set(); }
  absl::Status SetOptimizer(const OptimizerConfig& spec) override;

 private:
  ProgramUpdater* const program_;
  PartUpdater updater_;
};

}  // namespace kvstore
