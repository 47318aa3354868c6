// CPU time spent by this process and by the servers since a moment.
#pragma once

#include <sys/types.h>

#include <vector>

#include "bench/kvbench/cases.h"

namespace kvstore::bench {

class CpuMeter {
 public:
  explicit CpuMeter(std::vector<pid_t> servers);
  void Start();
  // Fills in client_cpu_s and server_cpu_s since Start().
  void Stop(Sample* sample) const;

 private:
  double ServersNow() const;

  const std::vector<pid_t> servers_;
  double client_start_ = 0;
  double server_start_ = 0;
};

}  // namespace kvstore::bench
