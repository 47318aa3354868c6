// kvctl status: the cluster as its scheduler and servers see it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/ask.h"
#include "cli/cluster_report.h"
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
  for (const v1::NodeStatus& node : report.cluster.nodes()) {
    if (node.role() != v1::ROLE_SERVER || node.health() == v1::HEALTH_LEFT ||
        node.health() == v1::HEALTH_DEAD) {
      continue;
    }
    report.servers.emplace(node.rank(), AskServer(*transport, node.address(), options.timeout_ms));
  }
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
  command->add_option("--scheduler", options->scheduler, "where the scheduler listens")
      ->type_name("HOST:PORT")
      ->envname("KVSTORE_SCHEDULER")
      ->required();
  command->add_option("--output", options->output, "how to print it")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->add_option("--timeout-ms", options->timeout_ms, "how long to try to get each answer")
      ->type_name("MS")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([&context, options] { context.exit_code = ShowStatus(context, *options); });
}

}  // namespace kvstore
