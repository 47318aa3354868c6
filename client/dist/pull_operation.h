// PullOperation: a pull of one key's value, or of some of its rows, into the caller's arrays. What
// comes back is written straight into them; but rows for arrays on GPUs wait in host memory for the
// others (staged_outputs.h).
//
// As the second half of a PushPull it may write the very array that the first half has lent; then
// each part waits until its own lent bytes are back (lent_parts.h).
#pragma once

#include <memory>
#include <vector>

#include "client/dist/any_cut.h"
#include "client/dist/dist_operation.h"
#include "client/dist/part_codec.h"
#include "client/dist/staleness_table.h"
#include "client/store/staged_outputs.h"

namespace kvstore {

class PullOperation final : public DistOperation {
 public:
  // `lent` is null, or the parts of an output that are lent; `staleness` is null where there is
  // none to be noted.
  PullOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token, const AnyCut& cut,
                std::shared_ptr<LentParts> lent, std::shared_ptr<PartCodec> codec,
                std::shared_ptr<const Reducer> reducer,
                std::shared_ptr<StalenessTable> staleness = nullptr);

  // Appends what is asked. Called once. If that is nothing (a pull of no rows) there is nothing to
  // wait for, and nobody finishes the token. May throw std::bad_alloc; then whoever asked drops the
  // rows that the outputs have room for (DropRows).
  void AddAsks(PartAsks* asks);

 private:
  absl::Status Take(Op op, size_t index, Completion completion, PartAsks* next) override;
  void AllTaken(PartAsks* next) noexcept override;
  absl::StatusCode code_without_memory() const override;
  // What was begun of this part is finished after the next one has begun: it crosses to GPUs while
  // that is brought there.
  absl::Status Write(const Question& question, const Payload& reply);
  absl::Status WriteStaged() const noexcept;
  absl::Status Failed(const absl::Status& status) const noexcept;
  void WriteLate(const Question& question, const Payload& reply) const noexcept;

  const AnyCut cut_;
  const std::shared_ptr<LentParts> lent_;
  const std::shared_ptr<PartCodec> codec_;
  const std::shared_ptr<const Reducer> reducer_;
  const std::shared_ptr<StalenessTable> staleness_;
  uint64_t stalest_ = 0;                         // of the parts that came
  Questions questions_;                          // by index of the request; fixed by AddAsks
  std::unique_ptr<const StagedOutputs> staged_;  // null: nothing is; fixed by AddAsks
  UnderWayPtr crossing_;                         // of the last part that came
};

}  // namespace kvstore
