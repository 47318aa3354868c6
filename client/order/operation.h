// What the DependencyEngine keeps of its operations and Vars. Internal to client/order; guarded by
// the engine's mutex, but for the fields that are said to be fixed, and for what a Var that nobody
// holds any more does with its own list of failures.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "client/base/in_place.h"
#include "client/order/dependency_engine.h"

namespace kvstore {

// Whether the access excludes every other one.
constexpr bool Exclusive(Access access) {
  return access == Access::kWrite || access == Access::kOrder;
}

// How an operation failed, and whether that was handed out already.
struct DependencyEngine::Failure {
  absl::Status status;
  bool taken = false;
};

// One call of Wait. Lives on the stack of that call; operations point to it until they complete or
// the call gives up.
struct DependencyEngine::Waiter {
  const VarPtr* vars = nullptr;
  size_t count = 0;  // of `vars`
  WaitFor what = WaitFor::kAll;
  size_t remaining = 0;    // operations that point here
  int64_t timeout_ms = 0;  // the longest of theirs
  CondVar done;

  // Whether this wait is for uses of that kind of that Var.
  bool Concerns(const VarPtr& var, Access access) const {
    if (what == WaitFor::kWriters && access == Access::kRead) return false;
    return std::find(vars, vars + count, var) != vars + count;
  }
};

// The operations of one Append lie in blocks, some dozens in each, with their tokens: a call of
// thousands of small keys takes few pieces of memory, and what is looked at together lies together.
// A block goes when the last of its operations has gone.
class Operation {
 public:
  // The operation's place at one Var: in the Var's list of unfinished uses, and in its grants; when
  // the operation has failed, in the list of failures that the Var remembers.
  struct Use {
    VarPtr var;
    Access access = Access::kRead;
    bool granted = false;
    bool returned = false;  // by GiveBackReads: it is in the Var's list no more
    Operation* operation = nullptr;
    Use* previous = nullptr;
    Use* next = nullptr;
  };

  Operation();

  // Fixed before the operation is queued.
  DependencyEngine* engine = nullptr;
  std::shared_ptr<OperationOwner> owner;
  int64_t timeout_ms = 0;
  uint64_t generation = 0;  // of the process (fork_guard.h)
  uint64_t id = 0;
  std::string_view verb;
  std::shared_ptr<const OperationSubject> subject;
  absl::AnyInvocable<void(const TokenPtr&)> issue;
  // Of a group: its operations; theirs, in turn, is who leads it.
  std::vector<OperationPtr> members;
  Operation* leader = nullptr;

  // Never resized after Append: Vars point into it. Most have a key, a store, a value, an output.
  absl::InlinedVector<Use, 4> uses;
  size_t ungranted = 0;
  // Keeps the operation while it waits to be granted all: then nobody else holds it. Afterwards its
  // token does. And when it has failed, for as long as a Var remembers one of its uses.
  OperationPtr self;
  // Uses that Vars remember. A Var that goes forgets its own under no lock, perhaps while another
  // Var of the operation is asked: whoever forgets the last one lets the operation go.
  std::atomic<size_t> remembered = 0;
  OperationPtr next_ready;  // in a list of Ready
  TokenPtr token;           // OperationWithPlace has the place for it; moved out when it is issued
  // How many still issue it: its issue function, and whoever called HoldOrder. At 0 it is issued,
  // and its kOrder grants are given back.
  size_t order_holds = 1;
  bool issued = false;
  bool complete = false;
  // Of a group's: it was complete when its group was issued; it was left over when the token went.
  bool complete_before_issued = false;
  bool left_over = false;
  absl::InlinedVector<DependencyEngine::Waiter*, 2> waiters;
  DependencyEngine::Failure failure;  // filled in if it fails

  const std::shared_ptr<OperationOwner>& OwnerOf() const {
    return leader == nullptr ? owner : leader->owner;
  }
  // "Push of key 17".
  std::string What() const {
    std::string what(verb);
    if (subject != nullptr && !subject->label.empty()) what += " of " + subject->label;
    return what;
  }
  // It is issued and complete: its Vars, which may remember its failure, are not kept by it.
  void LetVarsGo() {
    for (Use& use : uses) use.var = nullptr;
    owner = nullptr;
  }
};

// Not defaulted above: there it would have each operation of a block filled with zeros first.
inline Operation::Operation() = default;

// One that has a token: all but those that a group leads.
class OperationWithPlace : public Operation {
 public:
  OperationWithPlace();

  Place<160> token_place;
};
inline OperationWithPlace::OperationWithPlace() = default;

// Makes the token of one that has the place for it. Takes no memory.
void MakeToken(const OperationPtr& operation);

class Var {
 public:
  Var() = default;
  ~Var() {
    while (first_failed != nullptr) Forget(first_failed);
  }
  Var(const Var&) = delete;
  Var& operator=(const Var&) = delete;

  // Puts the use at the end of the list of unfinished uses, which is in program order.
  void Link(Operation::Use* use) {
    use->previous = last;
    use->next = nullptr;
    (last != nullptr ? last->next : first) = use;
    last = use;
  }
  void Unlink(Operation::Use* use) {
    (use->previous != nullptr ? use->previous->next : first) = use->next;
    (use->next != nullptr ? use->next->previous : last) = use->previous;
    use->previous = nullptr;
    use->next = nullptr;
  }

  // Keeps a use that is finished, and failed: the list is one of uses so that it takes no memory.
  void Remember(Operation::Use* use, const OperationPtr& operation) {
    if (operation->remembered.fetch_add(1, std::memory_order_relaxed) == 0) {
      operation->self = operation;
    }
    use->previous = last_failed;
    use->next = nullptr;
    (last_failed != nullptr ? last_failed->next : first_failed) = use;
    last_failed = use;
    ++failures;
  }
  // Returns the one behind it.
  Operation::Use* Forget(Operation::Use* use) {
    Operation::Use* const behind = use->next;
    (use->previous != nullptr ? use->previous->next : first_failed) = use->next;
    (use->next != nullptr ? use->next->previous : last_failed) = use->previous;
    --failures;
    OperationPtr gone;  // goes last: `use` lies in it
    if (use->operation->remembered.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      gone = std::move(use->operation->self);
    }
    return behind;
  }

  // The list of unfinished uses: granted ones, then those that wait; kTrack, which waits for
  // nothing, anywhere.
  Operation::Use* first = nullptr;
  Operation::Use* last = nullptr;
  // The first use that waits; null: none does. All behind it wait too, but for kTrack.
  Operation::Use* waiting = nullptr;
  size_t sharing = 0;      // uses that are granted and not exclusive
  bool exclusive = false;  // one use is granted, and it is
  // The uses of operations that failed, in the order of their ends.
  Operation::Use* first_failed = nullptr;
  Operation::Use* last_failed = nullptr;
  size_t failures = 0;
  absl::Status last_failure;
};

}  // namespace kvstore
