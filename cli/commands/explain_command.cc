// kvctl explain: why a key or a worker waits.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cli/ask_servers.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/explain.h"
#include "cli/printer.h"
#include "cli/read_key.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

struct ExplainOptions {
  ClusterAsk ask;
  std::string key;
  std::optional<uint32_t> worker;
  std::string output = "table";
};

absl::StatusOr<Explanation> Explain(const ExplainOptions& options) {
  KVS_ASSIGN_OR_RETURN(const ClusterReport report, AskCluster(options.ask));
  if (options.worker) return ExplainWorker(report, *options.worker);
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
  KVS_RETURN_IF_ERROR(FindKey(*transport, options.ask, options.key).status());
  return ExplainKey(report, options.key);
}

int ShowExplanation(const CommandContext& context, const ExplainOptions& options) {
  if (options.key.empty() == !options.worker.has_value()) {
    context.printer->Error("either KEY or --worker R expected");
    return kExitUsage;
  }
  const auto explanation = Explain(options);
  if (!explanation.ok()) {
    context.printer->Error(std::string(explanation.status().message()));
    return kExitFailed;
  }
  context.printer->Result(options.output == "json" ? ExplanationAsJson(*explanation)
                                                   : ExplanationAsText(*explanation));
  return kExitOk;
}

}  // namespace

void AddExplainCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("explain", "why a key or a worker waits, and for whom");
  auto options = std::make_shared<ExplainOptions>();
  AddAskOptions(*command, &options->ask);
  command->add_option("key", options->key, "the name of the key, or its number")->type_name("KEY");
  command->add_option("--worker", options->worker, "the rank of a worker, in the place of a key")
      ->type_name("R");
  AddFormatOption(*command, &options->output);
  command->callback(
      [&context, options] { context.exit_code = ShowExplanation(context, *options); });
}

}  // namespace kvstore
