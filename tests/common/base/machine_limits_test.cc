// The cgroup's quota, in both versions, from folders made to look like them.
#include "common/base/machine_limits.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace kvstore {
namespace {

namespace fs = std::filesystem;

class FakeCgroup {
 public:
  FakeCgroup() {
    std::string name = (fs::temp_directory_path() / "kvs_cgroup_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root_ = name;
  }
  ~FakeCgroup() { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  uint64_t Memory() { return CgroupMemoryLimit(root_, root_ / "proc"); }
  uint32_t Quota() { return CgroupCpuQuota(root_, root_ / "proc"); }

 private:
  fs::path root_;
};

TEST_CASE("no cgroup means no quota", "[base][limits]") {
  FakeCgroup cgroup;
  CHECK(cgroup.Quota() == 0);
  cgroup.Write("proc", "garbage\n0::/\n");
  CHECK(cgroup.Quota() == 0);
  cgroup.Write("cpu.max", "max 100000\n");
  CHECK(cgroup.Quota() == 0);
}

TEST_CASE("the quota of version 2 is rounded up", "[base][limits]") {
  FakeCgroup cgroup;
  cgroup.Write("proc", "0::/\n");
  cgroup.Write("cpu.max", "250000 100000\n");
  CHECK(cgroup.Quota() == 3);
  cgroup.Write("cpu.max", "10000 100000\n");
  CHECK(cgroup.Quota() == 1);
}

TEST_CASE("the least quota of all cgroups above counts", "[base][limits]") {
  FakeCgroup cgroup;
  cgroup.Write("proc", "0::/a/b/c\n");
  cgroup.Write("a/cpu.max", "200000 100000\n");
  cgroup.Write("a/b/cpu.max", "max 100000\n");
  cgroup.Write("a/b/c/cpu.max", "800000 100000\n");
  CHECK(cgroup.Quota() == 2);
}

TEST_CASE("the quota of version 1 is read, and of other controllers not", "[base][limits]") {
  FakeCgroup cgroup;
  cgroup.Write("proc", "7:memory:/m\n4:cpu,cpuacct:/docker/x\n3:cpuset:/y\n");
  cgroup.Write("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "400000\n");
  cgroup.Write("cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  cgroup.Write("memory/m/cpu.cfs_quota_us", "100000\n");
  cgroup.Write("memory/m/cpu.cfs_period_us", "100000\n");
  CHECK(cgroup.Quota() == 4);
  cgroup.Write("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  CHECK(cgroup.Quota() == 0);
}

TEST_CASE("there is at least one CPU", "[base][limits]") { CHECK(CpuCount() >= 1); }

TEST_CASE("the least memory limit of the cgroup and those above it counts", "[base][limits]") {
  FakeCgroup cgroup;
  CHECK(cgroup.Memory() == 0);
  SECTION("version 2") {
    cgroup.Write("proc", "0::/slurm/job\n");
    cgroup.Write("slurm/job/memory.max", "max\n");
    CHECK(cgroup.Memory() == 0);
    cgroup.Write("slurm/memory.max", "2147483648\n");
    CHECK(cgroup.Memory() == 2147483648u);
    cgroup.Write("slurm/job/memory.max", "1073741824\n");
    CHECK(cgroup.Memory() == 1073741824u);
  }
  SECTION("version 1, where a huge number is none") {
    cgroup.Write("proc", "5:memory:/job\n4:cpu,cpuacct:/job\n");
    cgroup.Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
    CHECK(cgroup.Memory() == 0);
    cgroup.Write("memory/job/memory.limit_in_bytes", "500000000\n");
    CHECK(cgroup.Memory() == 500000000u);
  }
}

TEST_CASE("some memory can be used", "[base][limits]") {
  CHECK(MemoryBytes() > 1u << 20);
  const uint64_t limit = CgroupMemoryLimit();
  if (limit != 0) CHECK(MemoryBytes() <= limit);
}

}  // namespace
}  // namespace kvstore
