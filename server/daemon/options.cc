#include "server/daemon/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <utility>

#include "common/base/machine_limits.h"
#include "common/base/status_macros.h"
#include "common/config/command_line.h"
#include "common/transport/host_port.h"
#include "common/transport/local_address.h"

namespace kvstore {

namespace {

constexpr uint32_t kDefaultShardsMax = 64;

constexpr char kFooter[] =
    "A flag wins over the variables in brackets, of which the first that is set counts; they win\n"
    "over the file of settings.\n"
    "\n"
    "Exit codes: 0 ended by SIGTERM, SIGINT or with its job; 1 failed (port taken, scheduler not\n"
    "reachable, job failed); 2 wrong flag, variable or file; 3 refused by the\n"
    "scheduler; 4 state directory damaged, in use, or not writable.";

constexpr char kAboutScheduler[] =
    "kvscheduler keeps the membership of a cluster: who is worker or server of which rank, which\n"
    "server holds which keys, barriers, and who is dead. One runs per cluster, e.g.\n"
    "\n"
    "  kvscheduler --listen 127.0.0.1:7070 --workers 2 --servers 2 --state-dir /var/lib/kvs\n"
    "\n"
    "When it listens it prints one line: kvscheduler listening on HOST:PORT. With --state-dir a\n"
    "restarted scheduler goes on with the same cluster, and nobody notices.";

constexpr char kAboutServer[] =
    "kvstored holds a share of the keys of a cluster and applies the workers' updates, e.g.\n"
    "\n"
    "  kvstored --scheduler 127.0.0.1:7070\n"
    "\n"
    "When it listens it prints one line: kvstored listening on HOST:PORT. It waits for a\n"
    "scheduler that is not there yet, and serves one job after the other.";

int64_t Scaled(int64_t ms, double scale) {
  return std::max<int64_t>(std::llround(static_cast<double>(ms) * scale), 1);
}

uint64_t BytesOf(const Config& config, SettingId mib) {
  return static_cast<uint64_t>(config.WholeNumber(mib)) << 20;
}

// The address of a setting, its host spelled as we spell it.
HostPort AddressOf(const Config& config, SettingId id) {
  return *ParseHostPort(config.Text(id));  // checked by Config
}

absl::Status ReadCommon(Config* config, DaemonOptions* out) {
  out->time_scale = config->Number(SettingId::kTimeScale);
  const uint64_t network_bytes = std::max<uint64_t>(MemoryBytes() / 8, 256u << 20);
  config->SetDefault(SettingId::kNetworkMib, std::to_string(network_bytes >> 20));
  out->network_bytes_max = BytesOf(*config, SettingId::kNetworkMib);
  out->log_level = config->Text(SettingId::kLogLevel);
  out->exit_with_job = config->IsOn(SettingId::kExitWithJob);
  out->warnings = config->warnings();
  out->said = config->Said();
  if (config->Has(SettingId::kTlsDir)) {
    out->tls = {config->Text(SettingId::kTlsDir), config->Label(SettingId::kTlsDir)};
  } else if (config->IsOn(SettingId::kRequireTls)) {
    return config->Wrong(SettingId::kRequireTls, "tls-dir beside it");
  }
  return absl::OkStatus();
}

// What --advertise says for a process that listens on `listen`, or nothing.
absl::StatusOr<std::string> ReadAdvertise(const Config& config, const std::string& listen) {
  if (!config.IsSaid(SettingId::kAdvertise)) return std::string();
  HostPort chosen = AddressOf(config, SettingId::kAdvertise);
  if (IsAnyHost(chosen.host)) {
    return config.Wrong(SettingId::kAdvertise, "a host that others can dial");
  }
  if (chosen.port == 0 && !listen.empty()) chosen.port = ParseHostPort(listen)->port;
  return HostPortString(chosen);
}

absl::Status ReadScheduler(Config* config, SchedulerDaemonOptions* out) {
  KVS_RETURN_IF_ERROR(ReadCommon(config, out));
  SchedulerOptions& core = out->core;
  core.workers = static_cast<uint32_t>(config->WholeNumber(SettingId::kWorkers));
  core.servers = static_cast<uint32_t>(config->WholeNumber(SettingId::kServers));
  HostPort listen = AddressOf(*config, SettingId::kListen);
  out->listen = HostPortString(listen);
  KVS_ASSIGN_OR_RETURN(out->advertise, ReadAdvertise(*config, out->listen));
  if (out->advertise.empty()) {
    if (IsAnyHost(listen.host)) listen.host = ThisHostName();
    out->advertise = HostPortString(listen);
    config->SetDefault(SettingId::kAdvertise, out->advertise);
  }
  if (config->Has(SettingId::kStateDir)) out->state_dir = config->Text(SettingId::kStateDir);

  core.heartbeat_ms = config->WholeNumber(SettingId::kHeartbeatMs);
  config->SetDefault(SettingId::kSuspectMs,
                     std::to_string(std::max<int64_t>(3000, 3 * core.heartbeat_ms)));
  core.suspect_ms = config->WholeNumber(SettingId::kSuspectMs);
  core.lost_dead_ms = config->WholeNumber(SettingId::kLostDeadMs);
  core.silent_dead_ms = config->WholeNumber(SettingId::kSilentDeadMs);
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

// Where a server listens and what it advertises. What is left empty follows from the way to the
// scheduler, which is looked up when the server starts: its name may not be known to DNS yet.
absl::Status ReadServerAddresses(Config* config, ServerDaemonOptions* out) {
  std::string host;  // of the interface, or the name that others know
  if (config->IsSaid(SettingId::kInterface)) {
    const auto of_interface = InterfaceHost(config->Text(SettingId::kInterface));
    if (!of_interface.ok()) {
      return config->Wrong(SettingId::kInterface, "a network interface with an address");
    }
    host = *of_interface;
    config->SetDefault(SettingId::kListen, HostPortString({host, 0}));
  }
  if (config->IsSaid(SettingId::kNodeHost)) {
    // The name that others know this host by need not be one that can be bound.
    host = config->Text(SettingId::kNodeHost);
    config->SetDefault(SettingId::kListen, "0.0.0.0:0");
  }
  HostPort listen;
  if (config->Has(SettingId::kListen)) {
    listen = AddressOf(*config, SettingId::kListen);
    out->listen = HostPortString(listen);
  }
  KVS_ASSIGN_OR_RETURN(out->advertise, ReadAdvertise(*config, out->listen));
  if (!out->advertise.empty()) return absl::OkStatus();
  if (!host.empty() && (IsAnyHost(listen.host) || !config->IsSaid(SettingId::kListen))) {
    out->advertise = HostPortString({host, listen.port});
  } else if (!out->listen.empty() && !IsAnyHost(listen.host)) {
    out->advertise = out->listen;
  }
  if (!out->advertise.empty()) config->SetDefault(SettingId::kAdvertise, out->advertise);
  return absl::OkStatus();
}

absl::Status ReadServer(Config* config, ServerDaemonOptions* out) {
  KVS_RETURN_IF_ERROR(ReadCommon(config, out));
  out->scheduler = HostPortString(AddressOf(*config, SettingId::kSchedulerAddress));
  KVS_RETURN_IF_ERROR(ReadServerAddresses(config, out));
  config->SetDefault(SettingId::kShards, std::to_string(std::min(CpuCount(), kDefaultShardsMax)));
  out->shards = static_cast<uint32_t>(config->WholeNumber(SettingId::kShards));
  if (config->Has(SettingId::kRank)) {
    out->rank = static_cast<uint32_t>(config->WholeNumber(SettingId::kRank));
  }
  out->connect_timeout_ms =
      Scaled(config->WholeNumber(SettingId::kConnectTimeoutMs), out->time_scale);
  if (config->Has(SettingId::kUpdaterPlugin)) {
    out->updater_plugin.file = config->Text(SettingId::kUpdaterPlugin);
    out->updater_plugin.label = config->Label(SettingId::kUpdaterPlugin);
  }
  if (config->Has(SettingId::kUpdaterPluginOptions)) {
    out->updater_plugin.options = config->Text(SettingId::kUpdaterPluginOptions);
    if (out->updater_plugin.file.empty()) {
      return config->Wrong(SettingId::kUpdaterPluginOptions, "updater-plugin beside it");
    }
  }
  out->shared_memory = config->Text(SettingId::kSharedMemory) == "auto";
  out->key_stats = config->IsOn(SettingId::kKeyStats);
  out->core.nan_policy = *NanPolicyOf(config->Text(SettingId::kNanPolicy));  // a word of the row
  // The rest is for the program itself, the transport's buffers and what is on its way.
  config->SetDefault(SettingId::kValueMib,
                     std::to_string(std::max<uint64_t>((MemoryBytes() / 10 * 8) >> 20, 1)));
  // The budgets are the server's; a core is one shard of it.
  const auto share = [&](SettingId mib) {
    return std::max<uint64_t>(BytesOf(*config, mib) / out->shards, 1);
  };
  out->core.parked_bytes_max = share(SettingId::kParkedMib);
  out->core.value_bytes_max = share(SettingId::kValueMib);
  out->profile_bytes_max = BytesOf(*config, SettingId::kProfileMib);
  return absl::OkStatus();
}

template <typename Options>
ParseResult<Options> Parse(Programs program, const char* name, const char* about,
                           absl::Status (*read)(Config*, Options*),
                           const std::vector<std::string>& arguments,
                           const VariableLookup& environment, std::ostream& out,
                           std::ostream& err) {
  const CommandLineResult parsed =
      ReadCommandLine(program, {name, about, kFooter, KVSTORE_VERSION}, arguments);
  if (!parsed.line) {
    (parsed.exit_code == 0 ? out : err) << parsed.text;
    return {std::nullopt, parsed.exit_code};
  }
  const auto wrong = [&](const absl::Status& status) -> ParseResult<Options> {
    err << name << ": " << status.message() << "\n";
    return {std::nullopt, kExitWrongSettings};
  };
  absl::StatusOr<Config> config = Config::Read(program, parsed.line->flags, environment);
  if (!config.ok()) return wrong(config.status());
  Options options;
  if (const absl::Status status = read(&*config, &options); !status.ok()) return wrong(status);
  if (parsed.line->print_config) {
    out << config->Print();
    return {std::nullopt, 0};
  }
  return {std::move(options), 0};
}

}  // namespace

ParseResult<SchedulerDaemonOptions> ParseSchedulerOptions(const std::vector<std::string>& arguments,
                                                          const VariableLookup& environment,
                                                          std::ostream& out, std::ostream& err) {
  return Parse<SchedulerDaemonOptions>(kSchedulerProgram, "kvscheduler", kAboutScheduler,
                                       &ReadScheduler, arguments, environment, out, err);
}

ParseResult<ServerDaemonOptions> ParseServerOptions(const std::vector<std::string>& arguments,
                                                    const VariableLookup& environment,
                                                    std::ostream& out, std::ostream& err) {
  return Parse<ServerDaemonOptions>(kServerProgram, "kvstored", kAboutServer, &ReadServer,
                                    arguments, environment, out, err);
}

}  // namespace kvstore
