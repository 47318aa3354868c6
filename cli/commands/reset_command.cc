// kvctl reset: lets keys of a job begin anew with the values that they have.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cli/ask.h"
#include "cli/ask_servers.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/key_report.h"
#include "cli/printer.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

struct ResetOptions {
  ClusterAsk ask;
  std::vector<std::string> keys;
  bool prefix = false;
  bool dry_run = false;
  std::string output = "table";
};

// Each key is reset once, although two of the names may mean it.
std::vector<std::string> WithoutRepeats(std::vector<std::string> names, bool prefix) {
  std::sort(names.begin(), names.end());
  std::vector<std::string> once;
  for (std::string& name : names) {
    const bool meant =
        !once.empty() &&
        (prefix ? name.compare(0, once.back().size(), once.back()) == 0 : name == once.back());
    if (!meant) once.push_back(std::move(name));
  }
  return once;
}

absl::StatusOr<DeleteAnswers> Tell(const ResetOptions& options) {
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
  const std::vector<std::string> names = WithoutRepeats(options.keys, options.prefix);
  const auto reset_all = [&](Transport& to, const std::string& address,
                             int64_t timeout_ms) -> absl::StatusOr<v1::DeletedKeys> {
    v1::DeletedKeys all;
    v1::DeleteKeysRequest request;
    request.set_prefix(options.prefix);
    request.set_dry_run(options.dry_run);
    for (const std::string& name : names) {
      request.set_name(name);
      const absl::StatusOr<v1::DeletedKeys> answer = AskToReset(to, address, request, timeout_ms);
      if (!answer.ok()) return answer;
      all.MergeFrom(*answer);
    }
    return all;
  };
  return AskServers<v1::DeletedKeys>(*transport, options.ask.scheduler, options.ask.timeout_ms,
                                     reset_all);
}

int Reset(const CommandContext& context, const ResetOptions& options) {
  const auto answers = Tell(options);
  if (!answers.ok()) {
    context.printer->Error(
        fmt::format("nothing is reset: {}", std::string(answers.status().message())));
    return kExitFailed;
  }
  context.printer->Result(options.output == "json" ? ResetAsJson(*answers, options.dry_run)
                                                   : ResetAsTable(*answers, options.dry_run));
  const bool all = std::all_of(answers->begin(), answers->end(),
                               [](const auto& answer) { return answer.second.ok(); });
  return all ? kExitOk : kExitFailed;
}

}  // namespace

void AddResetCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "reset", "let keys begin anew with their values: workers are told, and call Reset");
  auto options = std::make_shared<ResetOptions>();
  AddAskOptions(*command, &options->ask);
  command->add_option("key", options->keys, "the names of the keys, or their numbers")
      ->type_name("KEY")
      ->check([](const std::string& text) {
        return text.empty() ? std::string("a name expected, got none") : std::string();
      })
      ->required();
  command->add_flag("--prefix", options->prefix, "all keys whose names, or numbers, begin so");
  command->add_flag("--dry-run", options->dry_run, "reset nothing, only say what would be");
  AddFormatOption(*command, &options->output);
  command->callback([&context, options] { context.exit_code = Reset(context, *options); });
}

}  // namespace kvstore
