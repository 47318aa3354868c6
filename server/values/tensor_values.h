// TensorValues: the values of a daemon's shard, dense tensors and tables of rows side by side, with
// one updater.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/codec/codec.h"
#include "server/core/part_value.h"
#include "server/values/shard_updater.h"

namespace kvstore {

// Shard-bound.
class TensorValues final : public ShardValues {
 public:
  // `program`: null, or outlives this. While it has an updater, that one is used instead of the one
  // that is set. `shards`: how many of them share the process. `nan_policy`: with kZero, pushed
  // numbers that are not finite count as 0. `measures_sums`: whether the
  // figures of each sum are kept until the next one.
  explicit TensorValues(ProgramUpdater* program = nullptr, size_t shards = 1,
                        NanPolicy nan_policy = NanPolicy::kAllow, bool measures_sums = false)
      : shards_(shards), zeroes_(nan_policy == NanPolicy::kZero) {
    updater_.program = program;
    updater_.measures_sums = measures_sums;
  }

  std::unique_ptr<PartValue> Make(const KeySpec& key, PartId id) override;
  bool has_own_updater() const override { return updater_.by_program(); }
  std::string own_updater_label() const override { return updater_.program->label(); }
  absl::Status SetOptimizer(const OptimizerConfig& spec) override;
  bool updates_by_worker() const override { return updater_.built_in.updates_by_worker(); }
  absl::Status ChangeNumbers(const NumbersChange& change) override {
    return updater_.built_in.Change(change);
  }
  absl::Status CheckNumbers(const NumbersChange& change) const override {
    PartUpdater trial = updater_.built_in;
    return trial.Change(change);
  }
  // Asks for as much for each of the other shards, too: keys are spread evenly, and these are
  // asked in the same moment.
  absl::Status CheckMemory(uint64_t bytes) const override;
  void UndoSetOptimizer() noexcept override { std::swap(updater_.built_in, previous_); }

 private:
  // The codec of the key's pushes, one object for all keys with the same compression; null: they
  // come plain.
  CodecPtr CodecOf(const KeySpec& key);

  const size_t shards_;
  const bool zeroes_;
  std::vector<std::pair<CompressionConfig, CodecPtr>> codecs_;
  ShardUpdater updater_;
  PartUpdater previous_;  // what was set before
};

}  // namespace kvstore
