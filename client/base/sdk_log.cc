#include "client/base/sdk_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <set>

#include "common/base/mutex.h"

namespace kvstore {
namespace {

struct Log {
  // Not in spdlog's registry, where a program's own logger of that name may be.
  spdlog::logger logger{"kvstore", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  Mutex mutex;
  std::set<std::string> said KVS_GUARDED_BY(mutex);
};

Log& ProcessLog() {
  static Log& log = *new Log;  // stores may warn while the process exits
  return log;
}

}  // namespace

void LogWarning(const std::string& line) { ProcessLog().logger.warn("{}", line); }

void LogWarningOnce(const std::string& line) {
  Log& log = ProcessLog();
  {
    MutexLock lock(log.mutex);
    if (!log.said.insert(line).second) return;
  }
  log.logger.warn("{}", line);
}

}  // namespace kvstore
