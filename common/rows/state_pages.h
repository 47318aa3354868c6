// What an updater keeps beside a part, dense or of rows, in pages (common/wire/state_page.h): read
// page by page, and put together from pages. Servers do it for what travels, a local store for
// itself, so that both make the same of it.
//
// Rows that are zero in all tensors are in no page; rows that are not are in the pages of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rows/row_updater.h"
#include "common/updater/part_updater.h"
#include "common/wire/state_page.h"

namespace kvstore {

// What the updater of that name, with that layout, keeps beside parts of which nothing is known.
StateInfo KindOf(std::string_view updater, StateLayout layout);

// How long the tensors of a part are. `width` of a tensor: the bytes of what there is for each
// element, or of each row.
struct StateExtent {
  uint64_t units = 0;         // elements, or rows of the stripe
  uint64_t row_elements = 0;  // 0: dense

  size_t Width(const StateInfo& kind, size_t tensor) const;
};

// The page of the state of a part with `elements` elements, or of a stripe with so many rows, that
// begins at the cursor. `state`: null, or whatever an update left; if it is not of that kind the
// next update will begin with zeros, and so the page says that nothing is kept.
// Errors: INVALID_ARGUMENT: no page begins there.
absl::StatusOr<StatePage> ReadState(const StateInfo& kind, const UpdaterState* state,
                                    uint64_t elements, const StateCursor& from);
absl::StatusOr<StatePage> ReadState(const StateInfo& kind, const RowState* state,
                                    const StateExtent& extent, const StateCursor& from);

// Where the page after this one begins, of which there is one (StatePage::more).
StateCursor After(const StatePage& page, const StateExtent& extent);

// What is common to both: pages come in their order, all of one state; the first one begins anew,
// and the last one may come again.
class StagedPages {
 public:
  bool begun() const { return begun_; }
  // Whether the last page has come.
  bool whole() const { return whole_; }
  const StateInfo& info() const { return info_; }

  // Whether the page is what comes next. Errors: FAILED_PRECONDITION: of another kind;
  // INVALID_ARGUMENT: another page, or bytes that are not its.
  absl::Status Check(std::string_view label, const StateInfo& kind, const StateExtent& extent,
                     const StatePage& page) const;
  // The page has been taken.
  void Took(const StatePage& page, const StateExtent& extent);

 private:
  bool begun_ = false;
  bool whole_ = false;
  StateInfo info_;
  StateCursor last_;  // the page that came last
  StateCursor next_;
};

// A dense part's state that is being brought. What throws std::bad_alloc may be called again.
class StagedDenseState {
 public:
  // Errors: those of StagedPages::Check.
  absl::Status Add(std::string_view label, const StateInfo& kind, uint64_t elements,
                   const StatePage& page);
  bool whole() const { return pages_.whole(); }
  uint64_t bytes() const { return state_ == nullptr ? 0 : state_->bytes(); }
  // What was brought; null: nothing is kept. Once it is whole.
  std::unique_ptr<UpdaterState> Take() noexcept { return std::move(state_); }

 private:
  StagedPages pages_;
  std::unique_ptr<UpdaterState> state_;
};

// The same of a stripe.
class StagedRowState {
 public:
  absl::Status Add(std::string_view label, const StateInfo& kind, const StateExtent& extent,
                   const StatePage& page);
  bool whole() const { return pages_.whole(); }
  uint64_t bytes() const { return state_ == nullptr ? 0 : BytesOf(*state_); }
  // The rows that have come, ascending.
  const std::vector<int64_t>& rows() const { return rows_; }
  RowStatePtr Take() noexcept { return std::move(state_); }

 private:
  StagedPages pages_;
  RowStatePtr state_;
  std::vector<int64_t> rows_;
};

}  // namespace kvstore
