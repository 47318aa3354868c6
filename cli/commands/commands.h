// The commands of kvctl: one function here, one file beside, one line in kvctl_main.cc.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kvstore {

class Printer;

// Exit codes of kvctl's own; `run` hands on the program's.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

struct CommandContext {
  Printer* printer = nullptr;
  std::vector<std::string> program;  // what followed "--" on the command line
  int exit_code = kExitOk;           // set by the command that runs
};

// Each adds a subcommand whose callback does the work. `context` outlives the app.
void AddCommandCommand(CLI::App& app, CommandContext& context);
void AddDeleteCommand(CLI::App& app, CommandContext& context);
void AddDoctorCommand(CLI::App& app, CommandContext& context);
void AddExplainCommand(CLI::App& app, CommandContext& context);
void AddGetCommand(CLI::App& app, CommandContext& context);
void AddKeysCommand(CLI::App& app, CommandContext& context);
void AddOptimizerCommand(CLI::App& app, CommandContext& context);
void AddProfileCommand(CLI::App& app, CommandContext& context);
void AddResetCommand(CLI::App& app, CommandContext& context);
void AddRunCommand(CLI::App& app, CommandContext& context);
void AddStatsCommand(CLI::App& app, CommandContext& context);
void AddStatusCommands(CLI::App& app, CommandContext& context);
void AddTlsCommand(CLI::App& app, CommandContext& context);
void AddVersionCommand(CLI::App& app, CommandContext& context);

}  // namespace kvstore
