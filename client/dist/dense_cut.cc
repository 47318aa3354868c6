#include "client/dist/dense_cut.h"

#include <cstdint>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/reduce/device_reducer.h"
#include "client/store/output_dtype.h"
#include "common/cluster/partitioner.h"

namespace kvstore {

PartIndex DenseCut::parts() const { return PartCount(bytes_); }

std::vector<PartPiece> DenseCut::Pieces(const Contribution& contribution, LentParts* lent,
                                        bool /*encoded*/) const {
  std::vector<PartPiece> pieces(parts());
  for (PartIndex part = 0; part < pieces.size(); ++part) {
    Slice slice;
    slice.data = contribution.data + PartOffset(part);
    slice.size = PartBytes(bytes_, part);
    slice.owner = lent != nullptr ? lent->Lend(part) : contribution.owner;
    pieces[part].part = part;
    pieces[part].piece.data = Payload(std::move(slice));
  }
  return pieces;
}

Questions DenseCut::QuestionsOf(KeyOperation* operation) const {
  Questions questions(operation->outputs.empty() ? 0 : parts());
  for (PartIndex part = 0; part < questions.size(); ++part) {
    questions[part].part = part;
    questions[part].outputs = operation->outputs.size();
  }
  return questions;
}

size_t DenseCut::ReplyBytes(const Question& question) const {
  return PartBytes(bytes_, question.part);
}

absl::StatusOr<UnderWayPtr> DenseCut::Write(const Question& question, const Payload& reply,
                                            absl::Span<const NDArray> outputs,
                                            const Reducer& reducer) const {
  const absl::Span<const NDArray> to = outputs.subspan(question.first_output, question.outputs);
  const uint64_t first = PartOffset(question.part) / DTypeBytes(dtype_);  // element of the part
  if (AnyOnDevice(to)) {
    Payload whole = reply;
    if (whole.empty()) return nullptr;
    const bool aligned =
        reinterpret_cast<uintptr_t>(whole.slices()[0].data) % DTypeBytes(dtype_) == 0;
    if (whole.slices().size() > 1 || !aligned) whole = whole.Copy();
    return reducer.BeginBroadcast(dtype_, whole.slices()[0].data,
                                  {first, whole.size() / DTypeBytes(dtype_)}, Stores::kCached, to);
  }
  for (const NDArray& output : to) {
    const Payload values = Converted(reply, dtype_, ToDType(output.dtype()));
    values.CopyTo(output.data_as<uint8_t>() + first * DataTypeBytes(output.dtype()));
  }
  return nullptr;
}

}  // namespace kvstore
