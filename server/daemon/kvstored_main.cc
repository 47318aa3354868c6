// kvstored: options, server node, and the wait for its end.
#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "common/base/allocator.h"
#include "common/transport/factory/make_transport.h"
#include "server/daemon/daemon.h"
#include "server/daemon/node_options.h"
#include "server/plugin/updater_plugin.h"

namespace kvstore {
namespace {

int Main(const std::vector<std::string>& arguments) {
  const auto parsed = ParseServerOptions(arguments, ProcessVariables(), std::cout, std::cerr);
  if (!parsed.options) return parsed.exit_code;
  const ServerDaemonOptions& options = *parsed.options;
  const auto tls = OpenTls(options);
  if (!tls.ok()) {
    std::cerr << "kvstored: " << tls.status().message() << "\n";
    return kExitUsage;
  }
  StopSignal stop;  // before the plugin, which may make threads
  absl::StatusOr<std::unique_ptr<UpdaterPlugin>> plugin = nullptr;
  if (const auto& wanted = options.updater_plugin; !wanted.file.empty()) {
    plugin = UpdaterPlugin::Load(wanted.file, wanted.options);
    if (!plugin.ok()) {
      std::cerr << "kvstored: " << wanted.label << ": " << plugin.status().message() << "\n";
      return kExitUsage;
    }
  }
  SetUpLog("kvstored", options);
  WarnOfUnknownVariables();

  ServerNodeEvents events;
  events.on_listening = [&](const std::string& listen, const std::string& advertise) {
    Announce("kvstored", listen, advertise, tls->get());
    spdlog::info("{} shards, scheduler {}", options.shards, options.scheduler);
  };
  events.on_stop = [&stop](const absl::Status& status) {
    stop.End(absl::IsUnavailable(status) ? kExitFailure : kExitRefused,
             std::string(status.message()));
  };
  events.on_job_ended = [&](const v1::JobEnded& ended) {
    if (options.exit_with_job)
      stop.End(ended.code() == 0 ? kExitOk : kExitFailure, ended.message());
  };
  const std::unique_ptr<Transport> transport =
      MakeTransport({options.network_bytes_max, options.shared_memory, *tls});
  ServerNodeOptions node_options = NodeOptionsOf(options);
  if (*plugin != nullptr) {
    node_options.program_updater = plugin->get();
    node_options.updater_plugin = (*plugin)->name();
    node_options.updater_plugin_told = (*plugin)->NameAndOptions();
    spdlog::info("{} updates all keys", (*plugin)->label());
  }
  auto node = ServerNode::Start(node_options, transport.get(), events);
  if (!node.ok()) {
    return SayWhy({0, kExitFailure, std::string(node.status().message())});
  }
  const StopSignal::Reason reason = stop.Wait();
  node->reset();
  return SayWhy(reason);
}

}  // namespace
}  // namespace kvstore

int main(int argc, char** argv) {
  kvstore::TuneAllocator();
  return kvstore::Main({argv + 1, argv + argc});
}
