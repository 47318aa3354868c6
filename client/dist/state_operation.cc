#include "client/dist/state_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "client/base/no_memory.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

// Of a key at once; the facade has several keys at once.
constexpr PartIndex kPartsAtOnce = 4;

}  // namespace

ReadStateOperation::ReadStateOperation(std::shared_ptr<KeyOperation> key_operation, TokenPtr token,
                                       PartIndex parts)
    : DistOperation(std::move(key_operation), std::move(token)),
      parts_(operation().kind == OperationKind::kDescribeState ? 1 : parts) {
  if (operation().kind == OperationKind::kReadState) {
    collector_.emplace(operation().key->label, operation().spec, parts_);
  }
}

PartAsks ReadStateOperation::Asks() {
  PartAsks asks;
  while (begun_ < std::min(parts_, kPartsAtOnce)) {
    AskFor(begun_++, {0, 0, /*info_only=*/!collector_.has_value()}, &asks);
  }
  return asks;
}

void ReadStateOperation::AskFor(PartIndex part, const StateCursor& from, PartAsks* asks) {
  asked_.push_back(part);
  Ask(Op::kReadState, part, asks).piece.data = EncodeStateCursor(from);
}

absl::Status ReadStateOperation::Take(Op, size_t index, Completion completion, PartAsks* next) {
  KVS_RETURN_IF_ERROR(completion.status);
  const PartIndex part = asked_[index];
  const absl::StatusOr<StatePage> page = DecodeStatePage(completion.data);
  if (!page.ok()) {
    return absl::InternalError(fmt::format("{} part {}: the server sent what is no page: {}",
                                           operation().key->label, part,
                                           std::string(page.status().message())));
  }
  if (!collector_.has_value()) {
    operation().states->info = page->info;
    return absl::OkStatus();
  }
  KVS_ASSIGN_OR_RETURN(const std::optional<StateCursor> from,
                       collector_->Add(part, completion.round, *page));
  if (!status_.ok()) return absl::OkStatus();  // what is left is of no use any more
  if (from.has_value()) {
    AskFor(part, *from, next);
  } else if (begun_ < parts_) {
    AskFor(begun_++, {}, next);
  }
  return absl::OkStatus();
}

void ReadStateOperation::AllTaken(PartAsks*) noexcept {
  if (!status_.ok() || !collector_.has_value()) return;
  try {
    absl::StatusOr<KeyStates> states = collector_->Finish();
    if (states.ok()) {
      *operation().states = *std::move(states);
    } else {
      status_ = states.status();
    }
  } catch (const std::bad_alloc&) {
    status_ = WordedStatus(absl::StatusCode::kResourceExhausted, [this] {
      return operation().key->label + ": memory for its states expected, there is too little";
    });
  }
}

WriteStateOperation::WriteStateOperation(std::shared_ptr<KeyOperation> key_operation,
                                         TokenPtr token, PartIndex parts)
    : DistOperation(std::move(key_operation), std::move(token)), parts_(parts) {
  if (operation().kind == OperationKind::kStageState) {
    cutter_.emplace(*operation().states, operation().spec, parts_);
  }
}

absl::StatusOr<PartAsks> WriteStateOperation::Asks() {
  PartAsks asks;
  if (cutter_.has_value()) {
    KVS_RETURN_IF_ERROR(CheckUpdates(operation().key->label, *operation().states, parts_));
    while (begun_ < std::min(parts_, kPartsAtOnce)) Bring(begun_++, {}, &asks);
    return asks;
  }
  StatePage order;
  order.verb =
      operation().kind == OperationKind::kCommitState ? StateVerb::kCommit : StateVerb::kDrop;
  const Payload bytes = EncodeStatePage(order);
  for (PartIndex part = 0; part < parts_; ++part) {
    sent_.push_back({part, std::nullopt});
    Ask(Op::kWriteState, part, &asks).piece.data = bytes;
  }
  return asks;
}

void WriteStateOperation::Bring(PartIndex part, const StateCursor& from, PartAsks* asks) {
  const StatePage page = cutter_->PageAt(part, from);
  sent_.push_back({part, cutter_->Next(part, page)});
  Ask(Op::kWriteState, part, asks).piece.data = EncodeStatePage(page);
}

absl::Status WriteStateOperation::Take(Op, size_t index, Completion completion, PartAsks* next) {
  KVS_RETURN_IF_ERROR(completion.status);
  if (!cutter_.has_value() || !status_.ok()) return absl::OkStatus();
  const Sent sent = sent_[index];
  if (sent.next.has_value()) {
    Bring(sent.part, *sent.next, next);
  } else if (begun_ < parts_) {
    Bring(begun_++, {}, next);
  }
  return absl::OkStatus();
}

}  // namespace kvstore
