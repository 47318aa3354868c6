#include "common/base/machine_limits.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore {

namespace {

std::optional<uint32_t> Cpus(double quota_us, double period_us) {
  if (!(quota_us > 0) || !(period_us > 0)) return std::nullopt;
  return static_cast<uint32_t>(std::clamp(std::ceil(quota_us / period_us), 1.0, 1e6));
}

// v2: "200000 100000", or "max 100000" for none.
std::optional<uint32_t> QuotaV2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota_us = 0, period_us = 0;
  if (!(file >> quota_us >> period_us)) return std::nullopt;
  return Cpus(quota_us, period_us);
}

// v1: a negative quota is none.
std::optional<uint32_t> QuotaV1(const std::string& folder) {
  std::ifstream quota(folder + "/cpu.cfs_quota_us");
  std::ifstream period(folder + "/cpu.cfs_period_us");
  double quota_us = 0, period_us = 0;
  if (!(quota >> quota_us) || !(period >> period_us)) return std::nullopt;
  return Cpus(quota_us, period_us);
}

// "/a/b" -> "", "/a", "/a/b". Inside of a container the path may not exist below the root; the
// folders that do not are skipped, and the root itself holds the container's quota.
std::vector<std::string> Ancestors(const std::string& path) {
  std::vector<std::string> result = {""};
  for (size_t at = 1; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    result.push_back(path.substr(0, slash));
    at = slash + 1;
  }
  return result;
}

// Calls visit(folder, is_v2) for each folder that may hold a limit of `controller` for the process.
template <typename Visit>
void VisitFolders(const std::string& cgroup_root, const std::string& proc_cgroup,
                  std::string_view controller, const Visit& visit) {
  std::ifstream file(proc_cgroup);
  // "0::/path" is v2, "4:cpu,cpuacct:/path" v1.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    bool ours = false;
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) ours = ours || name == controller;
    if (!controllers.empty() && !ours) continue;
    for (const std::string& folder : Ancestors(path)) {
      if (controllers.empty()) {
        visit(cgroup_root + folder, true);
      } else {
        visit(cgroup_root + "/" + controllers + folder, false);
        visit(cgroup_root + "/" + std::string(controller) + folder, false);
      }
    }
  }
}

// "1073741824"; "max", or v1's number near 2^63, for none.
std::optional<uint64_t> MemoryLimitIn(const std::string& file_name) {
  std::ifstream file(file_name);
  uint64_t bytes = 0;
  if (!(file >> bytes) || bytes >= uint64_t{1} << 62) return std::nullopt;
  return bytes;
}

}  // namespace

uint32_t CgroupCpuQuota(const std::string& cgroup_root, const std::string& proc_cgroup) {
  uint32_t least = 0;
  VisitFolders(cgroup_root, proc_cgroup, "cpu", [&least](const std::string& folder, bool v2) {
    const std::optional<uint32_t> cpus = v2 ? QuotaV2(folder) : QuotaV1(folder);
    if (cpus && (least == 0 || *cpus < least)) least = *cpus;
  });
  return least;
}

uint32_t CpuCount() {
  uint32_t cpus = 1;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    cpus = static_cast<uint32_t>(std::max(CPU_COUNT(&set), 1));
  }
  const uint32_t quota = CgroupCpuQuota();
  return quota == 0 ? cpus : std::min(cpus, quota);
}

uint64_t CgroupMemoryLimit(const std::string& cgroup_root, const std::string& proc_cgroup) {
  uint64_t least = 0;
  VisitFolders(cgroup_root, proc_cgroup, "memory", [&least](const std::string& folder, bool v2) {
    const std::optional<uint64_t> bytes =
        MemoryLimitIn(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
    if (bytes && (least == 0 || *bytes < least)) least = *bytes;
  });
  return least;
}

uint64_t MemoryBytes() {
  const auto pages = static_cast<uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L));
  const uint64_t machine = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t limit = CgroupMemoryLimit();
  return limit == 0 ? machine : std::min(machine, limit);
}

}  // namespace kvstore
