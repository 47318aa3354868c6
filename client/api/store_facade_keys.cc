// Keys that come and go, or begin anew: Init, Delete and Reset, which wait until it is done.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <unordered_set>
#include <utility>
#include <vector>

#include "client/api/store_facade.h"
#include "client/store/argument_checks.h"

namespace kvstore {

KeyedStatus StoreFacade::InitKeys(const Names& keys, const std::vector<NDArray>& values) {
  return MakeKeys(keys, values.size(), [&](size_t i, KeyOperation* operation) {
    operation->values.push_back(values[i]);
    return CheckInit(operation->key->label, values[i], backend_->empty_init_allowed(),
                     &operation->spec);
  });
}

KeyedStatus StoreFacade::InitKeysByRule(const Names& keys, const std::vector<ValueByRule>& values) {
  return MakeKeys(keys, values.size(), [&](size_t i, KeyOperation* operation) {
    return CheckInitByRule(operation->key->label, values[i], &operation->spec, &operation->rule);
  });
}

KeyedStatus StoreFacade::MakeKeys(const Names& keys, size_t values, const DescribeValue& describe) {
  absl::Status status = MayBlock();
  if (status.ok()) status = CheckLengths(OperationKind::kInit, keys.size(), values, "values");
  if (!status.ok() || keys.empty()) return {status, {}};
  Mutex* const room = backend_->room();
  if (room == nullptr) return MakeKeysInRoom(keys, describe);
  MutexLock lock(*room);
  return MakeKeysInRoom(keys, describe);
}

KeyedStatus StoreFacade::MakeKeysInRoom(const Names& keys, const DescribeValue& describe) {
  absl::Status status;
  std::vector<KeyPtr> made;
  std::vector<VarPtr> making;
  DependencyEngine::Ready ready;
  {
    MutexLock lock(mutex_);
    // What stays for good (keys, their states, and beside each KeyState::making) is made in loops
    // of its own, not between what goes with the operations: else thousands of small keys leave as
    // many holes behind.
    made.reserve(keys.size());
    std::vector<KeyId> ids;
    ids.reserve(keys.size());
    for (const KeyName& name : keys) {
      auto key = MakeKey(name);
      if (!key.ok()) return {key.status(), {}};
      status = keys_.CheckKind(name);
      if (status.ok()) status = keys_.CheckNew(**key);
      if (!status.ok()) return {status, (*key)->text};
      ids.push_back((*key)->id);
      made.push_back(*std::move(key));
    }
    std::sort(ids.begin(), ids.end());
    if (const auto twice = std::adjacent_find(ids.begin(), ids.end()); twice != ids.end()) {
      const Key& key = **std::find_if(made.begin(), made.end(),
                                      [twice](const KeyPtr& each) { return each->id == *twice; });
      return {absl::InvalidArgumentError(
                  fmt::format("Init: distinct keys expected, {} comes twice", key.label)),
              key.text};
    }
    std::vector<std::shared_ptr<KeyOperation>> operations;
    operations.reserve(made.size());
    for (size_t i = 0; i < made.size(); ++i) {
      auto operation = std::make_shared<KeyOperation>();
      operation->key = made[i];
      operation->kind = OperationKind::kInit;
      operation->backend = backend_.get();
      operation->step = step_;
      status = describe(i, operation.get());
      if (status.ok()) status = backend_->Prepare(operation.get());
      if (!status.ok()) return {status, made[i]->text};
      operations.push_back(std::move(operation));
    }
    OperationList queued(made.size());
    std::vector<KeyState*> states;
    states.reserve(made.size());
    making.reserve(made.size());
    try {
      for (const auto& operation : operations) {
        states.push_back(keys_.Add(operation->key, operation->spec));
        making.push_back(states.back()->making);
        if (!operation->spec.known) states.back()->init = operation;
      }
      for (size_t i = 0; i < made.size(); ++i) {
        OperationSpec spec = SpecOf(states[i]->var, operations[i]);
        spec.uses.push_back({making[i], Access::kWrite});
        queued.Add(std::move(spec));
      }
      ready = engine_.Append(std::move(queued));
    } catch (const std::bad_alloc&) {
      for (size_t i = 0; i < making.size(); ++i) keys_.Remove(*made[i], making[i]);
      throw;
    }
    keys_.FixKind(keys[0].is_int);
  }
  engine_.Run(std::move(ready));

  const absl::Status waited = engine_.Wait(making, DependencyEngine::WaitFor::kAll);
  KeyedStatus first;
  for (size_t i = 0; i < made.size(); ++i) {
    absl::Status failed = engine_.LastFailure(making[i]);
    if (failed.ok()) {
      if (!waited.ok()) continue;
      MutexLock lock(mutex_);
      keys_.Made(*made[i], making[i]);
      continue;
    }
    // The key does not exist here, and the backend left nothing of it: Init may be tried again.
    engine_.TakeFailure(making[i], /*readers=*/true);
    if (first.ok()) first = {std::move(failed), made[i]->text};
    MutexLock lock(mutex_);
    keys_.Remove(*made[i], making[i]);
  }
  if (first.ok() && !waited.ok()) return {waited, {}};
  return first;
}

KeyedStatus StoreFacade::FindUnknown(const Names& keys, Unknown* unknown) {
  std::unordered_set<KeyId> once;
  for (const KeyName& name : keys) {
    if (!once.insert(IdOf(name)).second) continue;
    const auto state = keys_.Get(name);
    if (absl::IsNotFound(state.status())) {
      unknown->keys.push_back(name);
      continue;
    }
    if (!state.ok()) return {state.status(), TextOf(name)};
    const VarPtr var = (*state)->var;
    if ((*state)->making != nullptr) {
      unknown->making.push_back((*state)->making);
    } else if (absl::IsNotFound(engine_.LastFailure(var))) {
      // Its life is over: it may be another key now. Whoever asked then is told so first.
      KeyedStatus untold = engine_.TakeFailure(var, /*readers=*/true);
      if (!untold.ok()) return untold;
      keys_.Deleted(*KeyPtr((*state)->key), var);
      unknown->keys.push_back(name);
    }
  }
  return {};
}

// A reader makes no keys: to it Init with an empty array is the question what a key is, which waits
// until the key exists.
KeyedStatus StoreFacade::LearnKeys(const Names& keys) {
  if (!backend_->reads_only()) return {};
  while (true) {
    Unknown unknown;
    {
      MutexLock lock(mutex_);
      if (KeyedStatus found = FindUnknown(keys, &unknown); !found.ok()) return found;
    }
    if (unknown.keys.empty() && unknown.making.empty()) return {};
    if (absl::Status status = MayBlock(); !status.ok()) return {status, {}};
    if (!unknown.keys.empty()) {
      const KeyedStatus made = InitKeys(unknown.keys, std::vector<NDArray>(unknown.keys.size()));
      if (made.ok()) continue;
      if (!absl::IsAlreadyExists(made.status)) return made;
      // Another thread may have asked meanwhile; if not, it is another key of the same hash.
      bool asked = false;
      MutexLock lock(mutex_);
      for (const KeyName& name : unknown.keys) asked |= keys_.Find(name).ok();
      if (!asked) return made;
      continue;
    }
    const absl::Status waited = engine_.Wait(unknown.making, DependencyEngine::WaitFor::kAll);
    if (!waited.ok()) return {waited, {}};
  }
}

// Waits, like Init, so that the key is gone, or reset, when it returns, and an Init or a push may
// follow. Before, it waits for what this worker has under way on all parts of the keys.
KeyedStatus StoreFacade::EndKeys(OperationKind kind, const Names& keys) {
  if (KeyedStatus waited = WaitKeys(keys); !waited.ok()) return waited;
  std::vector<KeyPtr> named;
  std::vector<VarPtr> vars, gone;  // of each key; written by its end alone
  DependencyEngine::Ready ready;
  {
    MutexLock lock(mutex_);
    std::unordered_set<KeyId> once;
    OperationList queued(keys.size());
    for (const KeyName& name : keys) {
      const auto state = keys_.Use(name);
      if (!state.ok()) return {state.status(), TextOf(name)};
      if (!once.insert(IdOf(name)).second) {
        return {absl::InvalidArgumentError(fmt::format("{}: distinct keys expected, {} comes twice",
                                                       NameOf(kind), LabelOf(name))),
                TextOf(name)};
      }
      KeyedStatus failed = engine_.TakeFailure((*state)->var, /*readers=*/true);
      if (!failed.ok()) return failed;
      auto operation = std::make_shared<KeyOperation>();
      operation->kind = kind;
      operation->backend = backend_.get();
      operation->step = step_;
      operation->key = (*state)->key;
      operation->spec = (*state)->spec;
      const absl::Status prepared = backend_->Prepare(operation.get());
      if (!prepared.ok()) return {prepared, operation->key->text};
      named.push_back(operation->key);
      vars.push_back((*state)->var);
      gone.push_back(DependencyEngine::NewVar());
      OperationSpec spec = SpecOf(vars.back(), operation);
      spec.uses.push_back({gone.back(), Access::kWrite});
      queued.Add(std::move(spec));
    }
    ready = engine_.Append(std::move(queued));
  }
  engine_.Run(std::move(ready));

  const absl::Status waited = engine_.Wait(gone, DependencyEngine::WaitFor::kAll);
  KeyedStatus first;
  for (size_t i = 0; i < named.size(); ++i) {
    absl::Status failed = engine_.LastFailure(gone[i]);
    if (failed.ok() && waited.ok() && kind == OperationKind::kDelete) {
      MutexLock lock(mutex_);
      keys_.Deleted(*named[i], vars[i]);
    }
    if (failed.ok()) continue;
    engine_.TakeFailure(gone[i], /*readers=*/true);
    if (first.ok()) first = {std::move(failed), named[i]->text};
  }
  if (first.ok() && !waited.ok()) return {waited, {}};
  return first;
}

}  // namespace kvstore
