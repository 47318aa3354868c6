// LrSchedule: the learning rate of each update of a key. The schedules are MXNet's
// (python/mxnet/lr_scheduler.py); docs/optimizers.md has their formulas, operation by operation.
//
// A schedule is a function of the number of the update alone, so that every part of a value has the
// same rate at the same update, on whatever server, and there is no state to keep. MXNet's objects
// change with every call instead, and follow the key that was updated most often.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/model/lr_schedule_config.h"

namespace kvstore {

// Immutable once made. Threading: const methods from any thread.
class LrSchedule {
 public:
  // What all schedules have: from warmup_begin_lr to base_lr before update warmup_steps, or
  // warmup_begin_lr all that time.
  struct Common {
    double base_lr = 0.01;
    uint64_t warmup_steps = 0;
    double warmup_begin_lr = 0;
    bool warmup_constant = false;
  };

  virtual ~LrSchedule() = default;

  // The schedule that `config` names. `learning_rate`: of the optimizer, where it was given one: it
  // is taken for base_lr. Errors: INVALID_ARGUMENT for an unknown name (lists the known ones), an
  // unknown parameter (lists the schedule's), a number out of its range, or numbers that do not go
  // together.
  static absl::StatusOr<std::unique_ptr<LrSchedule>> Make(const LrScheduleConfig& config,
                                                          std::optional<double> learning_rate);

  // The learning rate of update number `update`, from 1 on.
  double At(uint64_t update) const;
  // No update has a higher one.
  double max_lr() const { return max_lr_; }

 protected:
  // `max_lr`: from the end of the warm-up on.
  LrSchedule(const Common& common, double max_lr) : common_(common), max_lr_(max_lr) {}

  const Common& common() const { return common_; }

 private:
  // The rate of an update that is not before the end of the warm-up.
  virtual double After(uint64_t update) const = 0;

  const Common common_;
  const double max_lr_;
};

}  // namespace kvstore
