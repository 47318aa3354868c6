// DenseCut: the cut of a dense value into parts at offsets (common/cluster/partitioner.h): a value
// of 2.5 MiB is the bytes from 0, from 1 MiB and from 2 MiB on. Nothing is copied on the way out:
// the pieces are slices of the contribution; what comes back is copied once, into the outputs.
#pragma once

#include "client/dist/cut.h"
#include "common/tensor/dtype.h"

namespace kvstore {

class DenseCut final : public Cut {
 public:
  // `bytes`: of the whole value.
  DenseCut(DType dtype, uint64_t bytes) : dtype_(dtype), bytes_(bytes) {}

  PartIndex parts() const override;
  std::vector<PartPiece> Pieces(const Contribution& contribution, LentParts* lent,
                                bool encoded) const override;
  Questions QuestionsOf(KeyOperation* operation) const override;
  size_t ReplyBytes(const Question& question) const override;
  absl::StatusOr<UnderWayPtr> Write(const Question& question, const Payload& reply,
                                    absl::Span<const NDArray> outputs,
                                    const Reducer& reducer) const override;

 private:
  const DType dtype_;
  const uint64_t bytes_;
};

}  // namespace kvstore
