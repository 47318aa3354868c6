#include "client/base/environment.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <map>

#include "kvstore/kvstore.h"
#include "tests/support/expect_error.h"

namespace kvstore {
namespace {

using Variables = std::map<std::string, std::string>;

absl::StatusOr<Environment> Read(const Variables& variables) {
  return ReadEnvironment([&](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    if (it == variables.end()) return std::nullopt;
    return it->second;
  });
}

}  // namespace

TEST_CASE("without variables a process is a worker with default times", "[environment]") {
  const auto environment = Read({});
  REQUIRE(environment.ok());
  CHECK(environment->role == NodeRole::kWorkerRole);
  CHECK(environment->scheduler.empty());
  CHECK(environment->workers == 0);
  CHECK_FALSE(environment->rank.has_value());
  CHECK(environment->connect_timeout_ms == 60000);
  CHECK(environment->operation_timeout_ms == 300000);
  CHECK(environment->warnings.empty());
}

TEST_CASE("the variables of existing launchers are honoured and ours win over them",
          "[environment]") {
  Variables variables = {{"DMLC_ROLE", "server"},       {"DMLC_PS_ROOT_URI", "10.0.0.1"},
                         {"DMLC_PS_ROOT_PORT", "9091"}, {"DMLC_NUM_WORKER", "7"},
                         {"DMLC_NUM_SERVER", "3"},      {"DMLC_WORKER_ID", "5"},
                         {"DMLC_NODE_HOST", "node5"}};
  auto environment = Read(variables);
  REQUIRE(environment.ok());
  CHECK(environment->role == NodeRole::kServerRole);
  CHECK(environment->scheduler == "10.0.0.1:9091");
  CHECK(environment->workers == 7);
  CHECK(environment->servers == 3);
  CHECK(environment->rank == 5u);
  CHECK(environment->node_host == "node5");

  variables["KVSTORE_ROLE"] = "scheduler";
  variables["KVSTORE_SCHEDULER"] = "[::1]:7070";
  variables["KVSTORE_NUM_WORKERS"] = "2";
  variables["KVSTORE_NUM_SERVERS"] = "1";
  variables["KVSTORE_RANK"] = "0";
  environment = Read(variables);
  REQUIRE(environment.ok());
  CHECK(environment->role == NodeRole::kSchedulerRole);
  CHECK(environment->scheduler == "[::1]:7070");
  CHECK(environment->workers == 2);
  CHECK(environment->servers == 1);
  CHECK(environment->rank == 0u);
}

TEST_CASE("a reader is a role", "[environment]") {
  for (const char* const variable : {"KVSTORE_ROLE", "DMLC_ROLE"}) {
    const auto environment = Read({{variable, "reader"}});
    REQUIRE(environment.ok());
    CHECK(environment->role == NodeRole::kReaderRole);
    CHECK(environment->reads());
  }
  CHECK_FALSE(Read({{"KVSTORE_ROLE", "worker"}})->reads());
}

TEST_CASE("an IPv6 scheduler of the launchers gets its brackets", "[environment]") {
  const auto environment = Read({{"DMLC_PS_ROOT_URI", "::1"}, {"DMLC_PS_ROOT_PORT", "7070"}});
  REQUIRE(environment.ok());
  CHECK(environment->scheduler == "[::1]:7070");
}

TEST_CASE("a launcher's rank counts if its world is the job", "[environment]") {
  CHECK(Read({{"RANK", "3"}, {"WORLD_SIZE", "4"}})->rank == 3u);
  CHECK(Read({{"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "4"}, {"DMLC_NUM_WORKER", "4"}})->rank == 2u);
  // RANK alone may be anybody's.
  CHECK_FALSE(Read({{"RANK", "3"}})->rank.has_value());
  const auto other = Read({{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"DMLC_NUM_WORKER", "4"}});
  CHECK_FALSE(other->rank.has_value());
  REQUIRE(other->warnings.size() == 1);
  CHECK_THAT(other->warnings[0], Catch::Contains("WORLD_SIZE=8"));
}

TEST_CASE("a value that is none is refused by the variable's name", "[environment]") {
  const auto [name, value, companion] = GENERATE(table<std::string, std::string, Variables>({
      {"DMLC_ROLE", "master", {}},
      {"KVSTORE_ROLE", "", {}},
      {"DMLC_NUM_WORKER", "abc", {}},
      {"DMLC_NUM_WORKER", "-1", {}},
      {"DMLC_NUM_WORKER", "0", {}},
      {"DMLC_NUM_WORKER", "", {}},
      {"DMLC_NUM_WORKER", "2 ", {}},
      {"DMLC_NUM_WORKER", "99999999999999999999", {}},
      {"DMLC_NUM_SERVER", "1.5", {}},
      {"DMLC_PS_ROOT_PORT", "0", {{"DMLC_PS_ROOT_URI", "h"}}},
      {"DMLC_PS_ROOT_PORT", "70000", {{"DMLC_PS_ROOT_URI", "h"}}},
      {"DMLC_PS_ROOT_PORT", "70", {}},
      {"DMLC_PS_ROOT_URI", "h", {}},
      {"DMLC_PS_ROOT_URI", "", {{"DMLC_PS_ROOT_PORT", "70"}}},
      {"KVSTORE_SCHEDULER", "host", {}},
      {"KVSTORE_SCHEDULER", "host:0", {}},
      {"KVSTORE_RANK", "-1", {}},
      {"DMLC_WORKER_ID", "x", {}},
      {"RANK", "4", {{"WORLD_SIZE", "4"}}},
      {"KVSTORE_TIME_SCALE", "0", {}},
      {"KVSTORE_TIME_SCALE", "nan", {}},
      {"KVSTORE_TIME_SCALE", "2x", {}},
      {"KVSTORE_OP_TIMEOUT_MS", "0", {}},
      {"KVSTORE_CONNECT_TIMEOUT_MS", "soon", {}},
  }));
  CAPTURE(name, value);
  Variables variables = companion;
  variables[name] = value;
  const auto environment = Read(variables);
  REQUIRE_FALSE(environment.ok());
  CHECK(environment.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(environment.status().message()), Catch::Contains(name));
}

TEST_CASE("the time scale stretches the timeouts", "[environment]") {
  const auto environment = Read({{"KVSTORE_TIME_SCALE", "2.5"}, {"KVSTORE_OP_TIMEOUT_MS", "1000"}});
  REQUIRE(environment.ok());
  CHECK(environment->operation_timeout_ms == 2500);
  CHECK(environment->connect_timeout_ms == 150000);
}

TEST_CASE("a stretched timeout is a time that clocks have", "[environment]") {
  const auto environment =
      Read({{"KVSTORE_TIME_SCALE", "1000"}, {"KVSTORE_OP_TIMEOUT_MS", "1000000000000"}});
  REQUIRE(environment.ok());
  const std::chrono::nanoseconds timeout =
      std::chrono::milliseconds(environment->operation_timeout_ms);
  CHECK(std::chrono::steady_clock::now() + timeout > std::chrono::steady_clock::now());
}

TEST_CASE("how many threads share a large sum is said by our variable, or by MXNet's",
          "[environment]") {
  CHECK(Read({})->reduction_threads == 0);
  CHECK(Read({{"MXNET_KVSTORE_REDUCTION_NTHREADS", "3"}})->reduction_threads == 3);
  CHECK(Read({{"MXNET_KVSTORE_REDUCTION_NTHREADS", "3"}, {"KVSTORE_REDUCTION_THREADS", "5"}})
            ->reduction_threads == 5);
  for (const char* const threads : {"0", "65", "many"}) {
    CAPTURE(threads);
    CHECK(Read({{"KVSTORE_REDUCTION_THREADS", threads}}).status().code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("variables that have no effect are named, each in one line", "[environment]") {
  const auto name = GENERATE(as<std::string>(), "MXNET_KVSTORE_BIGARRAY_BOUND",
                             "MXNET_KVSTORE_SLICE_THRESHOLD", "MXNET_ENABLE_GPU_P2P", "PS_VERBOSE",
                             "PS_HEARTBEAT_INTERVAL", "PS_HEARTBEAT_TIMEOUT", "DMLC_INTERFACE");
  const auto environment = Read({{name, "1"}});
  REQUIRE(environment.ok());
  REQUIRE(environment->warnings.size() == 1);
  CHECK_THAT(environment->warnings[0], Catch::StartsWith(name + "=1 has no effect: "));
}

TEST_CASE("the van type p3 is what we always do, others have no effect", "[environment]") {
  CHECK(Read({{"DMLC_PS_VAN_TYPE", "p3"}})->warnings.empty());
  CHECK(Read({{"DMLC_PS_VAN_TYPE", "zmq"}})->warnings.size() == 1);
}

TEST_CASE("a variable of ours that is misspelt is named, set or given to InitPSEnv",
          "[environment]") {
  REQUIRE(setenv("KVSTORE_RANKS", "1", 1) == 0);
  // It stays: InitPSEnv takes nothing back. Only this case asks for unknown ones.
  KVStore::InitPSEnv({{"KVSTORE_SHEDULER", "node:1"}});
  const std::vector<std::string> warnings = WarningsOfProcessVariables();
  REQUIRE(unsetenv("KVSTORE_RANKS") == 0);
  for (const char* const line :
       {"KVSTORE_RANKS has no effect: there is no such variable; the nearest is KVSTORE_RANK",
        "KVSTORE_SHEDULER has no effect: there is no such variable; the nearest is "
        "KVSTORE_SCHEDULER"}) {
    CHECK(std::count(warnings.begin(), warnings.end(), line) == 1);
  }
}

TEST_CASE("InitPSEnv wins over the environment", "[environment]") {
  CHECK(KVStore::IsWorkerNode());
  KVStore::InitPSEnv({{"DMLC_ROLE", "server"}});
  CHECK(KVStore::IsServerNode());
  CHECK_FALSE(KVStore::IsWorkerNode());
  KVStore::InitPSEnv({{"DMLC_ROLE", "scheduler"}});
  CHECK(KVStore::IsSchedulerNode());
  KVStore::InitPSEnv({{"DMLC_ROLE", "boss"}});
  CHECK_ERROR(KVStore::IsWorkerNode(), kInvalidArgument,
              "DMLC_ROLE: worker, server, scheduler or reader expected, got 'boss'");
  CHECK_ERROR(KVStore::CreateUnique("local"), kInvalidArgument, "DMLC_ROLE");
  KVStore::InitPSEnv({{"DMLC_ROLE", "worker"}});
  CHECK(KVStore::IsWorkerNode());
}

}  // namespace kvstore
