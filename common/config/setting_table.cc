#include "common/config/setting_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kvstore {
namespace {

constexpr double kRanksMax = 1 << 20;
constexpr double kShardsMax = 1024;
constexpr double kTimeoutMsMax = int64_t{1} << 40;  // 34 years; in ns, and from now, no overflow
constexpr double kMibMax = 1 << 30;
constexpr double kReductionThreadsMax = 64;

constexpr Programs kDaemons = kSchedulerProgram | kServerProgram;
constexpr Programs kEverybody = kDaemons | kWorkerProgram;

constexpr char kGeneral[] = "Options";  // where --help and --version are
constexpr char kAddresses[] = "Addresses";
constexpr char kCluster[] = "Cluster";
constexpr char kTimers[] = "Timers";
constexpr char kOther[] = "Other";

SettingForm Text() { return {SettingForm::kText, 0, 0, {}}; }
SettingForm Host() { return {SettingForm::kHost, 0, 0, {}}; }
SettingForm Address(int port_min) { return {SettingForm::kAddress, double(port_min), 65535, {}}; }
SettingForm Whole(double min, double max) { return {SettingForm::kWholeNumber, min, max, {}}; }
SettingForm Number(double min, double max) { return {SettingForm::kNumber, min, max, {}}; }
SettingForm Switch() { return {SettingForm::kSwitch, 0, 0, {}}; }
SettingForm Word(std::vector<std::string> words) {
  return {SettingForm::kWord, 0, 0, std::move(words)};
}

SettingVariable Same(const char* name) { return {name, VariableForm::kSame, ""}; }
SettingVariable Seconds(const char* name) { return {name, VariableForm::kSeconds, ""}; }
SettingVariable HostWithPort(const char* host, const char* port) {
  return {host, VariableForm::kHostWithPort, port};
}
SettingVariable RankInWorld(const char* rank, const char* world) {
  return {rank, VariableForm::kRankInWorld, world};
}

// clang-format off
std::vector<SettingSpec> MakeTable() {
  const SettingVariable root = HostWithPort("DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT");
  return {
      {SettingId::kConfig, "config", kEverybody, 0, Text(), "FILE", "",
       {Same("KVSTORE_CONFIG")}, true, kGeneral,
       "a file of lines `name = value`, where name is a flag's without the dashes and # begins a "
       "comment; the names of the other programs may be in it too"},

      {SettingId::kRole, "role", kWorkerProgram, 0, Word({"worker", "server", "scheduler", "reader"}),
       "ROLE", "worker", {Same("KVSTORE_ROLE"), Same("DMLC_ROLE")}, true, kCluster,
       "what the Is*Node() calls answer and what a dist store is: a reader only reads the values of a "
       "job that runs, a server or scheduler only runs RunServer"},

      {SettingId::kSchedulerAddress, "scheduler", kServerProgram | kWorkerProgram, kServerProgram,
       Address(1), "HOST:PORT", "", {Same("KVSTORE_SCHEDULER"), root}, true, kAddresses,
       "the scheduler of the cluster"},
      {SettingId::kListen, "listen", kSchedulerProgram, 0, Address(0), "HOST:PORT",
       "127.0.0.1:7070", {Same("KVSTORE_LISTEN"), root}, true, kAddresses,
       "where to listen, IPv6 as [::1]:7070; port 0 lets the system choose"},
      {SettingId::kListen, "listen", kServerProgram, 0, Address(0), "HOST:PORT", "",
       {Same("KVSTORE_LISTEN")}, true, kAddresses,
       "where to listen, IPv6 as [::1]:0; port 0 lets the system choose; default: port 0 of the "
       "interface, or of all addresses if node-host says what to advertise, or of this host's "
       "address on the way to the scheduler"},
      {SettingId::kAdvertise, "advertise", kSchedulerProgram, 0, Address(0), "HOST:PORT", "",
       {Same("KVSTORE_ADVERTISE")}, true, kAddresses,
       "where others reach it, if that is another address (port 0: the one bound); default: the "
       "listening one, with this host's name for 0.0.0.0"},
      {SettingId::kAdvertise, "advertise", kServerProgram, 0, Address(0), "HOST:PORT", "",
       {Same("KVSTORE_ADVERTISE")}, true, kAddresses,
       "where workers reach it, if that is another address (port 0: the one bound); default: the "
       "listening one, and for 0.0.0.0 node-host, the address of the interface, or this host's on "
       "the way to the scheduler"},
      {SettingId::kInterface, "interface", kServerProgram, 0, Text(), "NAME", "",
       {Same("KVSTORE_INTERFACE"), Same("DMLC_INTERFACE")}, true, kAddresses,
       "the network interface whose address is listened on and advertised"},
      {SettingId::kNodeHost, "node-host", kServerProgram | kWorkerProgram, 0, Host(), "HOST", "",
       {Same("KVSTORE_NODE_HOST"), Same("DMLC_NODE_HOST")}, true, kAddresses,
       "the name that others know this host by: a server advertises it, a worker has it in "
       "messages"},

      {SettingId::kWorkers, "workers", kSchedulerProgram | kWorkerProgram, kSchedulerProgram,
       Whole(1, kRanksMax), "N", "", {Same("KVSTORE_NUM_WORKERS"), Same("DMLC_NUM_WORKER")}, true,
       kCluster, "workers of a job"},
      {SettingId::kServers, "servers", kSchedulerProgram | kWorkerProgram, kSchedulerProgram,
       Whole(1, kRanksMax), "N", "", {Same("KVSTORE_NUM_SERVERS"), Same("DMLC_NUM_SERVER")}, true,
       kCluster, "servers of the cluster"},
      {SettingId::kRank, "rank", kServerProgram, 0, Whole(0, kRanksMax - 1), "R", "",
       {Same("KVSTORE_SERVER_RANK")}, true, kCluster,
       "the server rank to ask for; default: any that is free"},
      {SettingId::kRank, "rank", kWorkerProgram, 0, Whole(0, kRanksMax - 1), "R", "",
       {Same("KVSTORE_RANK"), Same("DMLC_WORKER_ID"), RankInWorld("RANK", "WORLD_SIZE"),
        RankInWorld("SLURM_PROCID", "SLURM_NTASKS")}, true, kCluster,
       "the worker rank to ask for; default: any that is free"},
      {SettingId::kStateDir, "state-dir", kSchedulerProgram, 0, Text(), "DIR", "",
       {Same("KVSTORE_STATE_DIR")}, true, kCluster,
       "where the state is kept across restarts, made if it is not there; default: in memory only, "
       "so that a restart ends the job"},

      {SettingId::kShards, "shards", kServerProgram, 0, Whole(1, kShardsMax), "N", "",
       {Same("KVSTORE_SHARDS")}, false, kCluster,
       "threads that each own a share of its keys; default: the CPUs that affinity and cgroup "
       "allow, at most 64"},
      {SettingId::kParkedMib, "parked-mib", kServerProgram, 0, Whole(1, kMibMax), "MIB", "256",
       {Same("KVSTORE_PARKED_MIB")}, false, kCluster,
       "memory for contributions that came out of order; over it workers are asked to send again "
       "later"},
      {SettingId::kValueMib, "value-mib", kServerProgram, 0, Whole(1, kMibMax), "MIB", "",
       {Same("KVSTORE_VALUE_MIB")}, false, kCluster,
       "memory for the values of its keys and what updating them takes; an Init over it is "
       "refused; default: 80 % of what machine and cgroup have"},
      {SettingId::kProfileMib, "profile-mib", kServerProgram | kWorkerProgram, 0, Whole(1, kMibMax), "MIB", "64",
       {Same("KVSTORE_PROFILE_MIB")}, false, kOther,
       "memory for what the profiler records, taken only while there is a recording; 16,000 events "
       "take one; what comes when it is full is counted and lost"},
      {SettingId::kProfile, "profile", kWorkerProgram, 0, Text(), "FILE", "",
       {Same("KVSTORE_PROFILE")}, false, kOther,
       "a worker or reader records what it does, and when its last dist store goes it writes "
       "worker<r>_, or reader-<host>-<pid>_, and this name, in the same folder; default: it records "
       "nothing"},
      {SettingId::kNetworkMib, "network-mib", kDaemons, 0, Whole(16, kMibMax), "MIB", "",
       {Same("KVSTORE_NETWORK_MIB")}, false, kOther,
       "memory for what all connections together have on their way; over it gRPC breaks streams, "
       "and they are dialled again; allow 8 for each worker and shard; default: an eighth of what "
       "machine and cgroup have, at least 256"},

      {SettingId::kSharedMemory, "shared-memory", kServerProgram | kWorkerProgram, 0,
       Word({"auto", "off"}), "WHEN", "auto", {Same("KVSTORE_SHARED_MEMORY")}, false, kOther,
       "auto: between a worker and a server of one host and one user values go through memory that "
       "both have, 16 MiB for each worker and shard; off: over the network, as between hosts"},

      {SettingId::kTlsDir, "tls-dir", kEverybody, 0, Text(), "DIR", "",
       {Same("KVSTORE_TLS_DIR")}, false, kOther,
       "mutual TLS 1.3 on every connection, with cert.pem, key.pem and ca.pem of this folder; new "
       "files there are taken while the process runs; default: connections are neither encrypted "
       "nor authenticated"},
      {SettingId::kRequireTls, "require-tls", kDaemons, 0, Switch(), "", "false",
       {Same("KVSTORE_REQUIRE_TLS")}, false, kOther, "do not start without tls-dir"},

      {SettingId::kUpdaterPlugin, "updater-plugin", kServerProgram, 0, Text(), "FILE", "",
       {Same("KVSTORE_UPDATER_PLUGIN")}, false, kCluster,
       "a shared object with the updater of all its keys (docs/extending.md); the same on every "
       "server of a cluster"},
      {SettingId::kUpdaterPluginOptions, "updater-plugin-options", kServerProgram, 0, Text(), "OPTIONS",
       "", {Same("KVSTORE_UPDATER_PLUGIN_OPTIONS")}, false, kCluster,
       "what the plugin is told when it is loaded, in words of its own"},

      {SettingId::kNanPolicy, "nan-policy", kServerProgram | kWorkerProgram, 0,
       Word({"allow", "warn", "reject", "zero"}), "POLICY", "allow", {Same("KVSTORE_NAN_POLICY")},
       false, kCluster,
       "what becomes of a push with NaNs or infinities: nothing is looked at; it is logged and "
       "counted; it is refused; each counts as 0. The same for all workers and servers"},

      {SettingId::kPushCopy, "push-copy", kWorkerProgram, 0, Switch(), "", "false",
       {Same("KVSTORE_PUSH_COPY")}, false, kOther,
       "dist stores copy what is pushed, so that an array may be written again before its round is "
       "over"},

      {SettingId::kReductionThreads, "reduction-threads", kWorkerProgram, 0,
       Whole(1, kReductionThreadsMax), "N", "",
       {Same("KVSTORE_REDUCTION_THREADS"), Same("MXNET_KVSTORE_REDUCTION_NTHREADS")}, false, kOther,
       "threads of a store that share the sum, update and copies of a large value; the bits are the "
       "same with any number; default: the CPUs that affinity and cgroup allow, at most 4"},

      {SettingId::kCudaPlugin, "cuda-plugin", kWorkerProgram, 0, Text(), "FILE", "",
       {Same("KVSTORE_CUDA_PLUGIN")}, false, kOther,
       "the shared object that computes on GPUs, opened when the program first names one; default: "
       "libkvstore_cuda.so, where the loader finds it"},
      {SettingId::kNcclLib, "nccl-lib", kWorkerProgram, 0, Text(), "FILE", "",
       {Same("KVSTORE_NCCL_LIB")}, false, kOther,
       "NVIDIA's library of collectives; default: libnccl.so.2, where the loader finds it"},

      {SettingId::kKeyStats, "key-stats", kServerProgram, 0, Switch(), "", "false",
       {Same("KVSTORE_KEY_STATS")}, false, kCluster,
       "measure the sum of every round (one more pass over it), for kvctl stats"},

      {SettingId::kHeartbeatMs, "heartbeat-ms", kSchedulerProgram, 0, Whole(1, kTimeoutMsMax), "MS",
       "1000", {Same("KVSTORE_HEARTBEAT_MS"), Seconds("PS_HEARTBEAT_INTERVAL")}, false, kTimers,
       "how often nodes are to be heard"},
      {SettingId::kSuspectMs, "suspect-ms", kSchedulerProgram, 0, Whole(1, kTimeoutMsMax), "MS", "",
       {Same("KVSTORE_SUSPECT_MS")}, false, kTimers,
       "silent for so long: shown as suspect; default: 3000, at least three heartbeats"},
      {SettingId::kLostDeadMs, "lost-dead-ms", kSchedulerProgram, 0, Whole(1, kTimeoutMsMax), "MS",
       "5000", {Same("KVSTORE_LOST_DEAD_MS")}, false, kTimers,
       "connection lost and not back for so long: dead, and the job ends"},
      {SettingId::kSilentDeadMs, "silent-dead-ms", kSchedulerProgram, 0, Whole(1, kTimeoutMsMax),
       "MS", "60000", {Same("KVSTORE_SILENT_DEAD_MS"), Seconds("PS_HEARTBEAT_TIMEOUT")}, false,
       kTimers, "silent for so long: dead"},
      {SettingId::kConnectTimeoutMs, "connect-timeout-ms", kServerProgram | kWorkerProgram, 0,
       Whole(1, kTimeoutMsMax), "MS", "60000", {Same("KVSTORE_CONNECT_TIMEOUT_MS")}, false, kTimers,
       "a server: until it must be registered; a worker: until the cluster must be complete"},
      {SettingId::kOpTimeoutMs, "op-timeout-ms", kWorkerProgram, 0, Whole(1, kTimeoutMsMax), "MS",
       "300000", {Same("KVSTORE_OP_TIMEOUT_MS")}, false, kTimers,
       "until a wait ends with an error that names who is missing"},
      {SettingId::kTimeScale, "time-scale", kEverybody, 0, Number(0.001, 1000), "FACTOR", "1",
       {Same("KVSTORE_TIME_SCALE")}, true, kTimers,
       "multiplies every timer and timeout but gRPC's own (keepalive 10 s and 5 s, dialling 3 s); "
       "for crowded machines and sanitizers"},

      {SettingId::kLogLevel, "log-level", kDaemons, 0,
       Word({"trace", "debug", "info", "warn", "error", "off"}), "LEVEL", "info",
       {Same("KVSTORE_LOG_LEVEL")}, false, kOther, "what is logged, on stderr"},
      {SettingId::kExitWithJob, "exit-with-job", kDaemons, 0, Switch(), "", "false",
       {Same("KVSTORE_EXIT_WITH_JOB")}, false, kOther,
       "end when the job ends: exit code 0 if all workers left in order, 1 if it failed"},
  };
}

std::vector<IgnoredVariable> MakeIgnored() {
  constexpr char kCut[] = "the cut of values into parts is a property of the cluster";
  return {
      {"MXNET_KVSTORE_BIGARRAY_BOUND", kCut, ""},
      {"MXNET_KVSTORE_SLICE_THRESHOLD", kCut, ""},
      {"MXNET_ENABLE_GPU_P2P", "what another GPU has is copied to the one that sums it", ""},
      {"PS_VERBOSE", "the SDK logs warnings only", ""},
      {"PS_HEARTBEAT_INTERVAL",
       "the scheduler tells its nodes how often it wants to hear of them", ""},
      {"PS_HEARTBEAT_TIMEOUT",
       "the scheduler decides who is dead; kvscheduler has flags for it", ""},
      {"DMLC_INTERFACE", "nobody dials a worker", ""},
      // p3 asks for slices and priorities, which are always on.
      {"DMLC_PS_VAN_TYPE", "the transport is gRPC", "p3"},
  };
}
// clang-format on

std::string ProgramNames(Programs programs) {
  std::vector<std::string> names;
  if ((programs & kSchedulerProgram) != 0) names.emplace_back("kvscheduler");
  if ((programs & kServerProgram) != 0) names.emplace_back("kvstored");
  if ((programs & kWorkerProgram) != 0) names.emplace_back("worker");
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string VariableText(const SettingVariable& variable) {
  std::string text = fmt::format("`{}`", variable.name);
  switch (variable.form) {
    case VariableForm::kSame:
      break;
    case VariableForm::kSeconds:
      text += " (seconds)";
      break;
    case VariableForm::kHostWithPort:
    case VariableForm::kRankInWorld:
      text += fmt::format(" with `{}`", variable.partner);
      break;
  }
  return text;
}

std::string RuleText(const SettingSpec& spec) {
  switch (spec.form.kind) {
    case SettingForm::kWholeNumber:
    case SettingForm::kNumber:
      // 2^40 and the like say nothing to anybody.
      if (spec.form.max > 1e6) {
        return fmt::format("{}, from {:g}", spec.value_name, spec.form.min);
      }
      return fmt::format("{}, {:g} to {:g}", spec.value_name, spec.form.min, spec.form.max);
    case SettingForm::kWord:
      return fmt::format("{}", fmt::join(spec.form.words, ", "));
    case SettingForm::kSwitch:
      return "true, false";
    default:
      return spec.value_name;
  }
}

}  // namespace

const std::vector<SettingSpec>& SettingTable() {
  static const std::vector<SettingSpec>& table = *new std::vector<SettingSpec>(MakeTable());
  return table;
}

const std::vector<IgnoredVariable>& IgnoredVariables() {
  static const std::vector<IgnoredVariable>& ignored =
      *new std::vector<IgnoredVariable>(MakeIgnored());
  return ignored;
}

std::vector<std::string> PlaceVariables() {
  std::set<std::string> names;
  const auto add = [&names](const std::string& name) {
    if (name.rfind("KVSTORE_", 0) == 0 || name.rfind("DMLC_", 0) == 0) names.insert(name);
  };
  for (const SettingSpec& spec : SettingTable()) {
    if (!spec.is_place) continue;
    for (const SettingVariable& variable : spec.variables) {
      add(variable.name);
      add(variable.partner);
    }
  }
  return {names.begin(), names.end()};
}

std::string SettingsAsMarkdown() {
  std::string text =
      "| name | of | variables, the first that is set | value | default | meaning |\n"
      "|---|---|---|---|---|---|\n";
  for (const SettingSpec& spec : SettingTable()) {
    std::vector<std::string> variables;
    for (const SettingVariable& variable : spec.variables) {
      variables.push_back(VariableText(variable));
    }
    // If the default is computed, `help` says how.
    const size_t computed = spec.help.find("; default: ");
    const std::string meaning = spec.help.substr(0, computed);
    std::string by_default = spec.default_text;
    if (computed != std::string::npos) by_default = spec.help.substr(computed + 11);
    if (spec.required_by != 0) {
      by_default = fmt::format("{} must have it", ProgramNames(spec.required_by));
    }
    text +=
        fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", spec.name, ProgramNames(spec.programs),
                    fmt::join(variables, ", "), RuleText(spec), by_default, meaning);
  }
  return text;
}

}  // namespace kvstore
