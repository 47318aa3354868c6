#include "client/base/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/transport/host_port.h"

namespace kvstore {
namespace {

// A variable that is set: what it is called and what it holds.
struct Setting {
  std::string name;
  std::string value;
};

// The first of `names` that is set. Our own names come first in every list.
std::optional<Setting> First(const VariableLookup& lookup,
                             std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto value = lookup(name)) return Setting{name, std::move(*value)};
  }
  return std::nullopt;
}

absl::Status Wrong(const Setting& setting, std::string_view expected) {
  return absl::InvalidArgumentError(
      fmt::format("{}: {} expected, got '{}'", setting.name, expected, setting.value));
}

// Decimal digits and nothing else.
absl::StatusOr<int64_t> Number(const Setting& setting, int64_t min, int64_t max) {
  int64_t number = 0;
  const char* end = setting.value.data() + setting.value.size();
  const auto parsed = std::from_chars(setting.value.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < min || number > max) {
    return Wrong(setting, fmt::format("a number from {} to {}", min, max));
  }
  return number;
}

constexpr int64_t kRanksMax = 1 << 20;
constexpr int64_t kTimeoutMsMax = int64_t{1} << 40;  // 34 years; in ns, and from now, no overflow

absl::Status ReadRole(const VariableLookup& lookup, Environment* out) {
  const auto role = First(lookup, {"KVSTORE_ROLE", "DMLC_ROLE"});
  if (!role.has_value() || role->value == "worker") return absl::OkStatus();
  if (role->value == "server") {
    out->role = NodeRole::kServerRole;
  } else if (role->value == "scheduler") {
    out->role = NodeRole::kSchedulerRole;
  } else {
    return Wrong(*role, "worker, server or scheduler");
  }
  return absl::OkStatus();
}

absl::Status ReadScheduler(const VariableLookup& lookup, Environment* out) {
  if (const auto address = First(lookup, {"KVSTORE_SCHEDULER"})) {
    const auto parsed = ParseHostPort(address->value);
    if (!parsed.ok() || parsed->port == 0) return Wrong(*address, "HOST:PORT of the scheduler");
    out->scheduler = address->value;
    return absl::OkStatus();
  }
  const auto host = First(lookup, {"DMLC_PS_ROOT_URI"});
  const auto port = First(lookup, {"DMLC_PS_ROOT_PORT"});
  if (!host.has_value() && !port.has_value()) return absl::OkStatus();
  if (!host.has_value() || !port.has_value()) {
    return absl::InvalidArgumentError(
        fmt::format("DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT expected together, only {} is set",
                    host.has_value() ? host->name : port->name));
  }
  if (host->value.empty()) return Wrong(*host, "the scheduler's host");
  KVS_ASSIGN_OR_RETURN(const int64_t number, Number(*port, 1, 65535));
  HostPort address;
  address.host = host->value;
  address.port = static_cast<int>(number);
  out->scheduler = HostPortString(address);
  return absl::OkStatus();
}

absl::Status ReadCounts(const VariableLookup& lookup, Environment* out) {
  if (const auto n = First(lookup, {"KVSTORE_NUM_WORKERS", "DMLC_NUM_WORKER"})) {
    KVS_ASSIGN_OR_RETURN(const int64_t number, Number(*n, 1, kRanksMax));
    out->workers = static_cast<uint32_t>(number);
  }
  if (const auto n = First(lookup, {"KVSTORE_NUM_SERVERS", "DMLC_NUM_SERVER"})) {
    KVS_ASSIGN_OR_RETURN(const int64_t number, Number(*n, 1, kRanksMax));
    out->servers = static_cast<uint32_t>(number);
  }
  return absl::OkStatus();
}

absl::Status ReadRank(const VariableLookup& lookup, Environment* out) {
  if (const auto rank = First(lookup, {"KVSTORE_RANK", "DMLC_WORKER_ID"})) {
    KVS_ASSIGN_OR_RETURN(const int64_t number, Number(*rank, 0, kRanksMax - 1));
    out->rank = static_cast<uint32_t>(number);
    return absl::OkStatus();
  }
  // A launcher's rank is ours only if its world is our job.
  for (const auto& [rank_name, world_name] :
       {std::pair("RANK", "WORLD_SIZE"), std::pair("SLURM_PROCID", "SLURM_NTASKS")}) {
    const auto rank = First(lookup, {rank_name});
    const auto world = First(lookup, {world_name});
    if (!rank.has_value() || !world.has_value()) continue;
    KVS_ASSIGN_OR_RETURN(const int64_t size, Number(*world, 1, kRanksMax));
    KVS_ASSIGN_OR_RETURN(const int64_t number, Number(*rank, 0, size - 1));
    if (out->workers != 0 && size != out->workers) {
      out->warnings.push_back(fmt::format("{}={} has no effect: {}={}, but the job has {} workers",
                                          rank_name, number, world_name, size, out->workers));
      continue;
    }
    out->rank = static_cast<uint32_t>(number);
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status ReadTimes(const VariableLookup& lookup, Environment* out) {
  if (const auto scale = First(lookup, {"KVSTORE_TIME_SCALE"})) {
    char* end = nullptr;
    out->time_scale = std::strtod(scale->value.c_str(), &end);
    const bool whole = !scale->value.empty() && *end == '\0';
    if (!whole || !std::isfinite(out->time_scale) || out->time_scale < 0.001 ||
        out->time_scale > 1000) {
      return Wrong(*scale, "a factor from 0.001 to 1000");
    }
  }
  for (const auto& [name, field] :
       {std::pair("KVSTORE_CONNECT_TIMEOUT_MS", &out->connect_timeout_ms),
        std::pair("KVSTORE_OP_TIMEOUT_MS", &out->operation_timeout_ms)}) {
    if (const auto timeout = First(lookup, {name})) {
      KVS_ASSIGN_OR_RETURN(*field, Number(*timeout, 1, kTimeoutMsMax));
    }
    const double scaled = static_cast<double>(*field) * out->time_scale;
    *field = std::clamp<int64_t>(static_cast<int64_t>(scaled), 1, kTimeoutMsMax);
  }
  return absl::OkStatus();
}

// Known to users of MXNet and ps-lite, and without effect here.
void WarnOfTheOthers(const VariableLookup& lookup, Environment* out) {
  struct Ignored {
    const char* name;
    const char* why;
  };
  static constexpr char kCut[] = "the cut of values into parts is a property of the cluster";
  static constexpr Ignored kIgnored[] = {
      {"MXNET_KVSTORE_BIGARRAY_BOUND", kCut},
      {"MXNET_KVSTORE_SLICE_THRESHOLD", kCut},
      {"MXNET_KVSTORE_REDUCTION_NTHREADS", "a store sums on one thread of its own"},
      {"MXNET_ENABLE_GPU_P2P", "arrays are in host memory"},
      {"PS_VERBOSE", "the SDK logs warnings only"},
      {"PS_HEARTBEAT_INTERVAL", "the scheduler tells its nodes how often it wants to hear of them"},
      {"PS_HEARTBEAT_TIMEOUT", "the scheduler decides who is dead; kvscheduler has flags for it"},
      {"DMLC_INTERFACE", "nobody dials a worker"},
  };
  for (const Ignored& ignored : kIgnored) {
    if (const auto value = lookup(ignored.name)) {
      out->warnings.push_back(
          fmt::format("{}={} has no effect: {}", ignored.name, *value, ignored.why));
    }
  }
  if (const auto van = lookup("DMLC_PS_VAN_TYPE"); van.has_value() && *van != "p3") {
    // p3 asks for slices and priorities, which are always on.
    out->warnings.push_back(
        fmt::format("DMLC_PS_VAN_TYPE={} has no effect: the transport is gRPC", *van));
  }
}

struct ProcessSettings {
  Mutex mutex;
  std::map<std::string, std::string> settings KVS_GUARDED_BY(mutex);
};
ProcessSettings& Settings() {
  static ProcessSettings& settings = *new ProcessSettings;  // read by stores of any lifetime
  return settings;
}

}  // namespace

absl::StatusOr<Environment> ReadEnvironment(const VariableLookup& lookup) {
  Environment environment;
  KVS_RETURN_IF_ERROR(ReadRole(lookup, &environment));
  KVS_RETURN_IF_ERROR(ReadScheduler(lookup, &environment));
  KVS_RETURN_IF_ERROR(ReadCounts(lookup, &environment));
  KVS_RETURN_IF_ERROR(ReadRank(lookup, &environment));
  KVS_RETURN_IF_ERROR(ReadTimes(lookup, &environment));
  if (auto host = First(lookup, {"KVSTORE_NODE_HOST", "DMLC_NODE_HOST"})) {
    environment.node_host = std::move(host->value);
  }
  WarnOfTheOthers(lookup, &environment);
  return environment;
}

std::optional<std::string> ProcessVariable(const std::string& name) {
  ProcessSettings& process = Settings();
  {
    MutexLock lock(process.mutex);
    const auto it = process.settings.find(name);
    if (it != process.settings.end()) return it->second;
  }
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

absl::StatusOr<Environment> ReadEnvironment() { return ReadEnvironment(ProcessVariable); }

void SetProcessEnvironment(const std::map<std::string, std::string>& settings) {
  ProcessSettings& process = Settings();
  MutexLock lock(process.mutex);
  for (const auto& [name, value] : settings) process.settings[name] = value;
}

}  // namespace kvstore
