// kvctl keys: which keys a job has.

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

struct KeysOptions {
  ClusterAsk ask;
  std::string prefix;
  std::string output = "table";
};

absl::StatusOr<KeyAnswers> Gather(const KeysOptions& options) {
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
  v1::KeyStatsRequest request;
  request.set_prefix(options.prefix);
  request.set_without_figures(true);
  return AskServers<v1::ServerKeyStats>(
      *transport, options.ask.scheduler, options.ask.timeout_ms,
      [&](Transport& to, const std::string& address, int64_t timeout_ms) {
        return AskKeyStats(to, address, request, timeout_ms);
      });
}

int ShowKeys(const CommandContext& context, const KeysOptions& options) {
  const auto answers = Gather(options);
  if (!answers.ok()) {
    context.printer->Error(fmt::format("no keys: {}", std::string(answers.status().message())));
    return kExitFailed;
  }
  const bool json = options.output == "json";
  context.printer->Result(json ? KeyListAsJson(*answers) : KeyListAsTable(*answers));
  return kExitOk;
}

}  // namespace

void AddKeysCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("keys", "which keys there are: dtype, shape, version");
  auto options = std::make_shared<KeysOptions>();
  AddAskOptions(*command, &options->ask);
  command->add_option("prefix", options->prefix, "only keys whose name, or number, begins so")
      ->type_name("PREFIX");
  AddFormatOption(*command, &options->output);
  command->callback([&context, options] { context.exit_code = ShowKeys(context, *options); });
}

}  // namespace kvstore
