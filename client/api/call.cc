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

}  // namespace

Call::Call(OperationKind kind, int priority, KeyTable* keys, const DependencyEngine* engine)
    : kind_(kind), priority_(priority), keys_(keys), engine_(engine), number_(keys->NextCall()) {}

void Call::Expect(size_t keys) { groups_.reserve(std::max(groups_.size(), keys)); }

absl::StatusOr<uint32_t> Call::GroupOf(const KeyName& name) {
  const auto used = keys_->Use(name);
  if (!used.ok()) return used.status();
  KeyState* const state = *used;
  if (state->call != number_) {
    state->call = number_;
    state->place = groups_.size();
    groups_.emplace_back();
    groups_.back().state = state->shared_from_this();
  }
  return static_cast<uint32_t>(state->place);
}

KeyedStatus Call::AddValues(const std::vector<KeyName>& keys, const std::vector<NDArray>& values) {
  Expect(keys.size());
  values_.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto group = GroupOf(keys[i]);
    if (!group.ok()) return {group.status(), TextOf(keys[i])};
    KeyState& state = *groups_[*group].state;
    const absl::Status fits = CheckArray(state.key->label, values[i], &state.spec);
    if (!fits.ok()) return {fits, state.key->text};
    ++groups_[*group].values;
    values_.push_back({*group, 0, &values[i]});
  }
  return {};
}

KeyedStatus Call::AddOutputs(const std::vector<KeyName>& keys, const std::vector<NDArray*>& outputs,
                             bool ignore_sparse) {
  Expect(keys.size());
  outputs_.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto number = GroupOf(keys[i]);
    if (!number.ok()) return {number.status(), TextOf(keys[i])};
    Group& group = groups_[*number];
    group.pulled = true;
    const Key& key = *group.state->key;
    if (ignore_sparse && outputs[i] != nullptr &&
        outputs[i]->storage_type() != StorageType::kDefault) {
      if (!std::exchange(group.state->warned, true)) {
        LogWarning(
            fmt::format("{}: {} leaves outputs of storage row_sparse alone: use PullRowSparse",
                        key.label, NameOf(kind_)));
      }
      continue;
    }
    const absl::Status fits = CheckOutput(key.label, outputs[i], group.state->spec);
    if (!fits.ok()) return {fits, key.text};
    ++group.outputs;
    outputs_.push_back({*number, 0, outputs[i]});
  }
  return {};
}

KeyedStatus Call::AddRows(const std::vector<KeyName>& keys,
                          const std::vector<std::pair<NDArray*, NDArray>>& rows) {
  Expect(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto group = GroupOf(keys[i]);
    if (!group.ok()) return {group.status(), TextOf(keys[i])};
    const KeyState& state = *groups_[*group].state;
    const auto& [output, ids] = rows[i];
    absl::Status fits = CheckRowsOutput(state.key->label, output, ids, state.spec);
    if (fits.ok()) {
      ++groups_[*group].outputs;
      outputs_.push_back({*group, static_cast<uint32_t>(row_ids_.size()), output});
      row_ids_.push_back({ids, {}});
      if (ids.empty() || !engine_->HasWriter(ids.impl()->var)) {
        fits = ReadRowIds(*state.key, state.spec, &row_ids_.back());
      }
    }
    if (!fits.ok()) return {fits, state.key->text};
  }
  return {};
}

// In place each part of the output takes the bytes of the same part of the value.
absl::Status Call::CheckInPlace(const Key& key, const Named* value, const Named* values_end,
                                const Named* output, const Named* outputs_end) const {
  for (; output != outputs_end; ++output) {
    for (const Named* each = value; each != values_end; ++each) {
      const NDArray& to = *output->array;
      const NDArray& from = *each->array;
      if (to.impl()->var != from.impl()->var || to.dtype() == from.dtype()) continue;
      return absl::InvalidArgumentError(
          fmt::format("{}: an output in place of the value has its dtype, {} expected, got {}",
                      key.label, DataTypeName(from.dtype()), DataTypeName(to.dtype())));
    }
  }
  return absl::OkStatus();
}

KeyedStatus Call::Finish() {
  const auto by_group = [](const Named& a, const Named& b) { return a.group < b.group; };
  for (std::vector<Named>* const list : {&values_, &outputs_}) {
    if (std::is_sorted(list->begin(), list->end(), by_group)) continue;  // no key comes twice
    std::stable_sort(list->begin(), list->end(), by_group);
  }
  if (kind_ != OperationKind::kPushPull) return {};
  const Named* value = values_.data();
  const Named* output = outputs_.data();
  for (const Group& group : groups_) {
    const Key& key = *group.state->key;
    if (!group.pushes() || !group.pulled) {
      return {absl::InvalidArgumentError(
                  fmt::format("PushPull: the same keys expected in both lists, {} is only {}",
                              key.label, group.pushes() ? "pushed" : "pulled")),
              key.text};
    }
    const absl::Status in_place =
        CheckInPlace(key, value, value + group.values, output, output + group.outputs);
    if (!in_place.ok()) return {in_place, key.text};
    value += group.values;
    output += group.outputs;
  }
  return {};
}

std::shared_ptr<KeyOperation> Call::MakeOperation() {
  if (block_ == nullptr || used_ == block_->size()) {
    block_ = std::make_shared<std::vector<KeyOperation>>(std::min(left(), kBlockMax));
    used_ = 0;
  }
  return {block_, &(*block_)[used_++]};
}

size_t Call::ArraysOfNext(size_t keys) const {
  size_t most = 0;
  for (size_t i = next_; i < std::min(next_ + keys, groups_.size()); ++i) {
    most = std::max<size_t>(most, groups_[i].values + groups_[i].outputs);
  }
  return most;
}

bool Call::NextUsesOnly(absl::FunctionRef<bool(const VarPtr&)> is_so) const {
  const Group& group = next();
  const auto all_so = [&](const Named* array, uint32_t count) {
    return std::all_of(array, array + count,
                       [&](const Named& named) { return is_so(named.array->impl()->var); });
  };
  return is_so(group.state->var) && all_so(values_.data() + next_value_, group.values) &&
         all_so(outputs_.data() + next_output_, group.outputs);
}

bool Call::FillNext(const KeyOperation& common, KeyOperation* operation) {
  const Group& group = next();
  operation->values.clear();
  operation->outputs.clear();
  operation->values.reserve(group.values);
  operation->outputs.reserve(group.outputs);
  if (kind_ == OperationKind::kPullRows) operation->row_ids.reserve(group.outputs);
  ++next_;  // nothing below takes memory
  if (!group.pushes() && group.outputs == 0) return false;
  const bool only_pushes = kind_ == OperationKind::kPushPull && group.outputs == 0;
  operation->kind = only_pushes ? OperationKind::kPush : kind_;
  operation->key = group.state->key;
  operation->spec = group.state->spec;
  operation->priority = priority_;
  operation->step = common.step;
  operation->as_of_call = common.as_of_call;
  operation->nan_policy = common.nan_policy;
  operation->backend = common.backend;
  for (uint32_t i = 0; i < group.values; ++i) {
    operation->values.push_back(*values_[next_value_++].array);
  }
  for (uint32_t i = 0; i < group.outputs; ++i) {
    const Named& output = outputs_[next_output_++];
    operation->outputs.push_back(*output.array);
    if (kind_ == OperationKind::kPullRows) {
      operation->row_ids.push_back(std::move(row_ids_[output.row_ids]));
    }
  }
  return true;
}

std::shared_ptr<KeyOperation> Call::MakeNext(const KeyOperation& common) {
  std::shared_ptr<KeyOperation> operation = MakeOperation();
  if (!FillNext(common, operation.get())) {
    --used_;
    return nullptr;
  }
  return operation;
}

}  // namespace kvstore
