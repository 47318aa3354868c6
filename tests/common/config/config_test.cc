// Where the value of a setting comes from, and what is said of one that is wrong. Which settings
// the daemons and the SDK make of it is tested beside them.
#include "common/config/config.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>

#include "common/config/config_file.h"
#include "tests/common/config/temporary_file.h"

namespace kvstore {
namespace {

using Catch::Contains;
using Texts = std::map<std::string, std::string>;

VariableLookup Lookup(const Texts& variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    if (it == variables.end()) return std::nullopt;
    return it->second;
  };
}

Config Read(Programs program, const Texts& flags, const Texts& variables) {
  auto config = Config::Read(program, flags, Lookup(variables));
  CAPTURE(config.status().message());
  REQUIRE(config.ok());
  return *std::move(config);
}

std::string Error(Programs program, const Texts& flags, const Texts& variables) {
  const auto config = Config::Read(program, flags, Lookup(variables));
  REQUIRE_FALSE(config.ok());
  CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(config.status().message());
}

TEST_CASE("a flag wins over our variable, then MXNet's, then the file, then the default",
          "[config]") {
  const TemporaryFile file("heartbeat-ms = 400\n");
  const Texts must = {{"workers", "1"}, {"servers", "1"}};
  Texts flags = must, variables;
  const auto heartbeat = [&] {
    const Config config = Read(kSchedulerProgram, flags, variables);
    CHECK(config.IsSaid(SettingId::kHeartbeatMs) == !(flags == must && variables.empty()));
    return config.WholeNumber(SettingId::kHeartbeatMs);
  };
  CHECK(heartbeat() == 1000);
  variables["KVSTORE_CONFIG"] = file.path();
  CHECK(heartbeat() == 400);
  variables["PS_HEARTBEAT_INTERVAL"] = "3";
  CHECK(heartbeat() == 3000);
  variables["KVSTORE_HEARTBEAT_MS"] = "200";
  CHECK(heartbeat() == 200);
  flags["heartbeat-ms"] = "100";
  CHECK(heartbeat() == 100);
  // What is overruled is not looked at.
  variables["KVSTORE_HEARTBEAT_MS"] = "often";
  CHECK(heartbeat() == 100);
}

TEST_CASE("the effective values are printed with where they came from, as a file of settings",
          "[config]") {
  const TemporaryFile file("log-level = warn\nshards = 3  # of this machine\n");
  Config config = Read(
      kServerProgram, {{"advertise", "node3:0"}, {"config", file.path()}},
      {{"DMLC_PS_ROOT_URI", "node0"}, {"DMLC_PS_ROOT_PORT", "7070"}, {"KVSTORE_PARKED_MIB", "9"}});
  config.SetDefault(SettingId::kValueMib, "4096");
  config.SetDefault(SettingId::kShards, "64");  // somebody said 3
  const std::string text = config.Print();
  // A folder for temporary files may have a space in its name.
  const bool quoted = file.path().find(' ') != std::string::npos;
  const std::string shown = quoted ? '"' + file.path() + '"' : file.path();
  CHECK_THAT(text, Contains("# config = " + shown + "  # --config\n"));
  CHECK_THAT(text, Contains("scheduler = node0:7070  # DMLC_PS_ROOT_URI\n"));
  CHECK_THAT(text, Contains("advertise = node3:0  # --advertise\n"));
  CHECK_THAT(text, Contains("parked-mib = 9  # KVSTORE_PARKED_MIB\n"));
  CHECK_THAT(text, Contains("shards = 3  # " + file.path() + ":2\n"));
  CHECK_THAT(text, Contains("value-mib = 4096  # default\n"));
  CHECK_THAT(text, Contains("time-scale = 1  # default\n"));
  CHECK_THAT(text, Contains("# rank is not set\n"));
  CHECK(config.Said() == "config=" + file.path() +
                             " (--config), scheduler=node0:7070 (DMLC_PS_ROOT_URI), "
                             "advertise=node3:0 (--advertise), shards=3 (" +
                             file.path() +
                             ":2), parked-mib=9 (KVSTORE_PARKED_MIB), log-level=warn (" +
                             file.path() + ":1)");

  const auto again = ParseConfigFile("printed", text);
  REQUIRE(again.ok());
  CHECK(again->at("scheduler").text == "node0:7070");
  CHECK(again->at("log-level").text == "warn");
}

TEST_CASE("a wrong value is named by its source, with what was expected and what came",
          "[config]") {
  const TemporaryFile file("# two lines\nshards = many\n");
  const Texts scheduler = {{"scheduler", "h:1"}};
  const auto with = [&scheduler](const char* name, const std::string& text) {
    Texts flags = scheduler;
    flags[name] = text;
    return flags;
  };
  CHECK(Error(kServerProgram, with("config", file.path()), {}) ==
        file.path() + ":2: shards: a whole number from 1 to 1024 expected, got 'many'");
  CHECK(Error(kServerProgram, with("shards", "1025"), {}) ==
        "--shards: a whole number from 1 to 1024 expected, got '1025'");
  CHECK(Error(kServerProgram, scheduler, {{"KVSTORE_LOG_LEVEL", "loud"}}) ==
        "KVSTORE_LOG_LEVEL: trace, debug, info, warn, error or off expected, got 'loud'");
  CHECK(Error(kServerProgram, scheduler, {{"KVSTORE_EXIT_WITH_JOB", "yes"}}) ==
        "KVSTORE_EXIT_WITH_JOB: true or false expected, got 'yes'");
  CHECK(Error(kServerProgram, scheduler, {{"KVSTORE_INTERFACE", ""}}) ==
        "KVSTORE_INTERFACE: a text that is not empty expected, got ''");
  CHECK(Error(kServerProgram, scheduler, {{"DMLC_NODE_HOST", "a b"}}) ==
        "DMLC_NODE_HOST: a host's name or IP address expected, got 'a b'");
  CHECK(Error(kServerProgram, with("time-scale", "nan"), {}) ==
        "--time-scale: a number from 0.001 to 1000 expected, got 'nan'");
  CHECK(Error(kServerProgram, {{"scheduler", "h:0"}}, {}) ==
        "--scheduler: a port from 1 to 65535 expected, got 'h:0'");
  CHECK_THAT(Error(kServerProgram, with("config", file.path() + ".none"), {}),
             Contains(file.path() + ".none") && Contains("No such file"));
  CHECK(Error(kServerProgram, {}, {}) ==
        "--scheduler or KVSTORE_SCHEDULER or DMLC_PS_ROOT_URI with DMLC_PS_ROOT_PORT is missing");
}

TEST_CASE("a file of settings serves every program, each takes what it has", "[config]") {
  const TemporaryFile file(
      "scheduler = node0:7070\nworkers = 8\nservers = 4\nop-timeout-ms = 5000\nshards = 2\n");
  const Texts variables = {{"KVSTORE_CONFIG", file.path()}};
  CHECK(Read(kSchedulerProgram, {}, variables).WholeNumber(SettingId::kServers) == 4);
  const Config server = Read(kServerProgram, {}, variables);
  CHECK(server.Text(SettingId::kSchedulerAddress) == "node0:7070");
  CHECK(server.WholeNumber(SettingId::kShards) == 2);
  const Config worker = Read(kWorkerProgram, {}, variables);
  CHECK(worker.WholeNumber(SettingId::kOpTimeoutMs) == 5000);
  CHECK(worker.WholeNumber(SettingId::kWorkers) == 8);
}

TEST_CASE("an error of one setting is still found through its own words", "[config]") {
  const Config config = Read(kServerProgram, {{"scheduler", "h:1"}, {"interface", "eth7"}}, {});
  CHECK(config.Wrong(SettingId::kInterface, "an interface of this host").message() ==
        "--interface: an interface of this host expected, got 'eth7'");
}

}  // namespace
}  // namespace kvstore
