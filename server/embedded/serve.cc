// Serve: kvstored, or kvscheduler, in somebody else's process, around that program's code.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>

#include "common/base/allocator.h"
#include "common/base/status_macros.h"
#include "common/transport/factory/make_transport.h"
#include "kvstore/server.h"
#include "server/daemon/daemon.h"
#include "server/daemon/node_options.h"
#include "server/daemon/options.h"
#include "server/embedded/caller_loop.h"
#include "server/embedded/program_code.h"
#include "server/scheduler/scheduler_service.h"

namespace kvstore {
namespace {

// Logs go to stderr while the server lives; then the program has its own logger again.
class LogForNow {
 public:
  LogForNow(const std::string& name, const DaemonOptions& options)
      : before_(spdlog::default_logger()) {
    SetUpLog(name, options);
  }
  ~LogForNow() { spdlog::set_default_logger(before_); }
  LogForNow(const LogForNow&) = delete;
  LogForNow& operator=(const LogForNow&) = delete;

 private:
  const std::shared_ptr<spdlog::logger> before_;
};

// The daemon's options, from variables alone.
template <typename Options>
absl::StatusOr<Options> OptionsOf(const ServerProgram& program,
                                  ParseResult<Options> (*parse)(const std::vector<std::string>&,
                                                                const VariableLookup&,
                                                                std::ostream&, std::ostream&)) {
  std::ostringstream out, err;
  auto parsed = parse({}, program.variable, out, err);
  if (parsed.options) return *std::move(parsed.options);
  std::string text = err.str();
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return absl::InvalidArgumentError("RunServer, as " + text);
}

absl::Status StatusOf(const v1::JobEnded& ended) {
  return absl::Status(static_cast<absl::StatusCode>(ended.code()), ended.message());
}

absl::Status ServeServer(const ServerProgram& program) {
  KVS_ASSIGN_OR_RETURN(const ServerDaemonOptions options, OptionsOf(program, &ParseServerOptions));
  KVS_ASSIGN_OR_RETURN(const std::shared_ptr<TlsSource> tls, OpenTls(options));
  if (!options.updater_plugin.file.empty()) {
    return absl::InvalidArgumentError(fmt::format(
        "RunServer, as kvstored: {}: kvstored expected, which loads plugins; a program has the "
        "updater that it gives to set_updater",
        options.updater_plugin.label));
  }
  CallerLoop caller;  // first: the server's threads take over its blocked signals
  const LogForNow log("kvserver", options);
  ProgramCode code(program);
  ServerNodeOptions node_options = NodeOptionsOf(options);
  node_options.program_updater = &code;
  if (program.controller != nullptr) {
    node_options.on_command = [&](WorkerRank, const Command& command,
                                  std::function<void(absl::Status)> done) {
      caller.Post([&code, command, done = std::move(done)] { done(code.RunCommand(command)); });
    };
  }
  ServerNodeEvents events;
  events.on_listening = [&options](const std::string&, const std::string& advertise) {
    spdlog::info("a server with this program's code listens on {}: {} shards, scheduler {}",
                 advertise, options.shards, options.scheduler);
  };
  events.on_stop = [&caller](const absl::Status& status) { caller.End(status); };
  events.on_job_ended = [&caller](const v1::JobEnded& ended) { caller.End(StatusOf(ended)); };
  const std::unique_ptr<Transport> transport =
      MakeTransport({options.network_bytes_max, options.shared_memory, tls});
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<ServerNode> node,
                       ServerNode::Start(node_options, transport.get(), events));
  return caller.Run();
}

absl::Status ServeScheduler(const ServerProgram& program) {
  KVS_ASSIGN_OR_RETURN(const SchedulerDaemonOptions options,
                       OptionsOf(program, &ParseSchedulerOptions));
  KVS_ASSIGN_OR_RETURN(const std::shared_ptr<TlsSource> tls, OpenTls(options));
  CallerLoop caller;
  const LogForNow log("kvscheduler", options);
  std::unique_ptr<StateFile> file;
  if (!options.state_dir.empty()) {
    KVS_ASSIGN_OR_RETURN(file, StateFile::Open(options.state_dir));
  }
  SchedulerServiceOptions service_options;
  service_options.core = options.core;
  service_options.listen = options.listen;
  service_options.first_message_ms = options.first_message_ms;
  SchedulerServiceEvents events;
  events.on_broken = [&caller](const absl::Status& status) { caller.End(status); };
  events.on_job_over = [&caller](const v1::JobEnded& ended) { caller.End(StatusOf(ended)); };
  const std::unique_ptr<Transport> transport =
      MakeTransport({options.network_bytes_max, false, tls});
  KVS_ASSIGN_OR_RETURN(
      const std::unique_ptr<SchedulerService> service,
      SchedulerService::Start(service_options, std::move(file), transport.get(), events));
  spdlog::info("a scheduler in this program listens on {}",
               WithPort(options.listen, service->port()));
  return caller.Run();
}

}  // namespace

ServerEnd Serve(const ServerProgram& program) {
  TeachAllocatorLargeBlocks();
  const absl::Status status = program.scheduler ? ServeScheduler(program) : ServeServer(program);
  return {static_cast<int>(status.code()), std::string(status.message())};
}

}  // namespace kvstore
