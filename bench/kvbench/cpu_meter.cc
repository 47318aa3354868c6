#include "bench/kvbench/cpu_meter.h"

#include <unistd.h>

#include <utility>

#include "bench/kvbench/machine.h"

namespace kvstore::bench {

CpuMeter::CpuMeter(std::vector<pid_t> servers) : servers_(std::move(servers)) {}

void CpuMeter::Start() {
  client_start_ = CpuSecondsOf(getpid());
  server_start_ = ServersNow();
}

void CpuMeter::Stop(Sample* sample) const {
  sample->client_cpu_s = CpuSecondsOf(getpid()) - client_start_;
  if (!servers_.empty()) sample->server_cpu_s = ServersNow() - server_start_;
}

double CpuMeter::ServersNow() const {
  double sum = 0;
  for (const pid_t server : servers_) sum += CpuSecondsOf(server);
  return sum;
}

}  // namespace kvstore::bench
