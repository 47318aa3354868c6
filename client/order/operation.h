// What the DependencyEngine keeps of its operations and Vars. Internal to client/order; guarded by
// the engine's mutex, but for the fields that are said to be fixed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "client/order/dependency_engine.h"

namespace kvstore {

// Whether the access excludes every other one.
constexpr bool Exclusive(Access access) {
  return access == Access::kWrite || access == Access::kOrder;
}

// A failure, shared by all Vars of its operation, and whether it was handed out already.
struct DependencyEngine::Failure {
  KeyedStatus status;
  bool taken = false;
};

// One call of Wait. Lives on the stack of that call; operations point to it until they complete or
// the call gives up.
struct DependencyEngine::Waiter {
  size_t remaining = 0;  // operations that point here
  CondVar done;
};

class Operation {
 public:
  // The operation's place at one Var: in the Var's list of unfinished uses, and in its grants.
  struct Use {
    VarPtr var;
    Access access = Access::kRead;
    bool granted = false;
    Operation* operation = nullptr;
    Use* previous = nullptr;
    Use* next = nullptr;
  };

  // Fixed before the operation is queued.
  DependencyEngine* engine = nullptr;
  std::shared_ptr<OperationOwner> owner;
  int64_t timeout_ms = 0;
  uint64_t generation = 0;  // of the process (fork_guard.h)
  uint64_t id = 0;
  std::string what;
  std::string key;
  std::function<void(const TokenPtr&)> issue;

  // Never resized after Append: Vars point into it. Most have a key, a store, a value, an output.
  absl::InlinedVector<Use, 4> uses;
  size_t ungranted = 0;
  // Keeps the operation while it waits to be granted all: then nobody else holds it. Afterwards its
  // token does.
  OperationPtr self;
  // Who still issues it: its issue function, and whoever called HoldOrder. At 0 it is issued, and
  // its kOrder grants are given back.
  size_t order_holds = 1;
  bool issued = false;
  std::vector<DependencyEngine::Waiter*> waiters;
};

class Var {
 public:
  struct Remembered {
    std::shared_ptr<DependencyEngine::Failure> failure;
    bool by_reader;  // its operation used this Var as kRead
  };

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
  }

  // The list of unfinished uses: granted ones, then those that wait; kTrack, which waits for
  // nothing, anywhere.
  Operation::Use* first = nullptr;
  Operation::Use* last = nullptr;
  // The first use that waits; null: none does. All behind it wait too, but for kTrack.
  Operation::Use* waiting = nullptr;
  size_t sharing = 0;      // uses that are granted and not exclusive
  bool exclusive = false;  // one use is granted, and it is
  std::vector<Remembered> failures;
  absl::Status last_failure;
};

}  // namespace kvstore
