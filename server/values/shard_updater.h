// ShardUpdater: what updates the values of a shard: a rule of ours, or code of the program that the
// server lives in.
#pragma once

#include "common/updater/part_updater.h"
#include "server/values/program_updater.h"

namespace kvstore {

// Shard-bound.
struct ShardUpdater {
  PartUpdater rule;                   // starts with "assign"
  ProgramUpdater* program = nullptr;  // outlives the shard

  // While the program has an updater it takes the place of the rule.
  bool by_program() const { return program != nullptr && program->is_set(); }
};

}  // namespace kvstore
