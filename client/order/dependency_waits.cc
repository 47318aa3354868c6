// The waits of DependencyEngine: for operations on some Vars, for some time; and, when the time is
// over, what the operations that are left wait for.
#include <algorithm>
#include <new>
#include <unordered_set>
#include <utility>

#include "client/base/fork_guard.h"
#include "client/base/no_memory.h"
#include "client/order/dependency_engine.h"
#include "client/order/operation.h"
#include "common/base/check.h"

namespace kvstore {
namespace {

// How often a wait looks that has no memory to be woken.
constexpr std::chrono::milliseconds kLookInterval{10};

}  // namespace

bool DependencyEngine::Register(Waiter* waiter) {
  waiter->timeout_ms = 0;
  for (size_t i = 0; i < waiter->count; ++i) {
    for (Operation::Use* use = waiter->vars[i]->first; use != nullptr; use = use->next) {
      if (waiter->what == WaitFor::kWriters && use->access == Access::kRead) continue;
      Operation& operation = *use->operation;
      // An operation on several of the Vars counts once.
      if (!operation.waiters.empty() && operation.waiters.back() == waiter) continue;
      try {
        operation.waiters.push_back(waiter);
      } catch (const std::bad_alloc&) {
        Unregister(waiter);
        return false;
      }
      ++waiter->remaining;
      waiter->timeout_ms = std::max(waiter->timeout_ms, operation.timeout_ms);
    }
  }
  return true;
}

void DependencyEngine::Unregister(Waiter* waiter) {
  for (size_t i = 0; i < waiter->count; ++i) {
    for (Operation::Use* use = waiter->vars[i]->first; use != nullptr; use = use->next) {
      auto& waiters = use->operation->waiters;
      const auto it = std::find(waiters.begin(), waiters.end(), waiter);
      if (it == waiters.end()) continue;
      waiters.erase(it);
      --waiter->remaining;
    }
  }
  KVS_CHECK(waiter->remaining == 0);
}

std::vector<Operation*> DependencyEngine::Waited(const Waiter& waiter) {
  std::unordered_set<Operation*> seen;
  std::vector<Operation*> operations;
  for (size_t i = 0; i < waiter.count; ++i) {
    for (Operation::Use* use = waiter.vars[i]->first; use != nullptr; use = use->next) {
      const auto& waiters = use->operation->waiters;
      if (std::find(waiters.begin(), waiters.end(), &waiter) == waiters.end()) continue;
      if (seen.insert(use->operation).second) operations.push_back(use->operation);
    }
  }
  return operations;
}

bool DependencyEngine::AwaitAll(Waiter* waiter, std::chrono::steady_clock::time_point begin,
                                int64_t timeout_ms) {
  while (!Register(waiter)) {
    waiter->done.WaitUntil(mutex_, std::chrono::steady_clock::now() + kLookInterval);
  }
  const auto deadline =
      begin + std::chrono::milliseconds(timeout_ms < 0 ? waiter->timeout_ms : timeout_ms);
  bool in_time = true;
  while (waiter->remaining > 0 && in_time) in_time = waiter->done.WaitUntil(mutex_, deadline);
  return waiter->remaining == 0;
}

bool DependencyEngine::WaitAtMost(const VarPtr& var, int64_t timeout_ms) {
  Waiter waiter;
  waiter.vars = &var;
  waiter.count = 1;
  MutexLock lock(mutex_);
  const bool complete = AwaitAll(&waiter, std::chrono::steady_clock::now(), timeout_ms);
  Unregister(&waiter);
  return complete;
}

absl::Status DependencyEngine::Wait(const std::vector<VarPtr>& vars, WaitFor what) {
  const uint64_t generation = ProcessGeneration();
  Waiter waiter;
  waiter.vars = vars.data();
  waiter.count = vars.size();
  waiter.what = what;
  while (true) {
    const auto begin = std::chrono::steady_clock::now();
    {
      MutexLock lock(mutex_);
      for (const VarPtr& var : vars) {
        // Operations of a parent never complete in its forked child.
        if (var->first != nullptr && var->first->operation->generation != generation) {
          const Operation& operation = *var->first->operation;
          return CheckSameProcess(operation.generation, operation.What().c_str());
        }
      }
      if (AwaitAll(&waiter, begin, /*timeout_ms=*/-1)) return absl::OkStatus();
    }
    const int64_t waited_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::steady_clock::now() - begin)
                                  .count();
    absl::Status status = Explain(&waiter, waited_ms);
    // OK means that all have completed, or gone on, between the deadline and the question: wait
    // again.
    if (!status.ok()) return status;
  }
}

// Why a wait is late: the operations that are issued and not complete, among `operations` and among
// all that these wait for, directly or through others. Only their stores know more.
//
// With the example of the header: a Wait for B is late, before 1 has completed. On B is 3, which is
// not issued: K was not granted to it. Before 3 in K's list stand 2 and 1. 2 is not issued either:
// it waits for A, and before it in A's list stands 1. 1 is issued, so 1 it is: "Pull of key 7".
std::vector<Operation*> DependencyEngine::Blockers(std::vector<Operation*> operations) {
  std::unordered_set<Operation*> seen(operations.begin(), operations.end());
  std::vector<Operation*> issued;
  for (size_t i = 0; i < operations.size(); ++i) {
    Operation* operation = operations[i];
    if (operation->issued) issued.push_back(operation);
    for (Operation::Use& use : operation->uses) {
      if (operation->issued || use.granted || use.access == Access::kTrack) continue;
      for (Operation::Use* before = use.previous; before != nullptr; before = before->previous) {
        Operation* const other = before->operation;
        if (seen.insert(other).second) {
          operations.push_back(other);
        } else if (!other->issued && !before->granted && before->access != Access::kTrack) {
          // It was met before, and waits here too: when its turn comes in the loop outside, it
          // looks at everything before itself. So each place in a long queue is looked at once.
          break;
        }
      }
    }
  }
  return issued;
}

absl::Status DependencyEngine::Explain(Waiter* waiter, int64_t waited_ms) {
  std::shared_ptr<OperationOwner> owner;
  std::vector<OverdueOperation> overdue;
  {
    MutexLock lock(mutex_);
    std::vector<Operation*> blockers;
    try {
      const std::vector<Operation*> operations = Waited(*waiter);
      blockers = Blockers(operations);
      // There is always one that is issued, but for the moment between a grant and the call of the
      // issue function.
      if (blockers.empty()) blockers = operations;
      // Only one store can explain; if operations of others are late, too, the next Wait asks
      // theirs.
      if (!blockers.empty()) owner = blockers.front()->OwnerOf();
      for (const Operation* operation : blockers) {
        if (operation->OwnerOf() != owner) continue;
        overdue.push_back({operation->id, operation->What(), operation->issued});
      }
    } catch (const std::bad_alloc&) {
      Unregister(waiter);
      return WordlessStatus(absl::StatusCode::kDeadlineExceeded);
    }
    Unregister(waiter);
  }
  return owner == nullptr ? absl::OkStatus() : owner->Overdue(overdue, waited_ms);
}

}  // namespace kvstore
