// The optimizer of a store, and the numbers of it that change at a step.
#include <fmt/format.h>

#include <utility>

#include "client/api/optimizer_numbers.h"
#include "client/api/optimizer_spec.h"
#include "client/api/store_facade.h"

namespace kvstore {

absl::Status StoreFacade::SetOptimizerOf(const OptimizerSpec& spec) {
  if (absl::Status may = MayBlock(); !may.ok()) return may;
  MutexLock setting(setting_);
  const auto config = [&] {
    MutexLock lock(mutex_);
    return OptimizerConfigOf(spec, keys_);
  }();
  if (!config.ok()) return config.status();
  PartUpdater next;
  if (absl::Status valid = next.Set(*config); !valid.ok()) return valid;
  Mutex* const room = backend_->room();
  const absl::Status set = [&] {
    if (room == nullptr) return backend_->SetOptimizer(*config);
    MutexLock lock(*room);
    return backend_->SetOptimizer(*config);
  }();
  if (set.ok()) {
    optimizer_ = std::move(next);
  } else if (absl::IsDeadlineExceeded(set)) {
    optimizer_.reset();  // some servers may have it
  }
  return set;
}

absl::Status StoreFacade::ChangeNumbers(
    const std::vector<std::pair<std::string, std::string>>& numbers, int64_t from_step) {
  if (absl::Status may = MayBlock(); !may.ok()) return may;
  const auto change = NumbersChangeOf(numbers, from_step);
  if (!change.ok()) return change.status();
  MutexLock setting(setting_);
  const bool counts = backend_->rank() == 0;
  if (!optimizer_.has_value()) {
    // The others need not know which one rank 0 has set.
    if (!counts) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "SetOptimizerNumbers: an optimizer that SetOptimizer has set expected, there is none");
  }
  PartUpdater next = *optimizer_;
  if (absl::Status valid = next.Change(*change); !valid.ok()) return valid;
  absl::Status changed;
  if (counts) {
    const Changing changing(this, change->from_step);
    if (!changing.status().ok()) return changing.status();
    changed = backend_->ChangeNumbers(next.config().name, *change);
  }
  if (changed.ok()) {
    optimizer_ = std::move(next);
  } else {
    optimizer_.reset();  // some servers may have changed them: SetOptimizer makes all alike again
  }
  return changed;
}

StoreFacade::Changing::Changing(StoreFacade* store, uint64_t from_step) : store_(*store) {
  MutexLock lock(store_.mutex_);
  if (from_step <= store_.step_) {
    status_ = absl::InvalidArgumentError(
        fmt::format("SetOptimizerNumbers: a from_step above {}, the step that this worker is at, "
                    "expected, got {}",
                    store_.step_, from_step));
    return;
  }
  store_.changing_from_ = from_step;
}

StoreFacade::Changing::~Changing() {
  if (!status_.ok()) return;
  MutexLock lock(store_.mutex_);
  store_.changing_from_.reset();
  store_.changed_.NotifyAll();
}

void StoreFacade::AwaitNumbers(OperationKind kind) {
  if (kind != OperationKind::kPush && kind != OperationKind::kPushPull) return;
  // A push may begin the next step itself.
  while (changing_from_.has_value() && step_ + (steps_by_program_ ? 0 : 1) >= *changing_from_) {
    changed_.Wait(mutex_);
  }
}

uint64_t StoreFacade::StepOf(const Call& call) const {
  if (steps_by_program_) return step_;
  for (const Call::Group& group : call.groups()) {
    if (group.pushes() && group.state->pushed_in == step_) return step_ + 1;
  }
  return step_;
}

void StoreFacade::CountStep() {
  MutexLock lock(mutex_);
  steps_by_program_ = true;
  ++step_;
}

}  // namespace kvstore
