#include "client/base/environment.h"

#include <algorithm>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/config/unknown_variables.h"
#include "common/transport/host_port.h"

namespace kvstore {
namespace {

constexpr int64_t kTimeoutMsMax = int64_t{1} << 40;  // 34 years; in ns, and from now, no overflow

NodeRole RoleOf(const std::string& name) {
  if (name == "server") return NodeRole::kServerRole;
  if (name == "reader") return NodeRole::kReaderRole;
  return name == "scheduler" ? NodeRole::kSchedulerRole : NodeRole::kWorkerRole;
}

int64_t ScaledTimeout(const Config& config, SettingId id) {
  const double scaled =
      static_cast<double>(config.WholeNumber(id)) * config.Number(SettingId::kTimeScale);
  return std::clamp<int64_t>(static_cast<int64_t>(scaled), 1, kTimeoutMsMax);
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
  KVS_ASSIGN_OR_RETURN(const Config config, Config::Read(kWorkerProgram, {}, lookup));
  const auto number = [&config](SettingId id) {
    return config.Has(id) ? static_cast<uint32_t>(config.WholeNumber(id)) : 0;
  };
  Environment environment;
  environment.role = RoleOf(config.Text(SettingId::kRole));
  if (config.Has(SettingId::kSchedulerAddress)) {
    environment.scheduler =
        HostPortString(*ParseHostPort(config.Text(SettingId::kSchedulerAddress)));
  }
  environment.workers = number(SettingId::kWorkers);
  environment.servers = number(SettingId::kServers);
  if (config.Has(SettingId::kRank)) environment.rank = number(SettingId::kRank);
  if (config.Has(SettingId::kNodeHost)) environment.node_host = config.Text(SettingId::kNodeHost);
  environment.time_scale = config.Number(SettingId::kTimeScale);
  environment.connect_timeout_ms = ScaledTimeout(config, SettingId::kConnectTimeoutMs);
  environment.operation_timeout_ms = ScaledTimeout(config, SettingId::kOpTimeoutMs);
  environment.nan_policy = *NanPolicyOf(config.Text(SettingId::kNanPolicy));  // a word of the row
  if (config.Has(SettingId::kCudaPlugin)) {
    environment.cuda_plugin = config.Text(SettingId::kCudaPlugin);
  }
  if (config.Has(SettingId::kNcclLib)) environment.nccl_library = config.Text(SettingId::kNcclLib);
  environment.reduction_threads = number(SettingId::kReductionThreads);
  environment.push_copy = config.IsOn(SettingId::kPushCopy);
  environment.shared_memory = config.Text(SettingId::kSharedMemory) == "auto";
  if (config.Has(SettingId::kTlsDir)) environment.tls_dir = config.Text(SettingId::kTlsDir);
  if (config.Has(SettingId::kProfile)) environment.profile = config.Text(SettingId::kProfile);
  environment.profile_bytes_max = static_cast<uint64_t>(config.WholeNumber(SettingId::kProfileMib))
                                  << 20;
  environment.warnings = config.warnings();
  return environment;
}

std::optional<std::string> ProcessVariable(const std::string& name) {
  ProcessSettings& process = Settings();
  {
    MutexLock lock(process.mutex);
    const auto it = process.settings.find(name);
    if (it != process.settings.end()) return it->second;
  }
  return ProcessVariables()(name);
}

absl::StatusOr<Environment> ReadEnvironment() { return ReadEnvironment(ProcessVariable); }

std::vector<std::string> WarningsOfProcessVariables() {
  std::vector<std::string> names = ProcessVariableNames();
  {
    ProcessSettings& process = Settings();
    MutexLock lock(process.mutex);
    for (const auto& [name, value] : process.settings) names.push_back(name);
  }
  return WarningsOfUnknownVariables(names);
}

void SetProcessEnvironment(const std::map<std::string, std::string>& settings) {
  ProcessSettings& process = Settings();
  MutexLock lock(process.mutex);
  for (const auto& [name, value] : settings) process.settings[name] = value;
}

}  // namespace kvstore
