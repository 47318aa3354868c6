// Call: one call of a store's user: its keys and arrays, first while they are checked, then while
// operations are made of them, one per key. A call that is refused half-way leaves no trace, since
// nothing is made before everything was checked.
//
//   Push({7, 9, 7}, {a, b, c})   two keys: 7, with the values a and c, and 9, with b
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "client/api/key_table.h"
#include "client/base/error_border.h"
#include "client/order/dependency_engine.h"
#include "client/store/store_backend.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// The lists that are added, and the arrays in them, outlive the call.
// Each method that adds refuses what does not fit: the error names the key, what was expected and
// what came.
// Threading: thread-compatible; used under the mutex that guards `keys`.
class Call {
 public:
  // A key of the call.
  struct Group {
    std::shared_ptr<KeyState> state;
    uint32_t values = 0;   // that the call named it with
    uint32_t outputs = 0;  // likewise, but for those that are left alone
    bool pulled = false;   // it was named for an output, which may be left alone

    bool pushes() const { return values > 0; }
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
  // The last check, when all is added. Of a PushPull every key was named for both a value and an
  // output.
  KeyedStatus Finish();

  OperationKind kind() const { return kind_; }
  int priority() const { return priority_; }
  // The keys of the call, in the order in which it named them first.
  const std::vector<Group>& groups() const { return groups_; }

  // For how many keys operations may still be made. After Finish.
  size_t left() const { return groups_.size() - next_; }
  // The next key. There is one.
  const Group& next() const { return groups_[next_]; }
  // The most arrays that one of the next `keys` keys has.
  size_t ArraysOfNext(size_t keys) const;
  // Whether that is so of the Vars of the next key and of all its arrays.
  bool NextUsesOnly(absl::FunctionRef<bool(const VarPtr&)> is_so) const;
  // The n-th of the keys from the next one on, which, like those before it, has one array; that
  // array.
  const Group& Ahead(size_t n) const { return groups_[next_ + n]; }
  const NDArray& ArrayAhead(size_t n) const {
    return *(kind_ == OperationKind::kPush ? values_[next_value_ + n] : outputs_[next_output_ + n])
                .array;
  }
  // No operation is to be made by MakeNext on the next `keys` keys, which have one array each.
  void Skip(size_t keys) {
    next_ += keys;
    (kind_ == OperationKind::kPush ? next_value_ : next_output_) += keys;
  }
  // Makes `operation`, which may have been another one, that on the next key: as MakeNext. False:
  // there is none.
  bool FillNext(const KeyOperation& common, KeyOperation* operation);
  // Makes the operation on the next key, which gets from `common` what all of a call have alike:
  // step, as_of_call, nan_policy, backend. Null: all its outputs are left alone, so there is none.
  // A PushPull of which all outputs are left alone becomes a Push. May throw std::bad_alloc; then
  // the call is of no use any more.
  std::shared_ptr<KeyOperation> MakeNext(const KeyOperation& common);

  // Whether the next keys may be queued as a group.
  bool try_groups = true;

 private:
  // An array of the caller's, and whose it is.
  struct Named {
    uint32_t group = 0;
    uint32_t row_ids = 0;  // an output of a PullRowSparse: which of row_ids_
    const NDArray* array = nullptr;
  };

  // Makes room for so many keys that are named now.
  void Expect(size_t keys);
  // The number of the group of a key that exists. Errors: those of KeyTable::Use.
  absl::StatusOr<uint32_t> GroupOf(const KeyName& name);
  absl::Status CheckInPlace(const Key& key, const Named* value, const Named* values_end,
                            const Named* output, const Named* outputs_end) const;
  // Operations lie in blocks of some dozens, like what the dependency engine keeps of them.
  std::shared_ptr<KeyOperation> MakeOperation();

  const OperationKind kind_;
  const int priority_;
  KeyTable* const keys_;
  const DependencyEngine* const engine_;
  const uint64_t number_;  // of this call, among all of the store
  std::vector<Group> groups_;
  std::vector<Named> values_, outputs_;  // after Finish in the order of their groups
  std::vector<RowIds> row_ids_;
  // Where MakeNext is.
  size_t next_ = 0, next_value_ = 0, next_output_ = 0;
  std::shared_ptr<std::vector<KeyOperation>> block_;
  size_t used_ = 0;  // of the block
};

}  // namespace kvstore
