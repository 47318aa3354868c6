// kvctl: the operator's hand.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands/commands.h"
#include "cli/printer.h"
#include "common/config/help_formatter.h"

int main(int argc, char** argv) {
  kvstore::Printer printer(stdout, stderr);
  kvstore::CommandContext context;
  context.printer = &printer;
  // What follows "--" is a program's command line, not ours.
  char** const end = argv + argc;
  char** const dashes = std::find_if(argv, end, [](char* arg) { return std::string(arg) == "--"; });
  if (dashes != end) context.program.assign(dashes + 1, end);

  CLI::App app("Runs and looks at a kvstore cluster.", "kvctl");
  app.formatter(std::make_shared<kvstore::HelpFormatter>());
  app.require_subcommand(1);
  AddRunCommand(app, context);
  AddStatusCommands(app, context);
  AddExplainCommand(app, context);
  AddStatsCommand(app, context);
  AddKeysCommand(app, context);
  AddGetCommand(app, context);
  AddResetCommand(app, context);
  AddDeleteCommand(app, context);
  AddCommandCommand(app, context);
  AddOptimizerCommand(app, context);
  AddProfileCommand(app, context);
  AddDoctorCommand(app, context);
  AddTlsCommand(app, context);
  AddVersionCommand(app, context);
  try {
    app.parse(static_cast<int>(dashes - argv), argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kvstore::kExitOk : kvstore::kExitUsage;
  }
  return context.exit_code;
}
