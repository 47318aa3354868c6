#include "client/dist/group_operation.h"

#include <fmt/format.h>

#include <cstring>
#include <new>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "common/wire/byte_counts.h"

namespace kvstore {

GroupOperation::GroupOperation(KeyGroup* group, TokenPtr token)
    : token_(std::move(token)),
      kind_(group->kind),
      priority_(group->priority),
      step_(group->step),
      members_(std::move(group->members)) {
  ended_.reserve(members_.size());
}

PartAsks GroupOperation::Asks() {
  const bool pushes = kind_ == OperationKind::kPush;
  const auto group = std::make_shared<PartGroup>();
  group->members.reserve(members_.size());
  size_t bytes = 0;
  for (const KeyGroup::Member& member : members_) {
    group->members.push_back(
        {{member.key->id, 0}, static_cast<uint32_t>(bytes), static_cast<uint32_t>(member.bytes)});
    bytes += member.bytes;
  }
  if (pushes) {
    const auto pushed = std::make_shared<Buffer>(bytes);
    for (size_t i = 0; i < members_.size(); ++i) {
      std::memcpy(pushed->data() + group->members[i].at, members_[i].array.impl()->data,
                  members_[i].bytes);
    }
    CountCopiedBytes(bytes);
    group->bytes = pushed;
  }
  PartAsks asks;
  PartAsk& ask = asks.emplace_back();
  ask.sink = shared_from_this();
  ask.request.op = pushes ? Op::kPush : Op::kPull;
  ask.request.priority = priority_;
  ask.request.step = step_;
  ask.request.group = group;
  return asks;
}

absl::Status GroupOperation::Take(const KeyGroup::Member& member,
                                  const Completion& completion) const {
  if (!completion.status.ok() || kind_ == OperationKind::kPush) return completion.status;
  // What comes from the network is not trusted to fit.
  if (completion.data.size() != member.bytes) {
    return absl::InternalError(
        fmt::format("{}: {} bytes expected for its value, the server sent {}", member.key->label,
                    member.bytes, completion.data.size()));
  }
  completion.data.CopyTo(member.array.impl()->data);
  return absl::OkStatus();
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): as of a PartSink
PartAsks GroupOperation::OnPart(Op, size_t index, Completion completion) noexcept {
  KeyGroup::Member& member = members_[index];
  absl::Status status;
  try {
    status = Take(member, completion);
  } catch (const std::bad_alloc&) {
    status = WordlessStatus(absl::StatusCode::kResourceExhausted);
  }
  ended_.push_back({index, std::move(status)});
  return {};
}

void GroupOperation::Told() noexcept {
  // The arrays go before anybody hears that their operations are complete, and under no lock.
  for (const OperationToken::Ended& each : ended_) members_[each.number].array = NDArray();
  token_->Complete(ended_);
  ended_.clear();
}

}  // namespace kvstore
