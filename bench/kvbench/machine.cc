#include "bench/kvbench/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <time.h>

#include <cstddef>
#include <fstream>

#include "commit.h"  // written by the build

namespace kvstore::bench {
namespace {

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string Congestion() {
  std::ifstream file("/proc/sys/net/ipv4/tcp_congestion_control");
  std::string name;
  return std::getline(file, name) ? name : "unknown";
}

std::string Kernel() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

Cores AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  Cores cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

}  // namespace

MachineInfo DescribeMachine() {
  MachineInfo info;
  info.cpu = CpuModel();
  info.cores = static_cast<int>(AllowedCores().size());
  info.kernel = Kernel();
  info.congestion = Congestion();
  info.commit = KVS_COMMIT;
  return info;
}

CorePlan PlanCores(bool pin) {
  const Cores all = AllowedCores();
  if (!pin || all.size() < 2) return {};
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  return {Cores(all.begin(), middle), Cores(middle, all.end())};
}

void RunOn(const Cores& cores) {
  if (cores.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores) CPU_SET(core, &set);
  // A refusal (a cpuset that shrank meanwhile) leaves the thread where it was.
  sched_setaffinity(0, sizeof set, &set);
}

double CpuSecondsOf(pid_t process) {
  clockid_t clock = 0;
  timespec time{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0) return -1;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace kvstore::bench
