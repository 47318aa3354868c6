#include "client/dist/pull_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "client/base/no_memory.h"
#include "client/store/argument_checks.h"
#include "common/base/status_macros.h"

namespace kvstore {

PullOperation::PullOperation(std::shared_ptr<KeyOperation> operation, TokenPtr token,
                             const AnyCut& cut, std::shared_ptr<LentParts> lent,
                             std::shared_ptr<PartCodec> codec,
                             std::shared_ptr<const Reducer> reducer,
                             std::shared_ptr<StalenessTable> staleness)
    : DistOperation(std::move(operation), std::move(token)),
      cut_(cut),
      lent_(std::move(lent)),
      codec_(std::move(codec)),
      reducer_(std::move(reducer)),
      staleness_(std::move(staleness)) {}

void PullOperation::AddAsks(PartAsks* asks) {
  if (staleness_ != nullptr) staleness_->Expect(operation().key->id);
  if (operation().spec.row_sparse) {
    StagedOutputs staged = StagedOutputs::In(&operation());
    if (!staged.empty()) staged_ = std::make_unique<const StagedOutputs>(std::move(staged));
  }
  questions_ = cut_->QuestionsOf(&operation());
  for (Question& question : questions_) {
    PartRequest& request = Ask(Op::kPull, question.part, asks);
    request.piece.data = std::move(question.ids);
    request.piece.rows = question.rows;
    request.piece.rows_from = question.rows_from;
  }
}

absl::Status PullOperation::Take(Op, size_t index, Completion completion, PartAsks*) {
  KVS_RETURN_IF_ERROR(completion.status);
  stalest_ = std::max(stalest_, completion.staleness);
  const Question& question = questions_[index];
  const ValueSpec& spec = operation().spec;
  // What comes from the network is not trusted to fit.
  const size_t expected = cut_->ReplyBytes(question);
  KVS_ASSIGN_OR_RETURN(Payload reply,
                       codec_->Decode(operation(), question.part, expected / DTypeBytes(spec.dtype),
                                      std::move(completion.data)));
  if (reply.size() != expected) {
    const std::string rows = spec.row_sparse ? fmt::format("{} rows of ", question.rows) : "";
    return absl::InternalError(
        fmt::format("{} part {}: {} bytes expected for {}shape {} of {}, the server sent {}",
                    operation().key->label, question.part, expected, rows, ShapeString(spec.shape),
                    DTypeName(spec.dtype), reply.size()));
  }
  if (lent_ == nullptr) return Write(question, reply);
  lent_->WhenReturned(question.part, [this, self = shared_from_this(), &question,
                                      reply = std::move(reply)] { WriteLate(question, reply); });
  return absl::OkStatus();
}

absl::Status PullOperation::Write(const Question& question, const Payload& reply) {
  auto begun = cut_->Write(question, reply, operation().outputs, *reducer_);
  if (!begun.ok()) return Failed(begun.status());
  std::swap(*begun, crossing_);
  return Failed(FinishIfAny(std::move(begun)));
}

absl::Status PullOperation::WriteStaged() const noexcept {
  try {
    return Failed(staged_->CopyToDevices());
  } catch (const std::bad_alloc&) {
    return WordlessStatus(code_without_memory());
  }
}

// What a GPU said, as the operation's error: a push before it must not be said to be refused.
absl::Status PullOperation::Failed(const absl::Status& status) const noexcept {
  const std::string& label = operation().key->label;
  if (status.ok() || operation().kind != OperationKind::kPushPull) return Named(label, status);
  return WordedStatus(absl::StatusCode::kUnknown, [&] {
    return fmt::format("{}: {}: it is pushed, but not pulled", label,
                       std::string(status.message()));
  });
}

// Perhaps on a thread of the transport: nothing may be thrown there.
void PullOperation::WriteLate(const Question& question, const Payload& reply) const noexcept {
  try {
    const absl::Status written =
        Failed(FinishIfAny(cut_->Write(question, reply, operation().outputs, *reducer_)));
    if (!written.ok()) token()->Finish(written);
  } catch (const std::bad_alloc&) {
    token()->Finish(WordlessStatus(code_without_memory()));
  }
}

// The first half of a PushPull has happened.
absl::StatusCode PullOperation::code_without_memory() const {
  return operation().kind == OperationKind::kPushPull ? absl::StatusCode::kUnknown
                                                      : absl::StatusCode::kResourceExhausted;
}

void PullOperation::AllTaken(PartAsks*) noexcept {
  if (status_.ok()) status_ = Failed(FinishIfAny(std::move(crossing_)));
  crossing_ = nullptr;  // before the outputs are the caller's again
  if (status_.ok() && staged_ != nullptr) status_ = WriteStaged();
  if (!status_.ok()) DropRows(operation());
  if (status_.ok() && staleness_ != nullptr) staleness_->Note(operation().key->id, stalest_);
}

}  // namespace kvstore
