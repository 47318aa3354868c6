// kvscheduler: options, state directory, service, and the wait for its end.
#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "common/base/allocator.h"
#include "common/transport/factory/make_transport.h"
#include "server/daemon/daemon.h"
#include "server/scheduler/scheduler_service.h"

namespace kvstore {
namespace {

int Main(const std::vector<std::string>& arguments) {
  const auto parsed = ParseSchedulerOptions(arguments, ProcessVariables(), std::cout, std::cerr);
  if (!parsed.options) return parsed.exit_code;
  const SchedulerDaemonOptions& options = *parsed.options;
  const auto tls = OpenTls(options);
  if (!tls.ok()) {
    std::cerr << "kvscheduler: " << tls.status().message() << "\n";
    return kExitUsage;
  }
  StopSignal stop;
  SetUpLog("kvscheduler", options);
  WarnOfUnknownVariables();

  std::unique_ptr<StateFile> file;
  if (options.state_dir.empty()) {
    spdlog::info("no --state-dir: a restart of this scheduler ends its job");
  } else {
    auto opened = StateFile::Open(options.state_dir);
    if (!opened.ok()) return SayWhy({0, kExitBadState, std::string(opened.status().message())});
    file = *std::move(opened);
  }
  SchedulerServiceOptions service_options;
  service_options.core = options.core;
  service_options.listen = options.listen;
  service_options.first_message_ms = options.first_message_ms;
  SchedulerServiceEvents events;
  events.on_broken = [&stop](const absl::Status& status) {
    stop.End(kExitBadState, std::string(status.message()));
  };
  events.on_job_over = [&](const v1::JobEnded& ended) {
    if (options.exit_with_job)
      stop.End(ended.code() == 0 ? kExitOk : kExitFailure, ended.message());
  };
  const std::unique_ptr<Transport> transport =
      MakeTransport({options.network_bytes_max, false, *tls});
  auto service = SchedulerService::Start(service_options, std::move(file), transport.get(), events);
  if (!service.ok()) {
    return SayWhy({0, StartExitCode(service.status()), std::string(service.status().message())});
  }
  const int port = (*service)->port();
  Announce("kvscheduler", WithPort(options.listen, port), WithPort(options.advertise, port),
           tls->get());
  const StopSignal::Reason reason = stop.Wait();
  service->reset();
  return SayWhy(reason);
}

}  // namespace
}  // namespace kvstore

int main(int argc, char** argv) {
  kvstore::TuneAllocator();
  return kvstore::Main({argv + 1, argv + argc});
}
