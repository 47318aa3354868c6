// DenseValue: a part of a dense key. A thin adapter: sums are common/kernels, updates are
// common/updater, just as in the local store.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/codec/codec.h"
#include "common/rows/state_pages.h"
#include "common/updater/updater.h"
#include "server/core/part_value.h"
#include "server/values/saved_value.h"
#include "server/values/shard_updater.h"

namespace kvstore {

// Sums are in AccumulatorOf(dtype), the value is in the key's dtype. Slices may cut elements at any
// byte.
//
// Shard-bound.
class DenseValue final : public PartValue {
 public:
  // `updater` outlives the value. `codec`: how its pushes come encoded; null: plain. `zeroes`:
  // whether pushed numbers that are not finite count as 0, unless they come encoded.
  DenseValue(const KeySpec& key, PartId id, const ShardUpdater& updater, CodecPtr codec,
             bool zeroes)
      : PartValue(key, id), updater_(updater), codec_(std::move(codec)), zeroes_(zeroes) {}

  uint64_t BytesWith(uint64_t more_pages) const override;
  uint64_t HeldBytes() const override;
  absl::Status Check(Op op, const Piece& piece) const override;
  std::string NotFinite(const Piece& push) const override;
  PartFigures Measure() const override;
  void Fill(const Piece& piece) override;
  void Fold(SumIndex sum, const Piece& piece) override;
  void DropSum(SumIndex sum) override { sums_.erase(sum); }
  // The stored buffer itself, which is never written to (an update makes another one); or, if the
  // codec encodes pulls, its elements encoded.
  Payload Read(const Piece& asked) const override;
  ValueRows ReadRows(int64_t begin, int64_t end, size_t bytes_max) const override;
  uint32_t Measurings() const override;
  uint32_t parts() const override;
  absl::StatusOr<NormSums> Measure(uint32_t step, SumIndex sum, const RoundCounts& counts,
                                   const NormSums& norms) const override;
  uint64_t PagesMissing(const Piece& piece, std::optional<WorkerRank> pusher) const override;
  bool makes_pages() const override;
  Payload Save() const override;
  absl::Status Load(const Payload& saved) override;
  absl::StatusOr<StatePage> ReadState(const StateCursor& from) const override;
  absl::Status StageState(const StatePage& page) override;
  absl::Status CommitState() override;
  void DropStagedState() noexcept override { staged_.reset(); }

 private:
  absl::Status UpdateBy(SumIndex sum, const RoundCounts& counts, const NormSums& norms) override;
  void ForgetAllButValue() noexcept override;
  absl::Status UpdateByBuiltIn(const MutableBufferPtr& sum, const RoundCounts& counts,
                               NormSums norms);
  // As Measure, of a sum.
  absl::StatusOr<NormSums> MeasureBy(size_t step, const Buffer& sum, const RoundCounts& counts,
                                     const NormSums& norms) const;
  absl::Status UpdateByProgram(const MutableBufferPtr& sum, const RoundCounts& counts);
  // The error with the part's label before its message.
  absl::Status Named(const absl::Status& status) const;
  // The bytes of the state, if the updater of that layout, which keeps tensors of workers, goes on
  // with it.
  uint64_t KeptForWorkers(const StateLayout& layout) const;
  // The header of what the part would be saved as now.
  SavedHeader Header() const;
  // The value that an Init brings, or that the key's rule makes.
  MutableBufferPtr First(const Piece& piece) const;
  // What is kept beside it; errors name the part.
  absl::StatusOr<StateInfo> Kind() const;
  // The bytes of the part's value, in the key's dtype.
  size_t value_bytes() const;

  // What folds the values of `data` into `sum`, in AccumulatorOf(dtype), or begins it.
  void FoldPlain(const Payload& data, bool begins, uint8_t* sum) const;

  const ShardUpdater& updater_;
  const CodecPtr codec_;
  const bool zeroes_;
  BufferPtr value_;
  std::unique_ptr<UpdaterState> state_;
  std::unique_ptr<StagedDenseState> staged_;  // that is being brought; null: none is
  std::map<SumIndex, MutableBufferPtr> sums_;
  std::optional<Figures> last_sum_;
};

}  // namespace kvstore
