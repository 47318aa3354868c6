// The cgroup's quota, in both versions, from folders made to look like them.
#include "common/base/cpu_count.h"

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
  uint32_t Quota() { return CgroupCpuQuota(root_, root_ / "proc"); }

 private:
  fs::path root_;
};

TEST_CASE("no cgroup means no quota", "[base][cpu_count]") {
  FakeCgroup cgroup;
  CHECK(cgroup.Quota() == 0);
  cgroup.Write("proc", "garbage\n0::/\n");
  CHECK(cgroup.Quota() == 0);
  cgroup.Write("cpu.max", "max 100000\n");
  CHECK(cgroup.Quota() == 0);
}

TEST_CASE("the quota of version 2 is rounded up", "[base][cpu_count]") {
  FakeCgroup cgroup;
  cgroup.Write("proc", "0::/\n");
  cgroup.Write("cpu.max", "250000 100000\n");
  CHECK(cgroup.Quota() == 3);
  cgroup.Write("cpu.max", "10000 100000\n");
  CHECK(cgroup.Quota() == 1);
}

TEST_CASE("the least quota of all cgroups above counts", "[base][cpu_count]") {
  FakeCgroup cgroup;
  cgroup.Write("proc", "0::/a/b/c\n");
  cgroup.Write("a/cpu.max", "200000 100000\n");
  cgroup.Write("a/b/cpu.max", "max 100000\n");
  cgroup.Write("a/b/c/cpu.max", "800000 100000\n");
  CHECK(cgroup.Quota() == 2);
}

TEST_CASE("the quota of version 1 is read, and of other controllers not", "[base][cpu_count]") {
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

TEST_CASE("there is at least one CPU", "[base][cpu_count]") { CHECK(CpuCount() >= 1); }

}  // namespace
}  // namespace kvstore
