// ShardUpdater: what updates the values of a shard: the updater of the optimizer that is set, or
// code of the program that the server lives in.
#pragma once

#include "common/updater/part_updater.h"
#include "server/values/program_updater.h"

namespace kvstore {

// Shard-bound.
struct ShardUpdater {
  PartUpdater built_in;               // starts with "assign"
  ProgramUpdater* program = nullptr;  // outlives the shard

  // While the program has an updater it takes the place of the built-in one.
  bool by_program() const { return program != nullptr && program->is_set(); }
};

}  // namespace kvstore
