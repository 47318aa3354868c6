// kvctl delete: ends keys of a job, whatever its workers do with them.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
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

struct DeleteOptions {
  ClusterAsk ask;
  std::string key;
  bool prefix = false;
  bool dry_run = false;
  std::string output = "table";
};

absl::StatusOr<DeleteAnswers> Tell(const DeleteOptions& options) {
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
  v1::DeleteKeysRequest request;
  request.set_name(options.key);
  request.set_prefix(options.prefix);
  request.set_dry_run(options.dry_run);
  return AskServers<v1::DeletedKeys>(
      *transport, options.ask.scheduler, options.ask.timeout_ms,
      [&](Transport& to, const std::string& address, int64_t timeout_ms) {
        return AskToDelete(to, address, request, timeout_ms);
      });
}

int Delete(const CommandContext& context, const DeleteOptions& options) {
  const auto answers = Tell(options);
  if (!answers.ok()) {
    context.printer->Error(
        fmt::format("nothing is deleted: {}", std::string(answers.status().message())));
    return kExitFailed;
  }
  context.printer->Result(options.output == "json" ? DeletedAsJson(*answers, options.dry_run)
                                                   : DeletedAsTable(*answers, options.dry_run));
  const bool all = std::all_of(answers->begin(), answers->end(),
                               [](const auto& answer) { return answer.second.ok(); });
  return all ? kExitOk : kExitFailed;
}

}  // namespace

void AddDeleteCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "delete", "end keys: workers that push or pull them are told that they were deleted");
  auto options = std::make_shared<DeleteOptions>();
  AddAskOptions(*command, &options->ask);
  command->add_option("key", options->key, "the name of the key, or its number")
      ->type_name("KEY")
      ->check([](const std::string& text) {
        return text.empty() ? std::string("a name expected, got none") : std::string();
      })
      ->required();
  command->add_flag("--prefix", options->prefix, "all keys whose name, or number, begins so");
  command->add_flag("--dry-run", options->dry_run, "delete nothing, only say what would be");
  AddFormatOption(*command, &options->output);
  command->callback([&context, options] { context.exit_code = Delete(context, *options); });
}

}  // namespace kvstore
