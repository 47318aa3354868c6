// KeyStates: what an optimizer keeps of a whole key, however its value is cut: put together from
// the pages of its parts (common/wire/state_page.h), and cut into such pages again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/store/store_backend.h"
#include "common/cluster/identity.h"
#include "common/rows/state_pages.h"
#include "common/tensor/buffer.h"
#include "common/wire/payload.h"

namespace kvstore {

struct KeyStates {
  StateInfo info;  // `updates` is not used; `kept`: of any part
  // How many updates there were: one number, if all parts have had as many, else one for each.
  std::vector<uint64_t> updates;
  std::vector<int64_t> rows;   // of a row_sparse key: those that the tensors have, ascending
  std::vector<Slice> tensors;  // by the names of `info`; none if nothing is kept

  // The bytes of a tensor's whole, or of each of its rows.
  static size_t TensorBytes(const ValueSpec& spec, const StateInfo& info, size_t tensor);
};

// How a key's value is cut where its states lie.
struct StateCut {
  const ValueSpec* spec = nullptr;  // outlives the cut
  PartIndex parts = 1;              // of a row_sparse value the stripes

  StateExtent Extent(PartIndex part) const;
};

// Puts pages together. Threading: thread-compatible.
class StateCollector {
 public:
  // `label`: "key 'w'", for messages. `spec` is of a known value.
  StateCollector(std::string label, const ValueSpec& spec, PartIndex parts);

  // Takes a page of a part at that version; the first one of a part is asked for with no cursor.
  // Returns where its next page begins, or nothing after the last one. May throw std::bad_alloc.
  // Errors: FAILED_PRECONDITION: the parts, or the pages of one, are of several versions: pushes
  // are under way; INTERNAL: no such page.
  absl::StatusOr<std::optional<StateCursor>> Add(PartIndex part, Round version,
                                                 const StatePage& page);
  // When all pages have come; called once. May throw std::bad_alloc.
  absl::StatusOr<KeyStates> Finish();

 private:
  // A stripe's rows, as they came.
  struct Stripe {
    std::vector<int64_t> rows;
    std::vector<std::string> tensors;
  };
  absl::Status TakeDense(PartIndex part, const StatePage& page);
  absl::Status TakeRows(PartIndex part, const StatePage& page);

  const std::string label_;
  const ValueSpec spec_;
  const StateCut cut_;
  bool begun_ = false;
  Round version_ = 0;
  StateInfo info_;
  std::vector<StagedPages> pages_;  // by part
  std::vector<MutableBufferPtr> tensors_;
  std::vector<Stripe> stripes_;
};

// Cuts states into pages. The states outlive it, and their tensors what it made.
// Threading: thread-compatible.
class StateCutter {
 public:
  // `states` fit `spec` and its cut into `parts`. May throw std::bad_alloc.
  StateCutter(const KeyStates& states, const ValueSpec& spec, PartIndex parts);

  // The page of the part that begins at the cursor, which is {} at first. May throw std::bad_alloc.
  StatePage PageAt(PartIndex part, const StateCursor& from) const;
  // Where the one after it begins; nothing after the last one.
  std::optional<StateCursor> Next(PartIndex part, const StatePage& page) const;

 private:
  const KeyStates& states_;
  const ValueSpec spec_;
  const StateCut cut_;
  std::vector<std::vector<size_t>> places_;  // by stripe: of its rows among those of the states
};

// Whether states can be cut into so many parts: their counts of updates are one, or as many.
// Errors: FAILED_PRECONDITION.
absl::Status CheckUpdates(const std::string& label, const KeyStates& states, PartIndex parts);

}  // namespace kvstore
