#include "server/daemon/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <utility>

#include "CLI/CLI.hpp"
#include "common/base/machine_limits.h"
#include "common/base/status_macros.h"
#include "common/config/help_formatter.h"
#include "common/transport/host_port.h"
#include "server/daemon/settings.h"
#include "server/daemon/stop_signal.h"

namespace kvstore {

namespace {

constexpr int64_t kRanksMax = 1 << 20;
constexpr int64_t kTimeoutMsMax = int64_t{1} << 40;
constexpr uint32_t kDefaultShardsMax = 64;

constexpr char kAddresses[] = "Addresses";
constexpr char kCluster[] = "Cluster";
constexpr char kTimers[] = "Timers";
constexpr char kOther[] = "Other";

constexpr char kExitCodes[] =
    "A flag wins over the variables in brackets, of which the first that is set counts.\n"
    "\n"
    "Exit codes: 0 ended by SIGTERM, SIGINT or with its job; 1 failed (port taken, scheduler not\n"
    "reachable, job failed); 2 wrong flag or variable; 3 refused or replaced by the scheduler;\n"
    "4 state directory damaged, in use, or not writable.";

void AddCommon(Settings* settings) {
  settings->Add("--time-scale", "FACTOR",
                "multiplies every timer and timeout, 0.001 to 1000; for crowded machines and "
                "sanitizers; default 1",
                kTimers, {"KVSTORE_TIME_SCALE"});
  settings->Add("--network-mib", "MIB",
                "memory for what all connections together have on their way; over it gRPC breaks "
                "streams, and they are dialled again; allow 8 for each worker and shard; default: "
                "an eighth of what machine and cgroup have, at least 256",
                kOther, {"KVSTORE_NETWORK_MIB"});
  settings->Add("--log-level", "LEVEL", "trace, debug, info, warn, error or off; default info",
                kOther, {"KVSTORE_LOG_LEVEL"});
  settings->AddSwitch("--exit-with-job",
                      "end when the job ends: exit code 0 if all workers left in order, 1 if it "
                      "failed",
                      kOther);
}

absl::Status ReadCommon(const Settings& settings, DaemonOptions* out) {
  if (const auto scale = settings.Get("--time-scale")) {
    KVS_ASSIGN_OR_RETURN(out->time_scale, ReadNumber(*scale, 0.001, 1000));
  }
  out->network_bytes_max = std::max<uint64_t>(MemoryBytes() / 8, 256u << 20);
  if (const auto network = settings.Get("--network-mib")) {
    KVS_ASSIGN_OR_RETURN(const int64_t mib, ReadInteger(*network, 16, int64_t{1} << 30));
    out->network_bytes_max = static_cast<uint64_t>(mib) << 20;
  }
  out->log_level = "info";
  if (const auto level = settings.Get("--log-level")) {
    for (const char* known : {"trace", "debug", "info", "warn", "error", "off"}) {
      if (level->text == known) out->log_level = known;
    }
    if (out->log_level != level->text) {
      return WrongSetting(*level, "trace, debug, info, warn, error or off");
    }
  }
  out->exit_with_job = settings.IsOn("--exit-with-job");
  return absl::OkStatus();
}

// Where others dial: what was asked for; else the listening host, or where that is "any", this
// host's name.
absl::Status ReadAdvertise(const Settings& settings, DaemonOptions* out) {
  KVS_ASSIGN_OR_RETURN(HostPort address, ParseHostPort(out->listen));
  if (const auto advertise = settings.Get("--advertise")) {
    KVS_ASSIGN_OR_RETURN(out->advertise, ReadAddress(*advertise, 0));
    KVS_ASSIGN_OR_RETURN(const HostPort chosen, ParseHostPort(out->advertise));
    if (IsAnyHost(chosen.host)) return WrongSetting(*advertise, "a host that others can dial");
    if (chosen.port == 0) out->advertise = HostPortString({chosen.host, address.port});
  } else {
    if (IsAnyHost(address.host)) address.host = ThisHostName();
    out->advertise = HostPortString(address);
  }
  if (!IsLoopbackHost(address.host)) {
    out->warnings.push_back(fmt::format(
        "{} is not the loopback address, and traffic is neither encrypted nor authenticated: "
        "only for networks where everybody is trusted",
        out->listen));
  }
  return absl::OkStatus();
}

int64_t Scaled(int64_t ms, double scale) {
  return std::max<int64_t>(std::llround(static_cast<double>(ms) * scale), 1);
}

// In milliseconds, before scaling.
absl::Status ReadMilliseconds(const Settings& settings, const std::string& flag, int64_t* ms) {
  if (const auto setting = settings.Get(flag)) {
    KVS_ASSIGN_OR_RETURN(*ms, ReadInteger(*setting, 1, kTimeoutMsMax));
  }
  return absl::OkStatus();
}

// ps-lite's variables count in seconds; 0 turned heartbeats off there.
absl::Status ReadPsLiteSeconds(const Settings& settings, const char* variable, int64_t* ms,
                               DaemonOptions* out) {
  const auto setting = settings.Variable(variable);
  if (!setting) return absl::OkStatus();
  KVS_ASSIGN_OR_RETURN(const int64_t seconds, ReadInteger(*setting, 0, 1000000));
  if (seconds == 0) {
    out->warnings.push_back(fmt::format("{}=0 has no effect: heartbeats are always on", variable));
  } else {
    *ms = 1000 * seconds;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> ReadCount(const Settings& settings, const std::string& flag) {
  const auto setting = settings.Get(flag);
  if (!setting) {
    return absl::InvalidArgumentError(fmt::format("{} is missing", settings.Names(flag)));
  }
  KVS_ASSIGN_OR_RETURN(const int64_t count, ReadInteger(*setting, 1, kRanksMax));
  return static_cast<uint32_t>(count);
}

// DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT, if both are set.
absl::StatusOr<std::optional<std::string>> ReadPsRoot(const Settings& settings) {
  const auto host = settings.Variable("DMLC_PS_ROOT_URI");
  const auto port = settings.Variable("DMLC_PS_ROOT_PORT");
  if (!host && !port) return std::optional<std::string>();
  if (!host || !port) {
    return absl::InvalidArgumentError(
        fmt::format("DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT expected together, only {} is set",
                    host ? host->source : port->source));
  }
  KVS_ASSIGN_OR_RETURN(const int64_t number, ReadInteger(*port, 1, 65535));
  const std::string text = HostPortString({host->text, static_cast<int>(number)});
  KVS_ASSIGN_OR_RETURN(std::string address, ReadAddress({host->source, text}, 1));
  return std::optional<std::string>(std::move(address));
}

absl::Status ReadScheduler(const Settings& settings, SchedulerDaemonOptions* out) {
  KVS_RETURN_IF_ERROR(ReadCommon(settings, out));
  KVS_ASSIGN_OR_RETURN(out->core.workers, ReadCount(settings, "--workers"));
  KVS_ASSIGN_OR_RETURN(out->core.servers, ReadCount(settings, "--servers"));
  out->listen = "127.0.0.1:7070";
  if (const auto listen = settings.Get("--listen")) {
    KVS_ASSIGN_OR_RETURN(out->listen, ReadAddress(*listen, 0));
  } else {
    KVS_ASSIGN_OR_RETURN(const std::optional<std::string> root, ReadPsRoot(settings));
    if (root) out->listen = *root;
  }
  KVS_RETURN_IF_ERROR(ReadAdvertise(settings, out));
  if (const auto directory = settings.Get("--state-dir")) {
    if (directory->text.empty()) return WrongSetting(*directory, "a directory");
    out->state_dir = directory->text;
  }
  SchedulerOptions& core = out->core;
  KVS_RETURN_IF_ERROR(
      ReadPsLiteSeconds(settings, "PS_HEARTBEAT_INTERVAL", &core.heartbeat_ms, out));
  KVS_RETURN_IF_ERROR(
      ReadPsLiteSeconds(settings, "PS_HEARTBEAT_TIMEOUT", &core.silent_dead_ms, out));
  KVS_RETURN_IF_ERROR(ReadMilliseconds(settings, "--heartbeat-ms", &core.heartbeat_ms));
  core.suspect_ms = std::max(core.suspect_ms, 3 * core.heartbeat_ms);
  KVS_RETURN_IF_ERROR(ReadMilliseconds(settings, "--suspect-ms", &core.suspect_ms));
  KVS_RETURN_IF_ERROR(ReadMilliseconds(settings, "--lost-dead-ms", &core.lost_dead_ms));
  KVS_RETURN_IF_ERROR(ReadMilliseconds(settings, "--silent-dead-ms", &core.silent_dead_ms));
  if (core.heartbeat_ms >= core.suspect_ms || core.heartbeat_ms >= core.silent_dead_ms) {
    return absl::InvalidArgumentError(fmt::format(
        "a heartbeat every {} ms expected more often than suspect after {} ms and dead after {} ms",
        core.heartbeat_ms, core.suspect_ms, core.silent_dead_ms));
  }
  for (int64_t* ms : {&core.heartbeat_ms, &core.suspect_ms, &core.lost_dead_ms,
                      &core.silent_dead_ms, &out->first_message_ms}) {
    *ms = Scaled(*ms, out->time_scale);
  }
  return absl::OkStatus();
}

absl::Status ReadServerListen(const Settings& settings, ServerDaemonOptions* out) {
  if (const auto listen = settings.Get("--listen")) {
    KVS_ASSIGN_OR_RETURN(out->listen, ReadAddress(*listen, 0));
    return ReadAdvertise(settings, out);
  }
  for (const char* variable : {"KVSTORE_NODE_HOST", "DMLC_NODE_HOST"}) {
    // The name others know this host by, which need not be one that can be bound.
    const auto host = settings.Variable(variable);
    if (!host) continue;
    out->listen = "0.0.0.0:0";
    KVS_RETURN_IF_ERROR(ReadAdvertise(settings, out));
    if (settings.Get("--advertise")) return absl::OkStatus();
    KVS_ASSIGN_OR_RETURN(out->advertise,
                         ReadAddress({variable, HostPortString({host->text, 0})}, 0));
    return absl::OkStatus();
  }
  std::string host = "127.0.0.1";
  if (const auto interface = settings.Variable("DMLC_INTERFACE")) {
    KVS_ASSIGN_OR_RETURN(host, InterfaceHost(*interface));
  }
  out->listen = HostPortString({host, 0});
  return ReadAdvertise(settings, out);
}

absl::Status ReadServer(const Settings& settings, ServerDaemonOptions* out) {
  KVS_RETURN_IF_ERROR(ReadCommon(settings, out));
  if (const auto scheduler = settings.Get("--scheduler")) {
    KVS_ASSIGN_OR_RETURN(out->scheduler, ReadAddress(*scheduler, 1));
  } else {
    KVS_ASSIGN_OR_RETURN(const std::optional<std::string> root, ReadPsRoot(settings));
    if (!root) {
      return absl::InvalidArgumentError(
          settings.Names("--scheduler") +
          " or DMLC_PS_ROOT_URI with DMLC_PS_ROOT_PORT is missing: where is the scheduler?");
    }
    out->scheduler = *root;
  }
  KVS_RETURN_IF_ERROR(ReadServerListen(settings, out));
  out->shards = std::min(CpuCount(), kDefaultShardsMax);
  if (const auto shards = settings.Get("--shards")) {
    KVS_ASSIGN_OR_RETURN(const int64_t number, ReadInteger(*shards, 1, kShardsMax));
    out->shards = static_cast<uint32_t>(number);
  }
  if (const auto rank = settings.Get("--rank")) {
    KVS_ASSIGN_OR_RETURN(const int64_t number, ReadInteger(*rank, 0, kRanksMax - 1));
    out->rank = static_cast<uint32_t>(number);
  }
  if (const auto timeout = settings.Get("--connect-timeout")) {
    KVS_ASSIGN_OR_RETURN(const double seconds, ReadNumber(*timeout, 0.001, 1e9));
    out->connect_timeout_ms = std::llround(1000 * seconds);
  } else if (const auto timeout_ms = settings.Variable("KVSTORE_CONNECT_TIMEOUT_MS")) {
    KVS_ASSIGN_OR_RETURN(out->connect_timeout_ms, ReadInteger(*timeout_ms, 1, kTimeoutMsMax));
  }
  out->connect_timeout_ms = Scaled(out->connect_timeout_ms, out->time_scale);
  if (const auto parked = settings.Get("--parked-mib")) {
    KVS_ASSIGN_OR_RETURN(const int64_t mib, ReadInteger(*parked, 1, int64_t{1} << 30));
    out->core.parked_bytes_max = static_cast<uint64_t>(mib) << 20;
  }
  // The rest is for the program itself, gRPC's buffers and what is on its way.
  out->core.value_bytes_max = MemoryBytes() / 10 * 8;
  if (const auto values = settings.Get("--value-mib")) {
    KVS_ASSIGN_OR_RETURN(const int64_t mib, ReadInteger(*values, 1, int64_t{1} << 40));
    out->core.value_bytes_max = static_cast<uint64_t>(mib) << 20;
  }
  // The budgets are the server's; a core is one shard of it.
  out->core.value_bytes_max = std::max<uint64_t>(out->core.value_bytes_max / out->shards, 1);
  out->core.parked_bytes_max = std::max<uint64_t>(out->core.parked_bytes_max / out->shards, 1);
  return absl::OkStatus();
}

template <typename Options>
ParseResult<Options> Parse(CLI::App* app, const Settings& settings,
                           absl::Status (*read)(const Settings&, Options*),
                           std::vector<std::string> arguments, std::ostream& out,
                           std::ostream& err) {
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app->parse(arguments);
  } catch (const CLI::CallForHelp&) {
    out << app->help();
    return {std::nullopt, kExitOk};
  } catch (const CLI::CallForVersion&) {
    out << app->get_name() << " " << KVSTORE_VERSION << "\n";
    return {std::nullopt, kExitOk};
  } catch (const CLI::ParseError& error) {
    err << app->get_name() << ": " << error.what() << " (--help lists the flags)\n";
    return {std::nullopt, kExitUsage};
  }
  Options options;
  if (const absl::Status status = read(settings, &options); !status.ok()) {
    err << app->get_name() << ": " << status.message() << "\n";
    return {std::nullopt, kExitUsage};
  }
  return {std::move(options), kExitOk};
}

}  // namespace

EnvironmentLookup ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

ParseResult<SchedulerDaemonOptions> ParseSchedulerOptions(const std::vector<std::string>& arguments,
                                                          const EnvironmentLookup& environment,
                                                          std::ostream& out, std::ostream& err) {
  CLI::App app(
      "kvscheduler keeps the membership of a cluster: who is worker or server of which rank, "
      "which\n"
      "server holds which keys, barriers, and who is dead. One runs per cluster, e.g.\n"
      "\n"
      "  kvscheduler --listen 127.0.0.1:7070 --workers 2 --servers 2 --state-dir /var/lib/kvs\n"
      "\n"
      "When it listens it prints one line: kvscheduler listening on HOST:PORT. With --state-dir a\n"
      "restarted scheduler goes on with the same cluster, and nobody notices.",
      "kvscheduler");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", KVSTORE_VERSION);
  Settings settings(&app, environment);
  settings.Add("--listen", "HOST:PORT",
               "where to listen, IPv6 as [::1]:7070; port 0 lets the system choose; default "
               "127.0.0.1:7070, or DMLC_PS_ROOT_URI:DMLC_PS_ROOT_PORT",
               kAddresses, {"KVSTORE_LISTEN"});
  settings.Add("--advertise", "HOST:PORT",
               "where others reach it, if that is another address (port 0: the one bound); default "
               "the listening one, with this host's name for 0.0.0.0",
               kAddresses, {"KVSTORE_ADVERTISE"});
  settings.Add("--workers", "N", "workers of a job", kCluster,
               {"KVSTORE_NUM_WORKERS", "DMLC_NUM_WORKER"});
  settings.Add("--servers", "N", "servers of the cluster", kCluster,
               {"KVSTORE_NUM_SERVERS", "DMLC_NUM_SERVER"});
  settings.Add("--state-dir", "DIR",
               "where the state is kept across restarts, made if it is not there; default: in "
               "memory only, so that a restart ends the job",
               kCluster, {"KVSTORE_STATE_DIR"});
  settings.Add("--heartbeat-ms", "MS",
               "how often nodes are to be heard; default 1000, or PS_HEARTBEAT_INTERVAL seconds",
               kTimers);
  settings.Add("--suspect-ms", "MS", "silent for so long: shown as suspect; default 3000", kTimers);
  settings.Add("--lost-dead-ms", "MS",
               "connection lost and not back for so long: dead, and the job ends; default 5000",
               kTimers);
  settings.Add("--silent-dead-ms", "MS",
               "silent for so long: dead; default 60000, or PS_HEARTBEAT_TIMEOUT seconds", kTimers);
  AddCommon(&settings);
  app.footer(kExitCodes);
  return Parse<SchedulerDaemonOptions>(&app, settings, &ReadScheduler, arguments, out, err);
}

ParseResult<ServerDaemonOptions> ParseServerOptions(const std::vector<std::string>& arguments,
                                                    const EnvironmentLookup& environment,
                                                    std::ostream& out, std::ostream& err) {
  CLI::App app(
      "kvstored holds a share of the keys of a cluster and applies the workers' updates, e.g.\n"
      "\n"
      "  kvstored --scheduler 127.0.0.1:7070 --listen 127.0.0.1:0\n"
      "\n"
      "When it listens it prints one line: kvstored listening on HOST:PORT. It waits for a\n"
      "scheduler that is not there yet, and serves one job after the other.",
      "kvstored");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", KVSTORE_VERSION);
  Settings settings(&app, environment);
  settings.Add("--scheduler", "HOST:PORT", "the scheduler of the cluster", kAddresses,
               {"KVSTORE_SCHEDULER"});
  settings.Add("--listen", "HOST:PORT",
               "where to listen, IPv6 as [::1]:0; port 0 lets the system choose; default "
               "127.0.0.1:0, or the address of DMLC_INTERFACE, or all addresses if "
               "KVSTORE_NODE_HOST or DMLC_NODE_HOST says what to advertise",
               kAddresses, {"KVSTORE_LISTEN"});
  settings.Add(
      "--advertise", "HOST:PORT",
      "where workers reach it, if that is another address (port 0: the one bound); default "
      "the listening one, with this host's name for 0.0.0.0",
      kAddresses, {"KVSTORE_ADVERTISE"});
  settings.Add("--shards", "N",
               "threads that each own a share of its keys, 1 to 1024; default: the CPUs that "
               "affinity and cgroup allow",
               kCluster, {"KVSTORE_SHARDS"});
  settings.Add("--rank", "R", "the server rank to ask for; default: any that is free", kCluster,
               {"KVSTORE_SERVER_RANK"});
  settings.Add("--parked-mib", "MIB",
               "memory for contributions that came out of order; over it workers are asked to send "
               "again later; default 256",
               kCluster, {"KVSTORE_PARKED_MIB"});
  settings.Add("--value-mib", "MIB",
               "memory for the values of its keys and what updating them takes; an Init over it is "
               "refused; default: 80 % of what machine and cgroup have",
               kCluster, {"KVSTORE_VALUE_MIB"});
  settings.Add("--connect-timeout", "SECONDS",
               "how long to wait for the scheduler; default 60, or KVSTORE_CONNECT_TIMEOUT_MS",
               kTimers);
  AddCommon(&settings);
  app.footer(kExitCodes);
  return Parse<ServerDaemonOptions>(&app, settings, &ReadServer, arguments, out, err);
}

}  // namespace kvstore
