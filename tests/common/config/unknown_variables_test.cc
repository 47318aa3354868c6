#include "common/config/unknown_variables.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "common/config/setting_table.h"

namespace kvstore {

TEST_CASE("a variable that looks like ours and is not is named with the nearest that is",
          "[config]") {
  CHECK(WarningsOfUnknownVariables(
            {"KVSTORE_SHARD", "KVSTORE_SCHEDULR", "KVSTORE_LSITEN", "KVSTORE_"}) ==
        std::vector<std::string>{
            "KVSTORE_SHARD has no effect: there is no such variable; the nearest is KVSTORE_SHARDS",
            "KVSTORE_SCHEDULR has no effect: there is no such variable; the nearest is "
            "KVSTORE_SCHEDULER",
            "KVSTORE_LSITEN has no effect: there is no such variable; the nearest is "
            "KVSTORE_LISTEN",
            "KVSTORE_ has no effect: there is no such variable; the nearest is KVSTORE_RANK"});
}

TEST_CASE("variables of ours, in any program, and of others are not warned of", "[config]") {
  std::vector<std::string> names = {"PATH", "MXNET_KVSTORE_USETREE", "kvstore_shard", "KVSTORE"};
  for (const SettingSpec& spec : SettingTable()) {
    for (const SettingVariable& variable : spec.variables) names.push_back(variable.name);
  }
  CHECK(WarningsOfUnknownVariables(names).empty());
}

TEST_CASE("what Kubernetes says of a service beside the pod is not warned of", "[config]") {
  CHECK(WarningsOfUnknownVariables({"KVSTORE_PORT", "KVSTORE_PORT_7070_TCP",
                                    "KVSTORE_PORT_7070_TCP_ADDR", "KVSTORE_SERVICE_HOST",
                                    "KVSTORE_SERVICE_PORT", "KVSTORE_SERVICE_PORT_DATA",
                                    "KVSTORE_SCHEDULER_PORT_7070_TCP_PROTO",
                                    "KVSTORE_SCHEDULER_SERVICE_HOST", "KVSTORE_SCHEDULER_PORT"})
            .empty());
  // Without a service of that name they are somebody's own.
  CHECK(WarningsOfUnknownVariables({"KVSTORE_PORT", "KVSTORE_SERVICE_PORT"}).size() == 2);
  CHECK(WarningsOfUnknownVariables({"KVSTORE_SERVICE_HOST", "KVSTORE_PORTS"}).size() == 1);
}

TEST_CASE("the variables of the process are found by name, also empty ones", "[config]") {
  REQUIRE(setenv("KVSTORE_TEST_OF_NAMES", "", 1) == 0);
  const std::vector<std::string> names = ProcessVariableNames();
  CHECK(std::count(names.begin(), names.end(), "KVSTORE_TEST_OF_NAMES") == 1);
  REQUIRE(unsetenv("KVSTORE_TEST_OF_NAMES") == 0);
}

}  // namespace kvstore
