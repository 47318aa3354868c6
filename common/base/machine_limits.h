// What of the machine this process may use: what its affinity mask and the memory allow, and what
// its cgroup pays for.
#pragma once

#include <cstdint>
#include <string>

namespace kvstore {

// CPUs that the quotas of the process's cgroup and all those above it pay for, rounded up; 0: no
// quota. Reads cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us). The arguments are for tests.
uint32_t CgroupCpuQuota(const std::string& cgroup_root = "/sys/fs/cgroup",
                        const std::string& proc_cgroup = "/proc/self/cgroup");

// The lesser of the quota and the affinity mask; at least 1.
uint32_t CpuCount();

// Bytes that the process's cgroup and all those above it allow; 0: no limit. Reads cgroup v2
// (memory.max) and v1 (memory.limit_in_bytes). The arguments are for tests.
uint64_t CgroupMemoryLimit(const std::string& cgroup_root = "/sys/fs/cgroup",
                           const std::string& proc_cgroup = "/proc/self/cgroup");

// The lesser of the limit and the machine's memory, in bytes.
uint64_t MemoryBytes();

}  // namespace kvstore
