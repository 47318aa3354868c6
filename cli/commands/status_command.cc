// kvctl status: the cluster as its scheduler and servers see it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/ask.h"
#include "cli/ask_servers.h"
#include "cli/cluster_report.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/printer.h"
#include "common/base/status_macros.h"
#include "common/transport/factory/make_transport.h"
#include "common/transport/host_port.h"

namespace kvstore {
namespace {

struct StatusOptions {
  std::string scheduler;
  std::string output = "table";
  int64_t timeout_ms = 3000;
};

absl::StatusOr<ClusterReport> Gather(const StatusOptions& options) {
  KVS_RETURN_IF_ERROR(ParseHostPort(options.scheduler).status());
  const std::unique_ptr<Transport> transport = MakeTransport();
  ClusterReport report;
  auto cluster = AskScheduler(*transport, options.scheduler, options.timeout_ms);
  if (!cluster.ok()) {
    // The message names the address.
    return absl::Status(
        cluster.status().code(),
        fmt::format("no status from the scheduler: {}", std::string(cluster.status().message())));
  }
  report.cluster = *std::move(cluster);
  report.servers = AnswersOf<absl::StatusOr<v1::ServerStatus>>(
      ServersOf(report.cluster), [&](const std::string& address) {
        return AskServer(*transport, address, options.timeout_ms);
      });
  return report;
}

int ShowStatus(const CommandContext& context, const StatusOptions& options) {
  const auto report = Gather(options);
  if (!report.ok()) {
    context.printer->Error(std::string(report.status().message()));
    return kExitFailed;
  }
  context.printer->Result(options.output == "json" ? ReportAsJson(*report)
                                                   : ReportAsTable(*report));
  return kExitOk;
}

}  // namespace

void AddStatusCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command =
      app.add_subcommand("status", "nodes, ranks, slots, epoch, open rounds and who is waited for");
  auto options = std::make_shared<StatusOptions>();
  AddAskOptions(*command, &options->scheduler, &options->timeout_ms);
  AddFormatOption(*command, &options->output);
  command->callback([&context, options] { context.exit_code = ShowStatus(context, *options); });
}

}  // namespace kvstore
