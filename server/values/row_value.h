// RowValue: a stripe of a row-sparse key, on common/rows, just as in the local store.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/codec/codec.h"
#include "common/rows/row_cut.h"
#include "common/rows/row_norms.h"
#include "common/rows/row_sum.h"
#include "common/rows/row_table.h"
#include "common/rows/row_updater.h"
#include "common/rows/state_pages.h"
#include "server/core/part_value.h"
#include "server/values/saved_value.h"
#include "server/values/shard_updater.h"

namespace kvstore {

// A table that only the rows take memory of which were written, and which the budget counts. It is
// updated in place, and a pull copies rows.
//
// Shard-bound.
class RowValue final : public PartValue {
 public:
  // `updater` outlives the value. While the program has an updater that takes no rows, the value
  // cannot be updated: UNIMPLEMENTED. `codec`: how rows that are pushed come encoded; null: plain.
  // `zeroes`: whether pushed numbers that are not finite count as 0, unless they come encoded.
  RowValue(const KeySpec& key, PartId id, const ShardUpdater& updater, CodecPtr codec, bool zeroes);

  uint64_t BytesWith(uint64_t more_pages) const override;
  uint64_t PagesMissing(const Piece& piece, std::optional<WorkerRank> pusher) const override;
  bool makes_pages() const override { return true; }
  // Of a key with rows_max each stripe has its share, rounded up.
  absl::Status CheckPages(uint64_t more_pages) const override;
  uint64_t HeldBytes() const override;
  // OUT_OF_RANGE for a row that the value does not have; INVALID_ARGUMENT for a row of another
  // stripe, for bytes that are not those of the rows (encoded, if they are), for a pull of more
  // than kPartBytesMax bytes.
  absl::Status Check(Op op, const Piece& piece) const override;
  std::string NotFinite(const Piece& push) const override;
  // Rows that were never written are counted as zeros, also where a rule says otherwise.
  PartFigures Measure() const override;
  // If a row comes twice, the later one stays.
  void Fill(const Piece& piece) override;
  void Fold(SumIndex sum, const Piece& piece) override;
  void DropSum(SumIndex sum) override { sums_.erase(sum); }
  // The stripes, if there are several.
  uint32_t Measurings() const override;
  uint32_t parts() const override { return cut_.stripes; }
  absl::StatusOr<NormSums> Measure(uint32_t step, SumIndex sum, const RoundCounts& counts,
                                   const NormSums& norms) const override;
  // The rows in the order of the ids; encoded, if the codec encodes pulls.
  Payload Read(const Piece& asked) const override;
  ValueRows ReadRows(int64_t begin, int64_t end, size_t bytes_max) const override;
  Payload Save() const override;
  absl::Status Load(const Payload& saved) override;
  absl::StatusOr<StatePage> ReadState(const StateCursor& from) const override;
  absl::Status StageState(const StatePage& page) override;
  // Rows of the state that the value does not have yet are made there, as they are without an
  // update.
  absl::Status CommitState() override;
  void DropStagedState() noexcept override { staged_.reset(); }

 private:
  absl::Status UpdateBy(SumIndex sum, const RoundCounts& counts, const NormSums& norms) override;
  void ForgetAllButValue() noexcept override;
  absl::Status UpdateTable(RowSum& sum, const RoundCounts& counts, const NormSums& norms);
  absl::Status UpdateByBuiltIn(RowSum& sum, const RoundCounts& counts, NormSums norms);
  MeasuredTable Measured(const RowSum& sum, const RoundCounts& counts) const;
  absl::Status Named(const absl::Status& status) const;
  // That of a part of which no row was written.
  RowTable EmptyTable() const;
  // What is kept beside it; errors name the part.
  absl::StatusOr<StateInfo> Kind() const;
  StateExtent Extent() const { return {static_cast<uint64_t>(table_.rows()), cut_.row_elements}; }
  // The header of what the part would be saved as now.
  SavedHeader Header() const;

  // Whether the bytes are those of the ids, if they are there, and of the rows.
  absl::Status CheckBytes(Op op, const Piece& piece) const;
  // Whether the value has the row, and this stripe of it.
  absl::Status CheckRow(int64_t row) const;
  // The rows of a push, in the dtype that sums are begun in.
  Payload Decoded(const Piece& piece) const;

  const ShardUpdater& updater_;
  const CodecPtr codec_;
  const bool zeroes_;
  const RowShape cut_;
  RowTable table_;
  RowStatePtr state_;
  std::unique_ptr<StagedRowState> staged_;  // that is being brought; null: none is
  std::map<SumIndex, RowSum> sums_;
  std::optional<Figures> last_sum_;
};

}  // namespace kvstore
