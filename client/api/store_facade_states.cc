// SaveOptimizerStates and LoadOptimizerStates: what the optimizer keeps of all keys, as a file.
//
// Loading takes four passes, so that whatever is wrong is known before anything has changed: the
// file is read and checked by itself; each key is asked what its updater keeps (kDescribeState);
// the states are brought to where they belong, and lie there beside those in use (kStageState); and
// only then they take their place (kCommitState), which can fail for want of a server alone. If the
// third pass fails, what it brought is forgotten (kDropState).
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "client/api/store_facade.h"
#include "client/store/argument_checks.h"
#include "client/store/key_states.h"
#include "client/store/states_file.h"
#include "common/base/whole_file.h"

namespace kvstore {
namespace {

// Keys at a time: each has a few pages under way.
constexpr size_t kKeysAtOnce = 32;

std::string ValueText(const ValueSpec& spec) {
  return fmt::format("{}{} of shape {}", spec.row_sparse ? "row_sparse " : "",
                     DTypeName(spec.dtype), ShapeString(spec.shape));
}

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), fmt::format("{}: {}", path, std::string(status.message())));
}

absl::StatusOr<SavedStates> ReadStatesFile(const std::string& path) {
  MutableBufferPtr bytes;
  const absl::Status read = ReadWholeFile(path, [&](size_t size) {
    bytes = std::make_shared<Buffer>(size);
    return bytes->data();
  });
  if (!read.ok()) return read;
  absl::StatusOr<SavedStates> saved = DecodeStates(Payload(BufferPtr(bytes)));
  if (!saved.ok()) return InFile(path, saved.status());
  return saved;
}

}  // namespace

KeyedStatus StoreFacade::AllKeys(std::vector<StateOfKey>* keys) {
  if (absl::Status may = MayBlock(); !may.ok()) return {may, {}};
  MutexLock lock(mutex_);
  for (const KeyState* each : keys_.All()) {
    const Key& key = *each->key;
    const auto used =
        keys_.Use(key.is_int ? KeyName(static_cast<int>(key.number)) : KeyName(key.name));
    if (!used.ok()) return {used.status(), key.text};
    keys->push_back({(*used)->key, (*used)->spec, (*used)->var, std::make_shared<KeyStates>()});
  }
  if (keys->empty()) {
    return {absl::FailedPreconditionError("a store with keys expected, Init has made none"), {}};
  }
  return {};
}

KeyedStatus StoreFacade::AwaitKeys(const std::vector<StateOfKey>& keys) {
  std::vector<VarPtr> vars;
  for (const StateOfKey& each : keys) vars.push_back(each.var);
  const absl::Status waited = engine_.Wait(vars, DependencyEngine::WaitFor::kAll);
  for (const VarPtr& var : vars) {
    KeyedStatus failed = engine_.TakeFailure(var, /*readers=*/true);
    if (!failed.ok()) return failed;
  }
  return {waited, {}};
}

KeyedStatus StoreFacade::ForEachState(OperationKind kind, const std::vector<StateOfKey>& keys,
                                      size_t* begun) {
  // What is decided is done with all keys, whatever becomes of one.
  const bool goes_on = kind == OperationKind::kCommitState || kind == OperationKind::kDropState;
  KeyedStatus first;
  for (*begun = 0; *begun < keys.size();) {
    const size_t end = std::min(keys.size(), *begun + kKeysAtOnce);
    std::vector<VarPtr> over;  // of each key; written by its operation alone
    std::vector<const StateOfKey*> asked;
    DependencyEngine::Ready ready;
    {
      MutexLock lock(mutex_);
      OperationList queued(end - *begun);
      for (size_t i = *begun; i < end; ++i) {
        const StateOfKey& each = keys[i];
        // What failed before concerns the states, too; but not whether they take their place.
        KeyedStatus failed;
        if (!goes_on) failed = engine_.TakeFailure(each.var, /*readers=*/true);
        if (!failed.ok()) return failed;
        auto operation = std::make_shared<KeyOperation>();
        operation->kind = kind;
        operation->backend = backend_.get();
        operation->step = step_;
        operation->key = each.key;
        operation->spec = each.spec;
        operation->states = each.states;
        const absl::Status prepared = backend_->Prepare(operation.get());
        if (!prepared.ok()) return {prepared, each.key->text};
        over.push_back(DependencyEngine::NewVar());
        asked.push_back(&each);
        OperationSpec spec = SpecOf(each.var, operation);
        spec.uses.push_back({over.back(), Access::kWrite});
        queued.Add(std::move(spec));
      }
      ready = engine_.Append(std::move(queued));
    }
    *begun = end;
    engine_.Run(std::move(ready));
    const absl::Status waited = engine_.Wait(over, DependencyEngine::WaitFor::kAll);
    for (size_t i = 0; i < over.size(); ++i) {
      absl::Status failed = engine_.LastFailure(over[i]);
      if (failed.ok()) continue;
      engine_.TakeFailure(over[i], /*readers=*/true);
      if (first.ok()) first = {std::move(failed), asked[i]->key->text};
    }
    if (first.ok() && !waited.ok()) first = {waited, {}};
    if (!first.ok() && !goes_on) return first;
  }
  return first;
}

absl::StatusOr<std::string> StoreFacade::DumpOptimizer(const std::vector<StateOfKey>& keys) {
  MutexLock setting(setting_);
  if (!optimizer_.has_value()) {
    return absl::FailedPreconditionError(
        "dump_optimizer: an optimizer that this worker's SetOptimizer has set expected, there is "
        "none");
  }
  std::unordered_map<KeyId, std::string> texts;
  for (const StateOfKey& each : keys) texts[each.key->id] = each.key->text;
  return OptimizerJson(*optimizer_, [&](KeyId id) {
    const auto found = texts.find(id);
    return found == texts.end() ? std::string() : found->second;
  });
}

KeyedStatus StoreFacade::SaveStates(const std::string& path, bool dump_optimizer) {
  std::vector<StateOfKey> keys;
  if (KeyedStatus all = AllKeys(&keys); !all.ok()) return all;
  if (KeyedStatus waited = AwaitKeys(keys); !waited.ok()) return waited;
  SavedStates saved;
  if (dump_optimizer) {
    absl::StatusOr<std::string> optimizer = DumpOptimizer(keys);
    if (!optimizer.ok()) return {optimizer.status(), {}};
    saved.optimizer = *std::move(optimizer);
  }
  size_t begun = 0;
  if (KeyedStatus read = ForEachState(OperationKind::kReadState, keys, &begun); !read.ok()) {
    return read;
  }
  saved.int_keys = keys[0].key->is_int;
  saved.updater = keys[0].states->info.updater;
  for (StateOfKey& each : keys) {
    if (each.states->info.updater != saved.updater) {
      return {absl::FailedPreconditionError(fmt::format(
                  "{}: the states of one optimizer expected, of '{}', got those of '{}': call "
                  "SetOptimizer again",
                  each.key->label, saved.updater, each.states->info.updater)),
              each.key->text};
    }
    saved.keys.push_back({each.key->text, each.spec, std::move(*each.states)});
  }
  const absl::StatusOr<Payload> bytes = EncodeStates(saved);
  if (!bytes.ok()) return {InFile(path, bytes.status()), {}};
  std::vector<std::string_view> slices;
  for (const Slice& slice : bytes->slices()) {
    slices.emplace_back(reinterpret_cast<const char*>(slice.data), slice.size);
  }
  return {WriteWholeFile(path, slices), {}};
}

KeyedStatus StoreFacade::LoadStates(const std::string& path) {
  std::vector<StateOfKey> keys;
  if (KeyedStatus all = AllKeys(&keys); !all.ok()) return all;
  if (backend_->rank() != 0) return {};
  absl::StatusOr<SavedStates> saved = ReadStatesFile(path);
  if (!saved.ok()) return {saved.status(), {}};
  // What the file has must be what the store has.
  const auto refused = [&](absl::StatusCode code, const Key& key, const std::string& what) {
    return KeyedStatus{absl::Status(code, fmt::format("{}: {}: {}", path, key.label, what)),
                       key.text};
  };
  std::unordered_map<std::string_view, SavedKey*> in_file;
  for (SavedKey& each : saved->keys) in_file[each.text] = &each;
  for (const StateOfKey& each : keys) {
    const Key& key = *each.key;
    const auto found = in_file.find(key.text);
    if (found == in_file.end() || key.is_int != saved->int_keys) {
      return refused(absl::StatusCode::kFailedPrecondition, key,
                     "the states of this key expected, the file has none of it");
    }
    const ValueSpec& have = found->second->spec;
    if (have.dtype != each.spec.dtype || have.shape.get() != each.spec.shape.get() ||
        have.row_sparse != each.spec.row_sparse) {
      return refused(absl::StatusCode::kInvalidArgument, key,
                     fmt::format("states of a value {} expected, got those of {}",
                                 ValueText(each.spec), ValueText(have)));
    }
  }
  if (saved->keys.size() != keys.size()) {
    for (const StateOfKey& each : keys) in_file.erase(each.key->text);
    return {absl::FailedPreconditionError(
                fmt::format("{}: the keys of the store expected, got key '{}', too, which has no "
                            "Init",
                            path, std::string(in_file.begin()->first))),
            std::string(in_file.begin()->first)};
  }
  if (KeyedStatus waited = AwaitKeys(keys); !waited.ok()) return waited;
  size_t begun = 0;
  KeyedStatus status = ForEachState(OperationKind::kDescribeState, keys, &begun);
  if (!status.ok()) return status;
  for (StateOfKey& each : keys) {
    KeyStates& file = in_file.at(each.key->text)->states;
    if (!file.info.SameKind(each.states->info)) {
      return refused(absl::StatusCode::kFailedPrecondition, *each.key,
                     fmt::format("states of {} expected, got those of {}",
                                 Described(each.states->info), Described(file.info)));
    }
    // Whether updates are counted where there is nothing else is the store's to say.
    file.info.counted = each.states->info.counted;
    *each.states = std::move(file);
  }
  status = ForEachState(OperationKind::kStageState, keys, &begun);
  if (!status.ok()) {
    keys.resize(begun);
    static_cast<void>(ForEachState(OperationKind::kDropState, keys, &begun));
    return status;
  }
  return ForEachState(OperationKind::kCommitState, keys, &begun);
}

}  // namespace kvstore
