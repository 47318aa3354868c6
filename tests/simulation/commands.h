// Commands: what the simulated workers send to the servers, and what must become of it: every
// server runs a command exactly once before its worker is told, and those that failed are named.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "tests/simulation/program.h"
#include "tests/simulation/world.h"

namespace kvstore::sim {

// Puts commands between the actions of some ranks. Drawn apart from the programs, which stay what
// they were.
void AddCommands(const Params& params, Programs* programs);

class Commands {
 public:
  explicit Commands(World& world) : world_(world) {}

  void BeginJob() { runs_.clear(); }

  // Of the n-th action of a rank.
  static Command Make(JobId job, WorkerRank rank, size_t action);
  // What a controller says to it.
  static absl::Status Outcome(ServerRank server, const Command& command);
  // A server's core has handed it out.
  void Handed(ServerRank server, const Command& command);
  // Its worker was told so.
  void CheckTold(const Command& command, const absl::Status& status) const;

 private:
  World& world_;
  std::map<std::pair<std::string, ServerRank>, int> runs_;
};

}  // namespace kvstore::sim
