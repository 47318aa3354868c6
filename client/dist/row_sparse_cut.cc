#include "client/dist/row_sparse_cut.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/store/output_dtype.h"
#include "client/store/row_requests.h"
#include "common/wire/byte_counts.h"

namespace kvstore {

std::vector<PartPiece> RowSparseCut::Pieces(const Contribution& contribution, LentParts*,
                                            bool encoded) const {
  std::vector<PartPiece> pieces;
  for (RowFragment& fragment : CutRows(shape_, contribution.rows, encoded)) {
    PartPiece& made = pieces.emplace_back();
    made.part = fragment.stripe;
    Piece& piece = made.piece;
    if (fragment.data != nullptr) piece.data = Payload(std::move(fragment.data));
    piece.rows = fragment.rows;
    piece.rows_from = fragment.rows_from;
    piece.fragment = fragment.fragment;
    piece.fragments = fragment.fragments;
  }
  return pieces;
}

Questions RowSparseCut::QuestionsOf(KeyOperation* operation) const {
  absl::Span<const NDArray> outputs = operation->outputs;
  Questions questions;
  if (outputs.empty()) return questions;
  if (operation->kind != OperationKind::kPullRows) {
    std::vector<int64_t> all(static_cast<size_t>(shape_.rows));
    std::iota(all.begin(), all.end(), int64_t{0});
    AddQuestions(all, 0, outputs.size(), &questions);
    return questions;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    // If an array is named twice, the later rows would overwrite the earlier ones: only the later
    // ones are asked for.
    const auto same = [&](const NDArray& later) { return later.impl() == outputs[i].impl(); };
    const auto after = outputs.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    if (std::any_of(after, outputs.end(), same)) continue;
    const std::shared_ptr<NDArray::Impl>& output = outputs[i].impl();
    output->SetRows(std::move(operation->row_ids[i].ids));
    AddQuestions(output->indices, i, 1, &questions);
  }
  return questions;
}

void RowSparseCut::AddQuestions(const std::vector<int64_t>& ids, size_t first_output,
                                size_t outputs, Questions* questions) const {
  for (RowQuestion& cut : CutIds(shape_, ids)) {
    Question& question = questions->emplace_back();
    question.part = cut.stripe;
    if (cut.ids != nullptr) question.ids = Payload(std::move(cut.ids));
    question.rows = cut.rows;
    question.rows_from = cut.rows_from;
    question.places = std::move(cut.places);
    question.first_output = first_output;
    question.outputs = outputs;
  }
}

size_t RowSparseCut::ReplyBytes(const Question& question) const {
  return question.rows * shape_.row_bytes;
}

absl::StatusOr<UnderWayPtr> RowSparseCut::Write(const Question& question, const Payload& reply,
                                                absl::Span<const NDArray> outputs,
                                                const Reducer& /*reducer*/) const {
  for (size_t i = 0; i < question.outputs; ++i) {
    const NDArray& output = outputs[question.first_output + i];
    const Payload rows = Converted(reply, dtype_, ToDType(output.dtype()));
    const size_t row_bytes = shape_.row_elements * DataTypeBytes(output.dtype());
    PutRows(rows, row_bytes, question.places, output.data_as<uint8_t>());
    CountCopiedBytes(rows.size());
  }
  return nullptr;
}

}  // namespace kvstore
