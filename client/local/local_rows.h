// LocalRows: the value of one row_sparse key of a local store, and the arithmetic on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "client/local/local_value.h"
#include "client/reduce/reducer.h"
#include "client/store/row_encoder.h"
#include "client/store/row_requests.h"
#include "client/store/row_values.h"
#include "client/store/store_backend.h"
#include "common/rows/row_cut.h"
#include "common/rows/row_table.h"
#include "common/rows/row_updater.h"
#include "common/rows/state_pages.h"
#include "common/updater/part_updater.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Methods may throw std::bad_alloc; then the value is as it was.
// Threading: thread-compatible.
class LocalRows {
 public:
  // A copy of the rows of the array, which may be of either storage. `codec`: how pushes are
  // compressed; null: not at all.
  LocalRows(const ValueSpec& spec, const NDArray& value, CodecPtr codec);
  // No row is there; what they are until they are pushed to, the rule says. At most `rows_max` rows
  // may be pushed to, 0: any number.
  LocalRows(const ValueSpec& spec, const InitialValues& rule, uint64_t rows_max, CodecPtr codec);

  // One round: the left fold of `values`, of either storage, in list order, then the updater on the
  // rows that any of them has. Each value is taken as it is, or as what it stands for when it was
  // compressed, as if each came from a worker of its own.
  // `name`: the key's, empty if it has a number. `step`: that it is an update of. Errors: the
  // updater's; RESOURCE_EXHAUSTED for rows above
  // rows_max; then the value stays as it was.
  absl::Status Push(KeyId key, std::string_view name, absl::Span<const NDArray> values,
                    const PartUpdater& updater, uint64_t step, Reducer* reducer);
  // The same with a user's updater, which sees the rows that any of the values has, and writes
  // these rows of the value. Errors: as above.
  absl::Status Push(KeyId key, absl::Span<const NDArray> values, const WholeUpdate& update,
                    const Reducer& reducer);

  // As LocalValue's, of all rows as one stripe. CommitState may throw std::bad_alloc.
  PartIndex parts() const { return 1; }
  absl::StatusOr<StatePage> ReadState(PartIndex part, const StateInfo& kind,
                                      const StateCursor& from) const;
  absl::Status StageState(PartIndex part, const StateInfo& kind, const StatePage& page);
  absl::Status CommitState();
  void DropStagedState() noexcept { staged_.reset(); }
  // The value stays; what the updater keeps of it, and what compression has left over, go.
  void Reset() noexcept;
  // As a pull is answered: rounded, if the codec encodes pulls, and converted to the output's
  // dtype. The whole value; a row_sparse output gets the rows that are not zero.
  void CopyTo(const NDArray& output, BlockThreads* threads) const;
  // `ids`: ascending, each once. The output, row_sparse, has these rows afterwards.
  void CopyRows(std::vector<int64_t> ids, const NDArray& output, BlockThreads* threads) const;

 private:
  // Whether there may be rows for these values. Errors: RESOURCE_EXHAUSTED.
  absl::Status CheckRoom(absl::Span<const NDArray> values) const;
  // One value of a push that is compressed.
  struct Encoded {
    RowEncoder* encoder = nullptr;
    Rows rows;
    std::vector<RowFragment> fragments;  // what the blocks refer to
    std::vector<RowBlock> blocks;
  };
  // Room for the value at this place of its list.
  Encoded Prepare(size_t place, KeyId key, const Rows& rows);
  // What the encoded rows stand for, in AccumulatorOf(dtype), in the order of the rows.
  std::vector<uint8_t> Decoded(const Encoded& encoded) const;
  // Calls `use` with the sum of the values, in list order. If it finds no memory, then nothing was
  // encoded.
  template <typename Use>
  absl::Status WithSum(KeyId key, absl::Span<const NDArray> values, const Reducer& reducer,
                       const Use& use);
  absl::Status UpdateBy(const NDArray& merged, const WholeUpdate& update);
  // Writes `elements`, which read(place) puts there in the value's dtype, to `out`, in the
  // output's.
  template <typename Read>
  void Fill(uint8_t* out, size_t elements, const NDArray& output, const Read& read) const;
  void Round(uint8_t* values, size_t elements) const;

  ValueSpec spec_;
  CodecPtr codec_;
  std::vector<std::unique_ptr<RowEncoder>> encoders_;  // by the place of a value in its list
  RowShape shape_;
  uint64_t rows_max_ = 0;  // 0: any number
  RowTable table_;
  RowStatePtr state_;
  std::unique_ptr<StagedRowState> staged_;  // that is being brought; null: none is
};

}  // namespace kvstore
