// ShardUpdater: what updates the values of a shard: the updater of the optimizer that is set, or
// one that is not ours: of the program that the server lives in, or of a plugin.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rows/state_pages.h"
#include "common/updater/part_updater.h"
#include "server/values/program_updater.h"

namespace kvstore {

// Shard-bound.
struct ShardUpdater {
  PartUpdater built_in;               // starts with "assign"
  ProgramUpdater* program = nullptr;  // outlives the shard
  bool measures_sums = false;         // whether values keep the figures of their last sum

  // While the program has an updater it takes the place of the built-in one.
  bool by_program() const { return program != nullptr && program->is_set(); }
  // What is set aside beside values of `dtype`. A program may set its updater at any time; what
  // was set aside must not change with that, so it has no say unless it keeps state itself.
  StateLayout LayoutFor(DType dtype) const {
    StateLayout own = program != nullptr ? program->LayoutFor(dtype) : StateLayout();
    return own.keeps_state() ? own : built_in.LayoutFor(dtype);
  }
  // What is kept beside values of `dtype` now, for who reads or replaces it. Errors:
  // FAILED_PRECONDITION: the program's updater may remember something, in the program.
  absl::StatusOr<StateInfo> KindFor(DType dtype) const {
    if (!by_program()) return KindOf(built_in.config().name, built_in.LayoutFor(dtype));
    StateLayout own = program->LayoutFor(dtype);
    if (own.keeps_state()) return KindOf(program->label(), std::move(own));
    return absl::FailedPreconditionError("an updater whose state lies in arrays expected, got " +
                                         program->label() +
                                         ", which remembers in its own program what it remembers");
  }
};

}  // namespace kvstore
