// kvctl version

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/commands/commands.h"
#include "cli/printer.h"

namespace kvstore {

void AddVersionCommand(CLI::App& app, CommandContext& context) {
  app.add_subcommand("version", "print the version")->callback([&context] {
    context.printer->Result(fmt::format("kvctl {}\n", KVSTORE_VERSION));
  });
}

}  // namespace kvstore
