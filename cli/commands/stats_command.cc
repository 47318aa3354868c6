// kvctl stats: the keys of a job, how often they were pushed to, and how large their numbers are.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/ask.h"
#include "cli/ask_servers.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/key_report.h"
#include "cli/printer.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

struct StatsOptions {
  ClusterAsk ask;
  std::string key;
  std::string output = "table";
};

absl::StatusOr<KeyAnswers> Gather(const StatsOptions& options) {
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
  v1::KeyStatsRequest request;
  request.set_prefix(options.key);
  return AskServers<v1::ServerKeyStats>(
      *transport, options.ask.scheduler, options.ask.timeout_ms,
      [&](Transport& to, const std::string& address, int64_t timeout_ms) {
        return AskKeyStats(to, address, request, timeout_ms);
      });
}

int ShowStats(const CommandContext& context, const StatsOptions& options) {
  const auto answers = Gather(options);
  if (!answers.ok()) {
    context.printer->Error(fmt::format("no stats: {}", std::string(answers.status().message())));
    return kExitFailed;
  }
  context.printer->Result(options.output == "json" ? KeysAsJson(*answers) : KeysAsTable(*answers));
  return kExitOk;
}

}  // namespace

void AddStatsCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "stats", "keys: pushes, failed updates, norm and largest magnitude of values and sums");
  auto options = std::make_shared<StatsOptions>();
  AddAskOptions(*command, &options->ask);
  command->add_option("--key", options->key, "only keys whose name, or number, begins so")
      ->type_name("PREFIX");
  AddFormatOption(*command, &options->output);
  command->callback([&context, options] { context.exit_code = ShowStats(context, *options); });
}

}  // namespace kvstore
