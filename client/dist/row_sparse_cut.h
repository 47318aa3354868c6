// RowSparseCut: the cut of a row_sparse value into stripes (common/rows/row_cut.h), of a
// contribution into fragments, and of a pull into lists of ids (client/store/row_requests.h). What
// is contributed is a copy, sorted by stripe; rows that come back are written straight into the
// outputs.
#pragma once

#include <cstdint>

#include "client/dist/cut.h"
#include "common/rows/row_cut.h"
#include "common/tensor/dtype.h"

namespace kvstore {

class RowSparseCut final : public Cut {
 public:
  RowSparseCut(DType dtype, const RowShape& shape) : dtype_(dtype), shape_(shape) {}

  PartIndex parts() const override { return shape_.stripes; }
  // Copies: nothing is lent.
  std::vector<PartPiece> Pieces(const Contribution& contribution, LentParts* lent,
                                bool encoded) const override;
  // A kPull or kPushPull asks for every row, a kPullRows for those that each output names.
  Questions QuestionsOf(KeyOperation* operation) const override;
  size_t ReplyBytes(const Question& question) const override;
  // Outputs are in host memory (staged_outputs.h).
  absl::StatusOr<UnderWayPtr> Write(const Question& question, const Payload& reply,
                                    absl::Span<const NDArray> outputs,
                                    const Reducer& reducer) const override;

 private:
  void AddQuestions(const std::vector<int64_t>& ids, size_t first_output, size_t outputs,
                    Questions* questions) const;

  const DType dtype_;
  const RowShape shape_;
};

}  // namespace kvstore
