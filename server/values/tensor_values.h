// TensorValues: the values of a daemon's shard, dense tensors and tables of rows side by side, with
// one updater.
#pragma once

#include <memory>

#include "server/core/part_value.h"
#include "server/values/shard_updater.h"

namespace kvstore {

// Shard-bound.
class TensorValues final : public ShardValues {
 public:
  // `program`: null, or outlives this. While it has an updater, that one is used instead of the one
  // that is set, and row-sparse keys cannot be updated.
  explicit TensorValues(ProgramUpdater* program = nullptr) { updater_.program = program; }

  std::unique_ptr<PartValue> Make(const KeySpec& key, PartId id) override;
  bool has_own_updater() const override { return updater_.by_program(); }
  absl::Status SetOptimizer(const OptimizerConfig& spec) override {
    return updater_.built_in.Set(spec.name, spec.parameters, spec.multipliers);
  }

 private:
  ShardUpdater updater_;
};

}  // namespace kvstore
