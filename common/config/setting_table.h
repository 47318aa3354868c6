// The table of everything that can be set about a process of ours: kvscheduler, kvstored (also in a
// program of somebody else's), and the SDK in a worker. One row has a setting's name, its
// variables, what values it may have and what it means; command lines, --help, the reading of
// variables and files, --print-config and the table of docs/operations.md all follow from the rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvstore {

// Which programs have a setting: bits, so that a row can have several.
using Programs = unsigned;
inline constexpr Programs kSchedulerProgram = 1;
inline constexpr Programs kServerProgram = 2;
inline constexpr Programs kWorkerProgram = 4;  // has no command line of ours

// The settings. In each program a setting has one row.
enum class SettingId {
  kConfig,
  kRole,
  kSchedulerAddress,
  kListen,
  kAdvertise,
  kInterface,
  kNodeHost,
  kWorkers,
  kServers,
  kRank,
  kStateDir,
  kShards,
  kParkedMib,
  kValueMib,
  kProfileMib,
  kProfile,
  kNetworkMib,
  kSharedMemory,
  kTlsDir,
  kRequireTls,
  kUpdaterPlugin,
  kUpdaterPluginOptions,
  kNanPolicy,
  kPushCopy,
  kReductionThreads,
  kCudaPlugin,
  kNcclLib,
  kKeyStats,
  kHeartbeatMs,
  kSuspectMs,
  kLostDeadMs,
  kSilentDeadMs,
  kConnectTimeoutMs,
  kOpTimeoutMs,
  kTimeScale,
  kLogLevel,
  kExitWithJob,
};

// What a setting may hold.
struct SettingForm {
  enum Kind {
    kText,         // anything but nothing
    kHost,         // a name or an IP address
    kAddress,      // HOST:PORT, with a port of at least `min`
    kWholeNumber,  // `min` to `max`
    kNumber,       // `min` to `max`, with a fraction perhaps
    kWord,         // one of `words`
    kSwitch,       // true or false
  };
  Kind kind = kText;
  double min = 0;
  double max = 0;
  std::vector<std::string> words;
};

// How the text of a variable becomes that of its setting.
enum class VariableForm {
  kSame,
  // A whole number of seconds, where the setting counts in milliseconds. 0 turned the thing off in
  // ps-lite, and has no effect here, with a warning.
  kSeconds,
  // The host of an address whose port is in `partner`; one without the other is an error.
  kHostWithPort,
  // A rank in the world of a launcher, whose size is in `partner`. It counts if both are set and
  // the world is as large as the job, or the job's size was not said; else it has no effect, with a
  // warning.
  kRankInWorld,
};

struct SettingVariable {
  std::string name;
  VariableForm form = VariableForm::kSame;
  std::string partner;
};

struct SettingSpec {
  SettingId id;
  std::string name;  // "state-dir": --state-dir on a command line, state-dir = DIR in a file
  Programs programs = 0;
  Programs required_by = 0;
  SettingForm form;
  std::string value_name;  // "DIR", for --help; it says the unit, too
  // The value when nobody says one; empty where there is none, or where the program computes it
  // (then `help` says how).
  std::string default_text;
  std::vector<SettingVariable> variables;  // the first that is set counts
  // Tells a process which place it has in which cluster: a launcher hands none of these on.
  bool is_place = false;
  std::string group;  // the heading in --help
  std::string help;
};

const std::vector<SettingSpec>& SettingTable();

// A variable that users of MXNet and ps-lite know, and that has no effect in a worker of ours.
struct IgnoredVariable {
  std::string name;
  std::string why;
  std::string unless;  // a text that gets no warning
};
const std::vector<IgnoredVariable>& IgnoredVariables();

// The variables of the settings that are a process's place in a cluster: those of ours and
// MXNet's, not those of launchers (RANK, SLURM_PROCID), which are the program's too.
std::vector<std::string> PlaceVariables();

// The rows of `program` as the Markdown table of docs/operations.md.
std::string SettingsAsMarkdown();

}  // namespace kvstore
