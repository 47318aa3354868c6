// kvctl command: a control command for the controllers of the servers' program, as
// SendCommandToServers sends it.

#include "common/model/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>

#include "cli/ask.h"
#include "cli/ask_servers.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/printer.h"
#include "common/base/status_macros.h"
#include "common/base/whole_file.h"
#include "common/model/profiler_order.h"

namespace kvstore {
namespace {

// MXNet's id for orders to the profiler: a body of parameters and, last, the verb as a digit.
constexpr int32_t kSetProfilerParams = 5;

struct CommandOptions {
  ClusterAsk ask;
  int32_t id = 0;
  std::string body;
  std::optional<uint32_t> server;
  std::string output = "table";
};

using Outcomes = std::map<uint32_t, absl::Status>;  // by server

// The bytes that BODY means: "-" is standard input, "@FILE" a file.
absl::StatusOr<std::string> BodyOf(const std::string& text) {
  if (text == "-") {
    std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
    return bytes;
  }
  if (text.empty() || text[0] != '@') return text;
  std::string bytes;
  KVS_RETURN_IF_ERROR(ReadWholeFile(text.substr(1), [&bytes](size_t size) {
    bytes.resize(size);
    return reinterpret_cast<uint8_t*>(bytes.data());
  }));
  return bytes;
}

absl::StatusOr<v1::ProfilerOrderRequest> ProfilerOrderOf(const std::string& body) {
  v1::ProfilerOrderRequest order;
  if (body.empty() || body.back() < '0' || body.back() > '3') {
    return absl::InvalidArgumentError(fmt::format(
        "command {}: MXNet's kSetProfilerParams has the verb, 0 to 3, behind its parameters; got "
        "'{}' (kvctl profile is the command for it)",
        kSetProfilerParams, body));
  }
  order.set_verb(static_cast<uint32_t>(body.back() - '0'));
  order.set_parameters(body.substr(0, body.size() - 1));
  KVS_RETURN_IF_ERROR(CheckProfilerOrder(static_cast<int32_t>(order.verb()), order.parameters()));
  return order;
}

uint64_t RandomNonce() {
  std::random_device random;
  uint64_t nonce = 0;
  while (nonce == 0) nonce = uint64_t{random()} << 32 | random();
  return nonce;
}

absl::StatusOr<Outcomes> Send(const CommandOptions& options) {
  KVS_ASSIGN_OR_RETURN(const std::string body, BodyOf(options.body));
  std::optional<v1::ProfilerOrderRequest> order;
  if (options.id == kSetProfilerParams) {
    KVS_ASSIGN_OR_RETURN(order, ProfilerOrderOf(body));
  } else {
    KVS_RETURN_IF_ERROR(CheckCommand(options.id, body.size()));
  }
  const ClusterAsk& ask = options.ask;
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(ask));
  KVS_ASSIGN_OR_RETURN(ServerAddresses servers,
                       FindServers(*transport, ask.scheduler, ask.timeout_ms));
  if (options.server) {
    const auto one = servers.find(*options.server);
    if (one == servers.end()) {
      return absl::NotFoundError(
          fmt::format("--server: a server that is there expected, there is "
                      "no server {} ({} are there)",
                      *options.server, servers.size()));
    }
    servers = ServerAddresses{*one};
  }
  if (servers.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("scheduler {}: servers expected, it has none", ask.scheduler));
  }
  v1::RunCommandRequest request;
  request.set_id(options.id);
  request.set_body(body);
  request.set_nonce(RandomNonce());
  return AnswersOf<absl::Status>(servers, [&](const std::string& address) {
    return order ? AskToProfile(*transport, address, *order, ask.timeout_ms)
                 : AskToRunCommand(*transport, address, request, ask.timeout_ms);
  });
}

std::string AsTable(const Outcomes& outcomes) {
  Table table({"SERVER", "OUTCOME"});
  for (const auto& [rank, outcome] : outcomes) {
    table.AddRow({fmt::format("server {}", rank), outcome.ok() ? "done" : outcome.ToString()});
  }
  return table.ToString();
}

std::string AsJson(const Outcomes& outcomes) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const auto& [rank, outcome] : outcomes) {
    json.push_back({{"server", rank},
                    {"code", absl::StatusCodeToString(outcome.code())},
                    {"message", std::string(outcome.message())}});
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int SendCommand(const CommandContext& context, const CommandOptions& options) {
  const absl::StatusOr<Outcomes> outcomes = Send(options);
  if (!outcomes.ok()) {
    context.printer->Error(std::string(outcomes.status().message()));
    return absl::IsInvalidArgument(outcomes.status()) ? kExitUsage : kExitFailed;
  }
  context.printer->Result(options.output == "json" ? AsJson(*outcomes) : AsTable(*outcomes));
  const bool all = std::all_of(outcomes->begin(), outcomes->end(),
                               [](const auto& outcome) { return outcome.second.ok(); });
  return all ? kExitOk : kExitFailed;
}

}  // namespace

void AddCommandCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "command", "sends a command to the controller of every server's program, each once");
  auto options = std::make_shared<CommandOptions>();
  options->ask.timeout_ms = 60000;
  AddAskOptions(*command, &options->ask);
  command
      ->add_option("head", options->id,
                   "its id: 0, or from 6 on; 5 is MXNet's for orders to the profiler")
      ->type_name("HEAD")
      ->required();
  command->add_option("body", options->body, "what it brings: text, @FILE, or - for standard input")
      ->type_name("BODY");
  command->add_option("--server", options->server, "only to the server of this rank")
      ->type_name("R");
  AddFormatOption(*command, &options->output);
  command->callback([&context, options] { context.exit_code = SendCommand(context, *options); });
}

}  // namespace kvstore
