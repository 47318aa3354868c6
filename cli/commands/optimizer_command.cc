// kvctl optimizer: which optimizer the servers run, and a change of its numbers from a step on.
//
// A change holds first: when all servers hold what is of that step or later it is set on all of
// them, and when one refuses none has it (server/core/server_core_numbers.cc). Whoever ends kvctl
// between leaves servers that hold; the same command again, or `drop`, ends that.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "cli/ask.h"
#include "cli/ask_servers.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/optimizer_report.h"
#include "cli/printer.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

struct OptimizerOptions {
  ClusterAsk ask;
  std::string output = "table";
  std::vector<std::string> numbers;  // NAME=VALUE
  uint64_t from_step = 0;
};

bool AllOk(const OptimizerAnswers& answers) {
  return std::all_of(answers.begin(), answers.end(),
                     [](const auto& answer) { return answer.second.ok(); });
}

absl::StatusOr<std::map<std::string, double>> NumbersOf(const std::vector<std::string>& texts) {
  std::map<std::string, double> numbers;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    double number = 0;
    if (equals == std::string::npos || equals == 0 ||
        !absl::SimpleAtod(text.substr(equals + 1), &number)) {
      return absl::InvalidArgumentError(
          fmt::format("NAME=VALUE with a number expected, got '{}'", text));
    }
    if (!numbers.emplace(text.substr(0, equals), number).second) {
      return absl::InvalidArgumentError(
          fmt::format("each number once expected, '{}' comes twice", text.substr(0, equals)));
    }
  }
  return numbers;
}

// The servers of a cluster, and what they are told.
class Servers {
 public:
  explicit Servers(const OptimizerOptions& options) : options_(options) {}

  // Errors: those of TransportFor, and of asking the scheduler.
  absl::StatusOr<OptimizerAnswers> Tell(v1::NumbersVerb verb, v1::NumbersOrderRequest order) {
    order.set_verb(verb);
    if (transport_ == nullptr) {
      KVS_ASSIGN_OR_RETURN(transport_, TransportFor(options_.ask));
    }
    return AskServers<v1::NumbersReport>(
        *transport_, options_.ask.scheduler, options_.ask.timeout_ms,
        [&](Transport& to, const std::string& address, int64_t timeout_ms) {
          return AskOfNumbers(to, address, order, timeout_ms);
        });
  }

  // The optimizers, which are the same on all servers. Errors: FAILED_PRECONDITION they are not.
  absl::StatusOr<OptimizerAnswers> Show() {
    KVS_ASSIGN_OR_RETURN(OptimizerAnswers answers, Tell(v1::NUMBERS_VERB_SHOW, {}));
    if (answers.empty()) return absl::FailedPreconditionError("servers expected, there are none");
    if (!AllOk(answers)) return absl::UnavailableError(RefusalsOf(answers));
    return answers;
  }

 private:
  const OptimizerOptions& options_;
  std::unique_ptr<Transport> transport_;
};

// Whether `change` is among the changes of the report.
bool Has(const v1::NumbersReport& report, const v1::NumbersReport::Change& change) {
  return std::any_of(report.changes().begin(), report.changes().end(), [&](const auto& known) {
    return known.from_step() == change.from_step() &&
           std::all_of(change.numbers().begin(), change.numbers().end(), [&](const auto& number) {
             const auto at = known.numbers().find(number.first);
             return at != known.numbers().end() && at->second == number.second;
           });
  });
}

absl::Status Set(const OptimizerOptions& options) {
  KVS_ASSIGN_OR_RETURN(const auto numbers, NumbersOf(options.numbers));
  Servers servers(options);
  KVS_ASSIGN_OR_RETURN(const OptimizerAnswers before, servers.Show());
  v1::NumbersOrderRequest order;
  order.set_optimizer(before.begin()->second->optimizer());
  order.set_from_step(options.from_step);
  for (const auto& [name, number] : numbers) (*order.mutable_numbers())[name] = number;
  KVS_ASSIGN_OR_RETURN(const OptimizerAnswers held, servers.Tell(v1::NUMBERS_VERB_HOLD, order));
  std::string why = RefusalsOf(held);
  // The program may have set another optimizer while some held already.
  const bool one = std::all_of(held.begin(), held.end(), [&](const auto& answer) {
    return !answer.second.ok() || answer.second->times_set() == before.begin()->second->times_set();
  });
  if (why.empty() && !one) why = "the job's program has set an optimizer meanwhile";
  if (!why.empty()) {
    const auto dropped = servers.Tell(v1::NUMBERS_VERB_DROP, order);
    const bool all = dropped.ok() && AllOk(*dropped);
    return absl::FailedPreconditionError(
        fmt::format("nothing is changed: {}{}", why,
                    all ? "" : "\nsome servers may still hold: kvctl optimizer drop ends that"));
  }
  KVS_ASSIGN_OR_RETURN(const OptimizerAnswers set, servers.Tell(v1::NUMBERS_VERB_SET, order));
  if (AllOk(set)) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("not all servers have it, and some may hold: run the same command again: {}",
                  RefusalsOf(set)));
}

absl::Status Drop(const OptimizerOptions& options) {
  Servers servers(options);
  KVS_ASSIGN_OR_RETURN(const OptimizerAnswers now, servers.Show());
  for (const auto& [rank, answer] : now) {
    if (!answer->has_held()) continue;
    for (const auto& [other, report] : now) {
      if (!Has(*report, answer->held())) continue;
      return absl::FailedPreconditionError(fmt::format(
          "server {} holds at step {} what server {} has already set: run kvctl optimizer set "
          "again, with the same numbers",
          rank, answer->held().from_step(), other));
    }
  }
  for (const auto& [rank, answer] : now) {
    if (!answer->has_held()) continue;
    v1::NumbersOrderRequest order;
    order.set_from_step(answer->held().from_step());
    KVS_ASSIGN_OR_RETURN(const OptimizerAnswers dropped,
                         servers.Tell(v1::NUMBERS_VERB_DROP, order));
    if (!AllOk(dropped)) return absl::UnavailableError(RefusalsOf(dropped));
  }
  return absl::OkStatus();
}

int Show(const CommandContext& context, const OptimizerOptions& options) {
  const auto answers = Servers(options).Tell(v1::NUMBERS_VERB_SHOW, {});
  if (!answers.ok()) {
    context.printer->Error(std::string(answers.status().message()));
    return kExitFailed;
  }
  context.printer->Result(options.output == "json" ? OptimizersAsJson(*answers)
                                                   : OptimizersAsTable(*answers));
  return AllOk(*answers) && DifferencesOf(*answers).empty() ? kExitOk : kExitFailed;
}

int ExitCodeOf(const CommandContext& context, const absl::Status& status) {
  if (status.ok()) return kExitOk;
  context.printer->Error(std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

}  // namespace

void AddOptimizerCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "optimizer", "shows the servers' optimizer, and changes its numbers from a step on");
  command->require_subcommand(1);
  auto options = std::make_shared<OptimizerOptions>();
  const auto add = [&](const char* name, const char* what) {
    CLI::App* verb = command->add_subcommand(name, what);
    AddAskOptions(*verb, &options->ask);
    return verb;
  };
  CLI::App* show = add("show", "the optimizer of each server, and the changes of its numbers");
  AddFormatOption(*show, &options->output);
  show->callback([&context, options] { context.exit_code = Show(context, *options); });
  CLI::App* set = add("set", "changes numbers in all updates of a step and later");
  set->add_option("numbers", options->numbers, "such as learning_rate=0.01")
      ->type_name("NAME=VALUE")
      ->required();
  set->add_option("--from-step", options->from_step, "the first step that has them")
      ->type_name("STEP")
      ->check(CLI::PositiveNumber)
      ->required();
  set->callback([&context, options] { context.exit_code = ExitCodeOf(context, Set(*options)); });
  CLI::App* drop = add("drop", "has servers go on that hold for a change which was not set");
  drop->callback([&context, options] { context.exit_code = ExitCodeOf(context, Drop(*options)); });
}

}  // namespace kvstore
