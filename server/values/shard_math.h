// ShardMath: the arithmetic of a shard, which has dense and row-sparse keys side by side.
#pragma once

#include <memory>
#include <utility>

#include "server/core/part_math.h"
#include "server/values/dense_part_math.h"
#include "server/values/row_part_math.h"

namespace kvstore {

// Shard-bound.
class ShardMath final : public PartMath {
 public:
  // `program`: as DensePartMath; while it has an updater, row-sparse keys cannot be updated.
  explicit ShardMath(ProgramUpdater* program = nullptr) : dense_(program) {}

  uint64_t BytesOf(const KeySpec& key, PartIndex part) const override {
    return Of(key).BytesOf(key, part);
  }
  absl::Status Check(const KeySpec& key, PartId part, Op op, const Piece& piece) const override {
    return Of(key).Check(key, part, op, piece);
  }
  void Fill(const KeySpec& key, PartId part, const Piece& piece,
            std::unique_ptr<PartValue>* value) override {
    Of(key).Fill(key, part, piece, value);
  }
  void Fold(const KeySpec& key, PartId part, const Piece& piece,
            std::unique_ptr<PartSum>* sum) override {
    Of(key).Fold(key, part, piece, sum);
  }
  absl::Status Update(const KeySpec& key, PartId part, std::unique_ptr<PartSum> sum,
                      std::unique_ptr<PartValue>* value,
                      std::unique_ptr<PartState>* state) override {
    if (key.storage == Storage::kRowSparse && has_own_updater()) {
      return absl::UnimplementedError(
          KeyLabel(key.key, key.name) +
          ": a dense key expected, this server runs its program's updater, which has no rows");
    }
    return Of(key).Update(key, part, std::move(sum), value, state);
  }
  Payload Read(const KeySpec& key, PartId part, const PartValue& value,
               const Piece& asked) override {
    return Of(key).Read(key, part, value, asked);
  }
  bool has_own_updater() const override { return dense_.has_own_updater(); }
  // Both take the same rules.
  absl::Status SetOptimizer(const OptimizerConfig& spec) override {
    absl::Status set = dense_.SetOptimizer(spec);
    return set.ok() ? rows_.SetOptimizer(spec) : set;
  }

 private:
  const PartMath& Of(const KeySpec& key) const {
    if (key.storage == Storage::kRowSparse) return rows_;
    return dense_;
  }
  PartMath& Of(const KeySpec& key) {
    if (key.storage == Storage::kRowSparse) return rows_;
    return dense_;
  }

  DensePartMath dense_;
  RowPartMath rows_;
};

}  // namespace kvstore
