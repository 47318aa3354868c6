// RowPartMath: the arithmetic of ServerCore on the stripes of row-sparse values: common/rows, just
// as in the local store.
#pragma once

#include <memory>

#include "common/updater/part_updater.h"
#include "server/core/part_math.h"

namespace kvstore {

// A stripe is a table that only the rows take memory of which were written; the budget counts all
// of them, so that no push can go over it. The table is updated in place, and a pull copies rows.
//
// Shard-bound. Every key is row-sparse.
class RowPartMath final : public PartMath {
 public:
  // Starts with the updater "assign".
  RowPartMath() = default;

  uint64_t BytesOf(const KeySpec& key, PartIndex part) const override;
  // OUT_OF_RANGE for a row that the value does not have; INVALID_ARGUMENT for a row of another
  // stripe, for bytes that are not those of the rows, for a pull of more than kPartBytesMax bytes.
  absl::Status Check(const KeySpec& key, PartId part, Op op, const Piece& piece) const override;
  // Of a row that comes again, the last one stays.
  void Fill(const KeySpec& key, PartId part, const Piece& piece,
            std::unique_ptr<PartValue>* value) override;
  void Fold(const KeySpec& key, PartId part, const Piece& piece,
            std::unique_ptr<PartSum>* sum) override;
  absl::Status Update(const KeySpec& key, PartId part, std::unique_ptr<PartSum> sum,
                      std::unique_ptr<PartValue>* value,
                      std::unique_ptr<PartState>* state) override;
  // The rows in the order of the ids.
  Payload Read(const KeySpec& key, PartId part, const PartValue& value,
               const Piece& asked) override;
  absl::Status SetOptimizer(const OptimizerConfig& spec) override;

 private:
  PartUpdater updater_;
};

}  // namespace kvstore
