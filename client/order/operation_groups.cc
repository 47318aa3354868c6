// What is other of operations in groups: how they are queued, and how they end.
#include <algorithm>
#include <utility>

#include "client/base/fork_guard.h"
#include "client/base/no_memory.h"
#include "client/order/dependency_engine.h"
#include "client/order/operation.h"

namespace kvstore {

void OperationToken::Complete(absl::Span<const Ended> ended) noexcept {
  operation_->engine->CompleteMembers(*operation_, ended);
}

void OperationList::AddMember(std::shared_ptr<const OperationSubject> subject,
                              const OperationSpec::Use& key, const OperationSpec::Use& array) {
  Operation& operation = *operations_.at(given_);
  const Operation& leader = *operations_[0];
  operation.timeout_ms = leader.timeout_ms;
  operation.verb = leader.verb;
  operation.subject = std::move(subject);
  for (const OperationSpec::Use* use : {&key, &array}) {
    Operation::Use& made = operation.uses.emplace_back();
    made.var = use->var;
    made.access = use->access;
    made.operation = &operation;
  }
  ++given_;
}

void DependencyEngine::Name(Operation& operation, uint64_t generation, uint64_t id) {
  operation.engine = this;
  operation.generation = generation;
  operation.id = id;
}

DependencyEngine::Ready DependencyEngine::AppendGroup(OperationList operations,
                                                      size_t* taken) noexcept {
  auto& list = operations.operations_;
  const uint64_t generation = ProcessGeneration();
  Ready ready;
  Operation& leader = *list[0];
  size_t count = 1;  // of those that are queued
  MutexLock lock(mutex_);
  const auto can_be_granted = [](const Operation::Use& use) {
    const Var& var = *use.var;
    return var.waiting == nullptr && !var.exclusive && (!Exclusive(use.access) || var.sharing == 0);
  };
  for (; count < operations.given_; ++count) {
    Operation& operation = *list[count];
    if (!std::all_of(operation.uses.begin(), operation.uses.end(), can_be_granted)) break;
    Name(operation, generation, last_id_ + 1);
    operation.leader = &leader;
    for (Operation::Use& use : operation.uses) {
      use.var->Link(&use);
      use.granted = true;
      if (Exclusive(use.access)) {
        use.var->exclusive = true;
      } else {
        ++use.var->sharing;
      }
    }
  }
  *taken = count - 1;
  if (*taken == 0) return ready;
  Name(leader, generation, ++last_id_);
  MakeToken(list[0]);
  for (Operation::Use& use : leader.uses) use.var->Link(&use);
  ready.Add(std::move(list[0]));
  list.resize(count);
  leader.members = std::move(list);
  leader.members.erase(leader.members.begin());
  return ready;
}

void DependencyEngine::CompleteMembers(Operation& leader,
                                       absl::Span<const OperationToken::Ended> ended) noexcept {
  Ready ready;
  bool over = false;
  {
    MutexLock lock(mutex_);
    for (const OperationToken::Ended& each : ended) {
      const absl::Status& status = each.status;
      // Whoever waits reads it on another thread.
      End(leader.members[each.number],
          status.ok() ? status
                      : WordedStatus(status.code(), [&status] { return status.message(); }),
          &ready);
    }
    over = leader.issued;
  }
  Run(std::move(ready));
  if (!over) return;
  for (const OperationToken::Ended& each : ended) leader.members[each.number]->LetVarsGo();
}

}  // namespace kvstore
