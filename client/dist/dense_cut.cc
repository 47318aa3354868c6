#include "client/dist/dense_cut.h"

#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/device/device_library.h"
#include "client/store/output_dtype.h"
#include "common/base/status_macros.h"
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

absl::Status DenseCut::Write(const Question& question, const Payload& reply,
                             absl::Span<const NDArray> outputs) const {
  for (size_t i = 0; i < question.outputs; ++i) {
    const NDArray& output = outputs[question.first_output + i];
    const uint64_t first = PartOffset(question.part) / DTypeBytes(dtype_);  // element of the part
    Payload values = Converted(reply, dtype_, ToDType(output.dtype()));
    uint8_t* const to = output.data_as<uint8_t>() + first * DataTypeBytes(output.dtype());
    if (!OnDevice(output.context())) {
      values.CopyTo(to);
      continue;
    }
    // A copy to a GPU takes as long as one of some 100 KiB in host memory, however little it moves.
    if (values.slices().size() > 1) values = values.Copy();
    for (const Slice& slice : values.slices()) {
      KVS_RETURN_IF_ERROR(CopyBytes({output.context(), to}, {Context(), slice.data}, slice.size));
    }
  }
  return absl::OkStatus();
}

}  // namespace kvstore
