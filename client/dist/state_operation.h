// StateOperation: what the optimizer keeps of a key is read from the servers, or brought to them,
// in pages (common/wire/state_page.h). Of each part one page at a time, of so many parts at once:
// so what is under way is bounded, however large the value is.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "client/dist/cut.h"
#include "client/dist/dist_operation.h"
#include "client/store/key_states.h"

namespace kvstore {

// Reads (kReadState), or learns what kind it is (kDescribeState).
class ReadStateOperation final : public DistOperation {
 public:
  ReadStateOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token, PartIndex parts);

  // Called once. May throw std::bad_alloc.
  PartAsks Asks();

 private:
  absl::Status Take(Op op, size_t index, Completion completion, PartAsks* next) override;
  void AllTaken(PartAsks* next) noexcept override;
  void AskFor(PartIndex part, const StateCursor& from, PartAsks* asks);

  const PartIndex parts_;
  PartIndex begun_ = 0;                      // parts of which the first page was asked for
  std::vector<PartIndex> asked_;             // by index of the request
  std::optional<StateCollector> collector_;  // none: kDescribeState
};

// Brings (kStageState), commits (kCommitState) or drops (kDropState).
class WriteStateOperation final : public DistOperation {
 public:
  WriteStateOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token, PartIndex parts);

  // Called once. May throw std::bad_alloc. Errors: those of CheckUpdates.
  absl::StatusOr<PartAsks> Asks();

 private:
  // A page on its way.
  struct Sent {
    PartIndex part = 0;
    std::optional<StateCursor> next;
  };
  absl::Status Take(Op op, size_t index, Completion completion, PartAsks* next) override;
  void Bring(PartIndex part, const StateCursor& from, PartAsks* asks);

  const PartIndex parts_;
  PartIndex begun_ = 0;     // parts of which the first page was sent
  std::vector<Sent> sent_;  // by index of the request
  std::optional<StateCutter> cutter_;
};

}  // namespace kvstore
