// The machine under the figures: what it is, and which of its cores the two sides run on.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace kvstore::bench {

struct MachineInfo {
  std::string cpu;         // model name
  int cores = 0;           // that this process may use
  std::string kernel;      // "Linux 6.1.0 x86_64"
  std::string congestion;  // TCP congestion control of new sockets
  std::string commit;      // of the source when the build was configured; empty if unknown
};

MachineInfo DescribeMachine();

// Cores by number; an empty list stands for "wherever the kernel likes".
using Cores = std::vector<int>;

// The workers (clients) get the first half of the cores, the servers the others, so that neither
// side pushes the other off its core.
struct CorePlan {
  Cores clients;
  Cores servers;
};

// Empty lists if `pin` is false or there is only one core.
CorePlan PlanCores(bool pin);

// For the calling thread and, by inheritance, what it starts.
void RunOn(const Cores& cores);

// CPU seconds, user and kernel, used by a process so far; below 0 if the process is gone.
double CpuSecondsOf(pid_t process);

}  // namespace kvstore::bench
