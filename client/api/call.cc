#include "client/api/call.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/array/ndarray_impl.h"
#include "client/base/sdk_log.h"
#include "client/store/argument_checks.h"

namespace kvstore {
namespace {

// Operations in one block of memory.
constexpr size_t kBlockMax = 64;

// In place each part of the output takes the bytes of the same part of the value.
absl::Status CheckInPlace(const KeyOperation& operation) {
  for (const NDArray& output : operation.outputs) {
    for (const NDArray& value : operation.values) {
      if (output.impl()->var != value.impl()->var || output.dtype() == value.dtype()) continue;
      return absl::InvalidArgumentError(fmt::format(
          "{}: an output in place of the value has its dtype, {} expected, got {}",
          operation.key->label, DataTypeName(value.dtype()), DataTypeName(output.dtype())));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Call::Call(OperationKind kind, int priority, KeyTable* keys, const DependencyEngine* engine)
    : kind_(kind), priority_(priority), keys_(keys), engine_(engine), number_(keys->NextCall()) {}

void Call::Expect(size_t keys) {
  expected_ = keys;
  groups_.reserve(groups_.size() + keys);
}

std::shared_ptr<KeyOperation> Call::MakeOperation() {
  if (block_ == nullptr || used_ == block_->size()) {
    block_ =
        std::make_shared<std::vector<KeyOperation>>(std::clamp<size_t>(expected_, 1, kBlockMax));
    used_ = 0;
  }
  return {block_, &(*block_)[used_++]};
}

absl::StatusOr<Call::Group*> Call::GroupOf(const KeyName& name) {
  const auto used = keys_->Use(name);
  if (!used.ok()) return used.status();
  KeyState* const state = *used;
  if (state->call != number_) {
    state->call = number_;
    state->place = groups_.size();
    auto operation = MakeOperation();
    operation->kind = kind_;
    operation->key = state->key;
    operation->spec = state->spec;
    operation->priority = priority_;
    groups_.push_back({state, std::move(operation)});
  }
  return &groups_[state->place];
}

KeyedStatus Call::AddValues(const std::vector<KeyName>& keys, const std::vector<NDArray>& values) {
  Expect(keys.size());
  for (size_t i = 0; i < keys.size(); ++i, --expected_) {
    const auto group = GroupOf(keys[i]);
    if (!group.ok()) return {group.status(), TextOf(keys[i])};
    KeyOperation& operation = *(*group)->operation;
    const absl::Status fits = CheckArray(operation.key->label, values[i], &operation.spec);
    if (!fits.ok()) return {fits, operation.key->text};
    operation.values.push_back(values[i]);
  }
  return {};
}

KeyedStatus Call::AddOutputs(const std::vector<KeyName>& keys, const std::vector<NDArray*>& outputs,
                             bool ignore_sparse) {
  Expect(keys.size());
  for (size_t i = 0; i < keys.size(); ++i, --expected_) {
    const auto group = GroupOf(keys[i]);
    if (!group.ok()) return {group.status(), TextOf(keys[i])};
    (*group)->pulled = true;
    KeyOperation& operation = *(*group)->operation;
    const Key& key = *operation.key;
    if (ignore_sparse && outputs[i] != nullptr &&
        outputs[i]->storage_type() != StorageType::kDefault) {
      if (!std::exchange((*group)->state->warned, true)) {
        LogWarning(
            fmt::format("{}: {} leaves outputs of storage row_sparse alone: use PullRowSparse",
                        key.label, NameOf(kind_)));
      }
      continue;
    }
    const absl::Status fits = CheckOutput(key.label, outputs[i], operation.spec);
    if (!fits.ok()) return {fits, key.text};
    operation.outputs.push_back(*outputs[i]);
  }
  return {};
}

KeyedStatus Call::AddRows(const std::vector<KeyName>& keys,
                          const std::vector<std::pair<NDArray*, NDArray>>& rows) {
  Expect(keys.size());
  for (size_t i = 0; i < keys.size(); ++i, --expected_) {
    const auto group = GroupOf(keys[i]);
    if (!group.ok()) return {group.status(), TextOf(keys[i])};
    KeyOperation& operation = *(*group)->operation;
    const auto& [output, ids] = rows[i];
    absl::Status fits = CheckRowsOutput(operation.key->label, output, ids, operation.spec);
    if (fits.ok()) {
      operation.outputs.push_back(*output);
      operation.row_ids.push_back({ids, {}});
      if (ids.empty() || !engine_->HasWriter(ids.impl()->var)) {
        fits = ReadRowIds(operation, &operation.row_ids.back());
      }
    }
    if (!fits.ok()) return {fits, operation.key->text};
  }
  return {};
}

KeyedStatus Call::FinishPushPull() {
  for (const Group& group : groups_) {
    KeyOperation& operation = *group.operation;
    if (operation.values.empty() || !group.pulled) {
      return {absl::InvalidArgumentError(fmt::format(
                  "PushPull: the same keys expected in both lists, {} is only {}",
                  operation.key->label, operation.values.empty() ? "pulled" : "pushed")),
              operation.key->text};
    }
    if (absl::Status in_place = CheckInPlace(operation); !in_place.ok()) {
      return {in_place, operation.key->text};
    }
    if (operation.outputs.empty()) operation.kind = OperationKind::kPush;
  }
  return {};
}

}  // namespace kvstore
