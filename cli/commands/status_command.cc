// kvctl status, nodes, rounds, barrier: the cluster as its scheduler and servers see it, or a part.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/ask_servers.h"
#include "cli/cluster_report.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/printer.h"

namespace kvstore {
namespace {

struct ViewOptions {
  ClusterAsk ask;
  std::string output = "table";
};

using View = std::string (*)(const ClusterReport& report);

int Show(const CommandContext& context, const ViewOptions& options, View table, View json) {
  const auto report = AskCluster(options.ask);
  if (!report.ok()) {
    context.printer->Error(std::string(report.status().message()));
    return kExitFailed;
  }
  context.printer->Result(options.output == "json" ? json(*report) : table(*report));
  return kExitOk;
}

void AddView(CLI::App& app, CommandContext& context, const char* name, const char* what, View table,
             View json) {
  CLI::App* command = app.add_subcommand(name, what);
  auto options = std::make_shared<ViewOptions>();
  AddAskOptions(*command, &options->ask);
  AddFormatOption(*command, &options->output);
  command->callback([&context, options, table, json] {
    context.exit_code = Show(context, *options, table, json);
  });
}

}  // namespace

void AddStatusCommands(CLI::App& app, CommandContext& context) {
  AddView(app, context, "status", "nodes, ranks, slots, epoch, open rounds and who is waited for",
          &ReportAsTable, &ReportAsJson);
  AddView(app, context, "nodes", "the nodes alone", &NodesAsTable, &NodesAsJson);
  AddView(app, context, "rounds", "rounds that are open: since when, and who is missing",
          &RoundsAsTable, &RoundsAsJson);
  AddView(app, context, "barrier", "barriers that are open: since when, who is in, who is missing",
          &BarriersAsTable, &BarriersAsJson);
}

}  // namespace kvstore
