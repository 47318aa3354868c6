#include "server/daemon/daemon.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>

#include "common/config/unknown_variables.h"
#include "common/transport/factory/make_transport.h"
#include "common/transport/host_port.h"
#include "common/transport/local_address.h"

namespace kvstore {

void SetUpLog(const std::string& name, const DaemonOptions& options) {
  // Not in spdlog's list of names: a second server of one program may have the name again.
  auto logger =
      std::make_shared<spdlog::logger>(name, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %n: %v");
  logger->set_level(spdlog::level::from_str(options.log_level));
  spdlog::set_default_logger(std::move(logger));
  TakeLogOfTransport();
  if (!options.said.empty()) spdlog::info("set: {}", options.said);
  for (const std::string& warning : options.warnings) spdlog::warn("{}", warning);
}

void WarnOfUnknownVariables() {
  for (const std::string& warning : WarningsOfUnknownVariables(ProcessVariableNames())) {
    spdlog::warn("{}", warning);
  }
}

std::string WithPort(const std::string& address, int bound_port) {
  absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  if (!parsed.ok() || parsed->port != 0) return address;
  parsed->port = bound_port;
  return HostPortString(*parsed);
}

absl::StatusOr<std::shared_ptr<TlsSource>> OpenTls(const DaemonOptions& options) {
  auto source = OpenTlsToListen(options.tls.folder);
  if (source.ok()) return source;
  return absl::Status(source.status().code(), fmt::format("{}: {}", options.tls.label,
                                                          std::string(source.status().message())));
}

void Announce(const std::string& name, const std::string& listen, const std::string& advertise,
              const TlsSource* tls) {
  std::printf("%s listening on %s\n", name.c_str(), advertise.c_str());
  std::fflush(stdout);
  if (listen == advertise) {
    spdlog::info("listening on {}", listen);
  } else {
    spdlog::info("listening on {}, advertised as {}", listen, advertise);
  }
  if (tls != nullptr) {
    const auto files = tls->Current();
    spdlog::info("TLS as '{}' ({}), valid to {}", files->identity.name,
                 RoleNames(files->identity.roles), UtcTime(files->not_after_s));
  } else if (const auto parsed = ParseHostPort(listen);
             parsed.ok() && !IsLoopbackHost(parsed->host)) {
    spdlog::warn(
        "{} is not the loopback address, and traffic is neither encrypted nor authenticated: only "
        "for networks where everybody is trusted",
        listen);
  }
}

int StartExitCode(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsInvalidArgument(status) ? kExitFailure
                                                                        : kExitBadState;
}

int SayWhy(const StopSignal::Reason& reason) {
  if (reason.signal != 0) {
    spdlog::info("ended by {}", reason.signal == SIGTERM ? "SIGTERM" : "SIGINT");
  } else if (reason.exit_code == kExitOk) {
    spdlog::info("ended: {}", reason.message);
  } else {
    spdlog::error("{}", reason.message);
  }
  return reason.exit_code;
}

}  // namespace kvstore
