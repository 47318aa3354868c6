#include "tests/simulation/commands.h"

#include <fmt/format.h>

namespace kvstore::sim {
namespace {

constexpr int32_t kCommandId = 6;

}  // namespace

void AddCommands(const Params& params, Programs* programs) {
  if (!params.commands) return;
  Rng rng(Mix64(params.seed));
  for (Program& program : programs->ranks) {
    std::vector<Action>& actions = program.actions;
    for (int64_t more = rng.Between(0, 4); more > 0; --more) {
      // The last action is to leave.
      const auto at = static_cast<ptrdiff_t>(rng.Below(actions.size()));
      actions.insert(actions.begin() + at, {Action::Kind::kCommand, {}, 0});
    }
  }
}

Command Commands::Make(JobId job, WorkerRank rank, size_t action) {
  return {kCommandId, fmt::format("{}/{}/{}", job, rank, action)};
}

absl::Status Commands::Outcome(ServerRank server, const Command& command) {
  if (Mix64(HashBytes(command.body) + server) % 6 != 0) return absl::OkStatus();
  return absl::UnknownError("the controller refuses " + command.body);
}

void Commands::Handed(ServerRank server, const Command& command) {
  if (++runs_[{command.body, server}] == 1) return;
  world_.Fail(fmt::format("I6: server {} runs command {} again", server, command.body));
}

void Commands::CheckTold(const Command& command, const absl::Status& status) const {
  const auto fail = [&](const std::string& what) {
    world_.Fail(fmt::format("command {}: {}", command.body, what));
  };
  bool any_failed = false;
  for (ServerRank server = 0; server < world_.params().servers; ++server) {
    const auto run = runs_.find({command.body, server});
    if (run == runs_.end()) fail(fmt::format("is over, but server {} did not run it", server));
    const bool failed = !Outcome(server, command).ok();
    const bool named =
        std::string(status.message()).find(fmt::format("server {} ", server)) != std::string::npos;
    if (failed != named) {
      fail(fmt::format("server {} {}, its worker was told {}", server, failed ? "failed" : "ran it",
                       status.ToString()));
    }
    any_failed |= failed;
  }
  if (any_failed == status.ok()) fail("its worker was told " + status.ToString());
}

}  // namespace kvstore::sim
