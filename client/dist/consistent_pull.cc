#include "client/dist/consistent_pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <unordered_set>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/dist/dist_operation.h"
#include "client/store/argument_checks.h"
#include "common/base/status_macros.h"

namespace kvstore {

ConsistentPull::ConsistentPull(Operations operations, TokenPtr token,
                               std::shared_ptr<PartCodec> codec,
                               std::shared_ptr<const Reducer> reducer)
    : token_(std::move(token)),
      operations_(std::move(operations)),
      codec_(std::move(codec)),
      reducer_(std::move(reducer)) {}

void ConsistentPull::LeaveOutputsToTheLast() {
  std::unordered_set<const void*> later;
  for (auto at = operations_.rbegin(); at != operations_.rend(); ++at) {
    KeyOperation& operation = **at;
    size_t kept = 0;
    for (size_t i = 0; i < operation.outputs.size(); ++i) {
      if (later.count(operation.outputs[i].impl().get()) > 0) continue;
      if (kept != i) {
        operation.outputs[kept] = std::move(operation.outputs[i]);
        operation.row_ids[kept] = std::move(operation.row_ids[i]);
      }
      ++kept;
    }
    operation.outputs.resize(kept);
    operation.row_ids.resize(kept);
    for (const NDArray& output : operation.outputs) later.insert(output.impl().get());
  }
}

PartAsks ConsistentPull::Asks() {
  if (!operations_.empty() && operations_[0]->kind == OperationKind::kPullRows) {
    LeaveOutputsToTheLast();
  }
  cuts_.reserve(operations_.size());
  for (size_t i = 0; i < operations_.size(); ++i) {
    const AnyCut& cut = cuts_.emplace_back(operations_[i]->spec);
    StagedOutputs& staged = staged_.emplace_back();
    if (operations_[i]->spec.row_sparse) staged = StagedOutputs::In(operations_[i].get());
    for (Question& question : cut->QuestionsOf(operations_[i].get())) {
      Piece& piece = pieces_.emplace_back();
      piece.operation = i;
      piece.ids = question.ids;
      piece.question = std::move(question);
    }
  }
  PartAsks asks;
  asks.reserve(pieces_.size());
  for (size_t i = 0; i < pieces_.size(); ++i) asks.push_back(AskFor(i, 0));
  open_ = asks.size();
  return asks;
}

PartAsk ConsistentPull::AskFor(size_t index, Round version) {
  const Piece& piece = pieces_[index];
  const KeyOperation& operation = *operations_[piece.operation];
  PartAsk ask;
  ask.sink = shared_from_this();
  ask.index = index;
  ask.request.op = Op::kPull;
  ask.request.id = {operation.key->id, piece.question.part};
  ask.request.priority = operation.priority;
  ask.request.step = operation.step;
  ask.request.version = version;
  ask.request.piece.data = piece.ids;
  ask.request.piece.rows = piece.question.rows;
  ask.request.piece.rows_from = piece.question.rows_from;
  return ask;
}

// What ends with a failure ends at once: nothing of it is in the outputs, and nothing will be.
PartAsks ConsistentPull::OnPart(Op, size_t index, Completion completion) noexcept {
  --open_;
  if (over_) return {};
  pieces_[index].version = completion.round;
  pieces_[index].reply = std::move(completion.data);
  absl::Status status = std::move(completion.status);
  PartAsks next;
  if (status.ok() && open_ > 0) return {};
  try {
    if (status.ok()) next = AsksForTheRest();
    if (status.ok() && next.empty()) status = WriteAll();
  } catch (const std::bad_alloc&) {
    next.clear();
    status = WordlessStatus(absl::StatusCode::kResourceExhausted);
  }
  open_ += next.size();
  if (!next.empty()) return next;
  over_ = true;
  if (!status.ok()) {
    for (const auto& operation : operations_) DropRows(*operation);
  }
  token_->Finish(status);
  return {};
}

PartAsks ConsistentPull::AsksForTheRest() {
  const auto earlier = [](const Piece& a, const Piece& b) { return a.version < b.version; };
  const Round round = std::max_element(pieces_.begin(), pieces_.end(), earlier)->version;
  PartAsks asks;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (pieces_[i].version < round) asks.push_back(AskFor(i, round));
  }
  return asks;
}

// What comes from the network is not trusted to fit: nothing is written before all of it does.
absl::Status ConsistentPull::WriteAll() {
  for (Piece& piece : pieces_) {
    const KeyOperation& operation = *operations_[piece.operation];
    const size_t expected = cuts_[piece.operation]->ReplyBytes(piece.question);
    KVS_ASSIGN_OR_RETURN(piece.reply, codec_->Decode(operation, piece.question.part,
                                                     expected / DTypeBytes(operation.spec.dtype),
                                                     std::move(piece.reply)));
    if (piece.reply.size() == expected) continue;
    return absl::InternalError(fmt::format("{} part {}: {} bytes expected, the server sent {}",
                                           operation.key->label, piece.question.part, expected,
                                           piece.reply.size()));
  }
  UnderWayPtr crossing;  // of one piece, while the next one is brought to GPUs
  for (const Piece& piece : pieces_) {
    const KeyOperation& operation = *operations_[piece.operation];
    auto begun =
        cuts_[piece.operation]->Write(piece.question, piece.reply, operation.outputs, *reducer_);
    if (begun.ok()) std::swap(*begun, crossing);
    KVS_RETURN_IF_ERROR(Named(operation.key->label, FinishIfAny(std::move(begun))));
  }
  KVS_RETURN_IF_ERROR(FinishIfAny(std::move(crossing)));
  for (size_t i = 0; i < staged_.size(); ++i) {
    KVS_RETURN_IF_ERROR(Named(operations_[i]->key->label, staged_[i].CopyToDevices()));
  }
  return absl::OkStatus();
}

}  // namespace kvstore
