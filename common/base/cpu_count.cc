#include "common/base/cpu_count.h"

#include <sched.h>

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

}  // namespace

uint32_t CgroupCpuQuota(const std::string& cgroup_root, const std::string& proc_cgroup) {
  uint32_t least = 0;
  const auto take = [&least](std::optional<uint32_t> cpus) {
    if (cpus && (least == 0 || *cpus < least)) least = *cpus;
  };
  std::ifstream file(proc_cgroup);
  // "0::/path" is v2, "4:cpu,cpuacct:/path" v1.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    bool cpu = false;
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) cpu = cpu || name == "cpu";
    if (!controllers.empty() && !cpu) continue;
    for (const std::string& folder : Ancestors(path)) {
      if (controllers.empty()) {
        take(QuotaV2(cgroup_root + folder));
      } else {
        take(QuotaV1(cgroup_root + "/" + controllers + folder));
        take(QuotaV1(cgroup_root + "/cpu" + folder));
      }
    }
  }
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

}  // namespace kvstore
