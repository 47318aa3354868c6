#include "client/api/key_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "common/base/check.h"
#include "common/model/key_spec.h"

namespace kvstore {
KeyId IdOf(const KeyName& name) { return name.is_int ? KeyIdOf(name.number) : KeyIdOf(name.name); }

std::string TextOf(const KeyName& name) {
  return name.is_int ? std::to_string(name.number) : std::string(name.name);
}

std::string LabelOf(const KeyName& name) {
  if (!name.is_int && name.name.empty()) return "key ''";  // KeyLabel takes it for an int key
  return KeyLabel(IdOf(name), name.name);
}

absl::StatusOr<KeyPtr> MakeKey(const KeyName& name) {
  auto key = std::make_shared<Key>();
  key->is_int = name.is_int;
  key->label = LabelOf(name);
  key->id = IdOf(name);
  if (name.is_int) {
    key->number = name.number;
    key->text = TextOf(name);
    return KeyPtr(std::move(key));
  }
  if (const absl::Status allowed = CheckKeyName(name.name); !allowed.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", key->label, std::string(allowed.message())));
  }
  key->name = std::string(name.name);
  key->text = key->name;
  return KeyPtr(std::move(key));
}

absl::Status KeyTable::CheckKind(const KeyName& name) const {
  const Kind kind = name.is_int ? Kind::kInt : Kind::kString;
  if (kind_ == Kind::kUnknown || kind_ == kind) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("mixed key types: {} keys expected, as in the first call, got {}",
                  name.is_int ? "string" : "int", LabelOf(name)));
}

void KeyTable::FixKind(bool is_int) { kind_ = is_int ? Kind::kInt : Kind::kString; }

absl::StatusOr<KeyState*> KeyTable::Find(const KeyName& name) {
  if (absl::Status kind = CheckKind(name); !kind.ok()) return kind;
  const auto it = states_.find(IdOf(name));
  if (it != states_.end()) {
    const Key& key = *it->second->key;
    if (key.is_int == name.is_int && key.name == name.name) return it->second.get();
  }
  return absl::NotFoundError(fmt::format("{} was never initialised", LabelOf(name)));
}

absl::StatusOr<KeyState*> KeyTable::Get(const KeyName& name) {
  const auto found = Find(name);
  if (!found.ok() || (*found)->making == nullptr) return found;
  if (absl::Status failed = Settle(*found); !failed.ok()) return failed;
  return Find(name);
}

absl::Status KeyTable::Settle(KeyState* state) {
  const VarPtr making = state->making;
  if (engine_->HasWriter(making)) return absl::OkStatus();
  if (engine_->LastFailure(making).ok()) {
    state->making = nullptr;
    return absl::OkStatus();
  }
  Remove(*KeyPtr(state->key), making);
  return engine_->TakeFailure(making, /*readers=*/true).status;
}

void KeyTable::Made(const Key& key, const VarPtr& making) {
  const auto it = states_.find(key.id);
  if (it != states_.end() && it->second->making == making) it->second->making = nullptr;
}

void KeyTable::Remove(const Key& key, const VarPtr& making) {
  const auto it = states_.find(key.id);
  if (it != states_.end() && it->second->making == making) states_.erase(it);
}

void KeyTable::Deleted(const Key& key, const VarPtr& var) {
  const auto it = states_.find(key.id);
  if (it != states_.end() && it->second->var == var) states_.erase(it);
}

absl::StatusOr<KeyState*> KeyTable::Use(const KeyName& name) {
  const auto got = Get(name);
  if (!got.ok() || (*got)->spec.known) return got;
  KeyState& state = **got;
  if (!state.init->learned.load(std::memory_order_acquire)) {
    return absl::FailedPreconditionError(
        fmt::format("{}: its Init is not done yet", state.key->label));
  }
  ValueSpec spec = state.init->spec;  // may throw; the assignment does not
  state.spec = std::move(spec);
  state.init.reset();
  return got;
}

absl::Status KeyTable::CheckNew(const Key& key) {
  auto it = states_.find(key.id);
  if (it != states_.end() && it->second->making != nullptr) {
    if (absl::Status failed = Settle(it->second.get()); !failed.ok()) return failed;
    it = states_.find(key.id);
  }
  if (it == states_.end()) {
    if (states_.size() < kKeysMax) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        fmt::format("{}: at most {} keys expected in a store", key.label, kKeysMax));
  }
  const Key& other = *it->second->key;
  if (other.is_int == key.is_int && other.name == key.name) {
    return absl::AlreadyExistsError(fmt::format("{} is initialised already", key.label));
  }
  return absl::InvalidArgumentError(
      fmt::format("{} and {} have the same hash: rename one of them", key.label, other.label));
}

KeyState* KeyTable::Add(KeyPtr key, ValueSpec spec) {
  auto state = std::make_shared<KeyState>();
  state->key = std::move(key);
  state->spec = std::move(spec);
  state->var = DependencyEngine::NewVar();
  state->making = DependencyEngine::NewVar();
  KeyState* added = state.get();
  const bool fresh = states_.emplace(added->key->id, std::move(state)).second;
  KVS_CHECK(fresh);
  return added;
}

// Its Init is neither under way, nor has it failed.
bool KeyTable::Exists(const KeyState& state) const {
  return state.making == nullptr ||
         (!engine_->HasWriter(state.making) && engine_->LastFailure(state.making).ok());
}

std::vector<KeyState*> KeyTable::All() {
  std::vector<KeyState*> all;
  for (const auto& [id, state] : states_) {
    if (Exists(*state)) all.push_back(state.get());
  }
  std::sort(all.begin(), all.end(), [](const KeyState* a, const KeyState* b) {
    return std::tie(a->key->number, a->key->name) < std::tie(b->key->number, b->key->name);
  });
  return all;
}

std::vector<KeyInfo> KeyTable::List(const std::string& prefix) const {
  std::vector<std::pair<const Key*, const ValueSpec*>> found;
  for (const auto& [id, state] : states_) {
    if (state->key->text.compare(0, prefix.size(), prefix) != 0) continue;
    if (!Exists(*state)) continue;
    const bool learned = !state->spec.known && state->init->learned.load(std::memory_order_acquire);
    const ValueSpec& spec = learned ? state->init->spec : state->spec;
    if (spec.known) found.emplace_back(state->key.get(), &spec);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first->number, a.first->name) < std::tie(b.first->number, b.first->name);
  });
  std::vector<KeyInfo> keys;
  keys.reserve(found.size());
  for (const auto& [key, spec] : found) {
    keys.push_back({key->text, ToDataType(spec->dtype), spec->shape,
                    spec->row_sparse ? StorageType::kRowSparse : StorageType::kDefault});
  }
  return keys;
}

}  // namespace kvstore
