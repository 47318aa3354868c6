// Call: one call of a store's user while it is being checked: its keys and arrays, one operation
// per key. Nothing has happened before the facade queues the operations, so that a call that is
// refused half-way leaves no trace.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "client/api/key_table.h"
#include "client/base/error_border.h"
#include "client/order/dependency_engine.h"
#include "client/store/store_backend.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Each method that adds refuses what does not fit: the error names the key, what was expected and
// what came.
// Threading: thread-compatible; lives under the mutex that guards `keys`.
class Call {
 public:
  // A key of the call, and the operation on it.
  struct Group {
    KeyState* state = nullptr;
    std::shared_ptr<KeyOperation> operation;
    bool pulled = false;  // the call named the key for an output, which may be left alone
  };

  // `keys` and `engine` outlive the call.
  Call(OperationKind kind, int priority, KeyTable* keys, const DependencyEngine* engine);

  // Adds values to be pushed: those of one key are summed, in the order of the list.
  KeyedStatus AddValues(const std::vector<KeyName>& keys, const std::vector<NDArray>& values);
  // Adds outputs, to be filled with the values of their keys. With `ignore_sparse` row_sparse
  // outputs are left alone, with a warning, once per key and store.
  KeyedStatus AddOutputs(const std::vector<KeyName>& keys, const std::vector<NDArray*>& outputs,
                         bool ignore_sparse);
  // Adds outputs of a PullRowSparse, each with its row ids. Ids that another operation is still to
  // write are read later, when this operation is issued; all others now, so that the caller may
  // change them when the call returns.
  KeyedStatus AddRows(const std::vector<KeyName>& keys,
                      const std::vector<std::pair<NDArray*, NDArray>>& rows);
  // The last check of a PushPull: every key was named for both a value and an output. A key whose
  // outputs are all left alone becomes a Push.
  KeyedStatus FinishPushPull();

  // The keys of the call, in the order in which it named them first.
  const std::vector<Group>& groups() const { return groups_; }

 private:
  // Says that up to `keys` keys will be named now.
  void Expect(size_t keys);
  // The group of a key that exists. Errors: those of KeyTable::Use.
  absl::StatusOr<Group*> GroupOf(const KeyName& name);
  // Operations lie in blocks of some dozens, like what the dependency engine keeps of them.
  std::shared_ptr<KeyOperation> MakeOperation();

  const OperationKind kind_;
  const int priority_;
  KeyTable* const keys_;
  const DependencyEngine* const engine_;
  const uint64_t number_;  // of this call, among all of the store
  std::vector<Group> groups_;
  size_t expected_ = 0;  // keys that may still be named, all of which may be new
  std::shared_ptr<std::vector<KeyOperation>> block_;
  size_t used_ = 0;  // of the block
};

}  // namespace kvstore
