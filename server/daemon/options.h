// The options of the daemons, made of their settings (common/config). What is wrong is named by
// where it came from, and ends the process with exit code 2.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "server/core/server_core.h"
#include "server/scheduler/core/scheduler_core.h"

namespace kvstore {

struct DaemonOptions {
  double time_scale = 1;  // every duration of these options is multiplied by it already
  // What all connections together may hold in the transport's buffers.
  uint64_t network_bytes_max = 0;
  // A folder that is not looked at here; empty: no TLS. `label`: where it came from, for errors.
  struct {
    std::string folder;
    std::string label;
  } tls;
  std::string log_level;
  bool exit_with_job = false;
  std::vector<std::string> warnings;  // to be logged
  std::string said;                   // Config::Said
};

struct SchedulerDaemonOptions : DaemonOptions {
  SchedulerOptions core;
  std::string listen;     // HOST:PORT; port 0: the system chooses
  std::string advertise;  // HOST:PORT that others dial; port 0: the one that was bound
  std::string state_dir;  // empty: in memory only
  int64_t first_message_ms = 10000;
};

struct ServerDaemonOptions : DaemonOptions {
  std::string scheduler;
  // As in ServerNodeOptions: empty where the way to the scheduler decides.
  std::string listen;
  std::string advertise;
  uint32_t shards = 1;
  std::optional<uint32_t> rank;
  int64_t connect_timeout_ms = 60000;
  // A file that is not looked at here; empty: none. `label`: where it came from, for errors.
  struct {
    std::string file;
    std::string options;
    std::string label;
  } updater_plugin;
  bool shared_memory = true;  // with workers of this host
  bool key_stats = false;     // as in ServerNodeOptions
  ServerCoreOptions core;
  uint64_t profile_bytes_max = 0;
};

// `options` is empty when the process is to end with `exit_code`: after --help, --version or
// --print-config (0, text on `out`), or an error (2, one line on `err`).
template <typename Options>
struct ParseResult {
  std::optional<Options> options;
  int exit_code = 0;
};
ParseResult<SchedulerDaemonOptions> ParseSchedulerOptions(const std::vector<std::string>& arguments,
                                                          const VariableLookup& environment,
                                                          std::ostream& out, std::ostream& err);
ParseResult<ServerDaemonOptions> ParseServerOptions(const std::vector<std::string>& arguments,
                                                    const VariableLookup& environment,
                                                    std::ostream& out, std::ostream& err);

}  // namespace kvstore
