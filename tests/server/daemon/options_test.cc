// Flags and environment of the daemons: which wins, and what is wrong by which name.
#include "server/daemon/options.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <sstream>

namespace kvstore {
namespace {

using Catch::Contains;
using Variables = std::map<std::string, std::string>;

VariableLookup Lookup(Variables variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    if (it == variables.end()) return std::nullopt;
    return it->second;
  };
}

struct Run {
  std::ostringstream out, err;

  SchedulerDaemonOptions Scheduler(const std::vector<std::string>& arguments,
                                   const Variables& variables = {}) {
    const auto result = ParseSchedulerOptions(arguments, Lookup(variables), out, err);
    CAPTURE(err.str());
    REQUIRE(result.options);
    return *result.options;
  }
  ServerDaemonOptions Server(const std::vector<std::string>& arguments,
                             const Variables& variables = {}) {
    const auto result = ParseServerOptions(arguments, Lookup(variables), out, err);
    CAPTURE(err.str());
    REQUIRE(result.options);
    return *result.options;
  }
};

TEST_CASE("a scheduler needs two numbers and has defaults for the rest", "[daemon][options]") {
  Run run;
  const auto options = run.Scheduler({"--workers", "3", "--servers=2"});
  CHECK(options.core.workers == 3);
  CHECK(options.core.servers == 2);
  CHECK(options.listen == "127.0.0.1:7070");
  CHECK(options.advertise == "127.0.0.1:7070");
  CHECK(options.state_dir.empty());
  CHECK(options.core.heartbeat_ms == 1000);
  CHECK(options.core.suspect_ms == 3000);
  CHECK(options.core.lost_dead_ms == 5000);
  CHECK(options.core.silent_dead_ms == 60000);
  CHECK(options.log_level == "info");
  CHECK_FALSE(options.exit_with_job);
  CHECK(options.warnings.empty());
}

TEST_CASE("flags win over KVSTORE_*, which win over DMLC_*", "[daemon][options]") {
  Variables variables = {{"DMLC_NUM_WORKER", "7"},
                         {"DMLC_NUM_SERVER", "5"},
                         {"DMLC_PS_ROOT_URI", "10.0.0.1"},
                         {"DMLC_PS_ROOT_PORT", "9091"}};
  Run run;
  auto options = run.Scheduler({}, variables);
  CHECK(options.core.workers == 7);
  CHECK(options.core.servers == 5);
  CHECK(options.listen == "10.0.0.1:9091");
  CHECK(run.Server({}, variables).scheduler == "10.0.0.1:9091");

  variables["KVSTORE_NUM_WORKERS"] = "2";
  variables["KVSTORE_SCHEDULER"] = "[::1]:7070";
  options = run.Scheduler({}, variables);
  CHECK(options.core.workers == 2);
  CHECK(options.core.servers == 5);
  CHECK(run.Server({}, variables).scheduler == "[::1]:7070");

  options = run.Scheduler({"--workers", "1", "--listen", "127.0.0.1:0"}, variables);
  CHECK(options.core.workers == 1);
  CHECK(options.listen == "127.0.0.1:0");
  // A variable that is overruled is not looked at.
  variables["DMLC_NUM_WORKER"] = "abc";
  CHECK(run.Scheduler({}, variables).core.workers == 2);
}

TEST_CASE("a wrong value ends with 2 and one line that names where it came from",
          "[daemon][options]") {
  struct Case {
    bool server;
    std::vector<std::string> arguments;
    Variables variables;
    std::string message;
  };
  const std::vector<std::string> two = {"--workers", "1", "--servers", "1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), two.begin(), two.end());
    return more;
  };
  const std::vector<Case> cases = {
      {false, {}, {}, "--workers or KVSTORE_NUM_WORKERS or DMLC_NUM_WORKER is missing"},
      {false, {"--workers", "2"}, {}, "--servers or KVSTORE_NUM_SERVERS"},
      {false,
       {"--workers", "abc"},
       {},
       "--workers: a whole number from 1 to 1048576 expected, got 'abc'"},
      {false, {"--workers", "0"}, {}, "--workers"},
      {false, {"--workers", "-1"}, {}, "--workers"},
      {false, {"--workers=-1"}, {}, "--workers"},
      {false, {"--workers", "2x"}, {}, "got '2x'"},
      {false, {"--workers", "99999999999999999999"}, {}, "--workers"},
      {false, {"--workers", ""}, {}, "--workers"},
      {false, {}, {{"DMLC_NUM_WORKER", "abc"}}, "DMLC_NUM_WORKER"},
      {false, {}, {{"DMLC_NUM_WORKER", "-3"}}, "DMLC_NUM_WORKER"},
      {false, {}, {{"DMLC_NUM_WORKER", ""}}, "DMLC_NUM_WORKER"},
      {false, {}, {{"KVSTORE_NUM_WORKERS", " 3"}}, "KVSTORE_NUM_WORKERS"},
      {false, {"--nonsense"}, {}, "--nonsense"},
      {false, {"extra"}, {}, "extra"},
      {false, with({"--listen", "127.0.0.1:70000"}), {}, "--listen: address '127.0.0.1:70000'"},
      {false, with({"--listen", "127.0.0.1"}), {}, "--listen"},
      {false, with({"--listen", "::1:7070"}), {}, "IPv6"},
      {false, with({"--advertise", "0.0.0.0:80"}), {}, "--advertise"},
      {false, with({"--state-dir", ""}), {}, "--state-dir"},
      {false, with({"--time-scale", "0"}), {}, "--time-scale: a number from 0.001 to 1000"},
      {false, with({"--time-scale", "nan"}), {}, "--time-scale"},
      {false, with({}), {{"KVSTORE_TIME_SCALE", "1e9"}}, "KVSTORE_TIME_SCALE"},
      {false, with({"--log-level", "loud"}), {}, "--log-level: trace, debug, info"},
      {false, with({"--heartbeat-ms", "5000", "--suspect-ms", "4000"}), {}, "5000 ms"},
      {false, with({}), {{"PS_HEARTBEAT_INTERVAL", "often"}}, "PS_HEARTBEAT_INTERVAL"},
      {false, with({}), {{"DMLC_PS_ROOT_PORT", "1"}}, "only DMLC_PS_ROOT_PORT"},
      {false,
       with({}),
       {{"DMLC_PS_ROOT_URI", "h"}, {"DMLC_PS_ROOT_PORT", "0"}},
       "DMLC_PS_ROOT_PORT"},
      {true, {}, {}, "KVSTORE_SCHEDULER or DMLC_PS_ROOT_URI"},
      {true, {"--scheduler", "127.0.0.1"}, {}, "--scheduler"},
      {true, {"--scheduler", "127.0.0.1:0"}, {}, "--scheduler: a port from 1"},
      {true,
       {"--scheduler", "h:1", "--shards", "0"},
       {},
       "--shards: a whole number from 1 to 1024"},
      {true, {"--scheduler", "h:1", "--rank", "-1"}, {}, "--rank"},
      {true, {"--scheduler", "h:1", "--connect-timeout-ms", "soon"}, {}, "--connect-timeout-ms"},
      {true,
       {"--scheduler", "h:1"},
       {{"KVSTORE_CONNECT_TIMEOUT_MS", "0"}},
       "KVSTORE_CONNECT_TIMEOUT_MS"},
      {true, {"--scheduler", "h:1"}, {{"DMLC_INTERFACE", "none9"}}, "DMLC_INTERFACE"},
      {true, {"--scheduler", "h:1"}, {{"DMLC_NODE_HOST", "a b"}}, "DMLC_NODE_HOST"},
  };
  for (const Case& c : cases) {
    Run run;
    int code = 0;
    bool options = false;
    if (c.server) {
      const auto result = ParseServerOptions(c.arguments, Lookup(c.variables), run.out, run.err);
      code = result.exit_code;
      options = result.options.has_value();
    } else {
      const auto result = ParseSchedulerOptions(c.arguments, Lookup(c.variables), run.out, run.err);
      code = result.exit_code;
      options = result.options.has_value();
    }
    CAPTURE(c.message, run.err.str());
    CHECK_FALSE(options);
    CHECK(code == 2);
    CHECK(run.out.str().empty());
    CHECK_THAT(run.err.str(), Contains(c.message));
    const std::string line = run.err.str();
    CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  }
}

TEST_CASE("--print-config prints what holds, also what the machine decides, and ends with 0",
          "[daemon][options]") {
  Run run;
  const auto result = ParseServerOptions(
      {"--scheduler", "h:1", "--print-config"},
      Lookup({{"KVSTORE_SHARDS", "3"}, {"DMLC_INTERFACE", "lo"}}), run.out, run.err);
  CHECK_FALSE(result.options);
  CHECK(result.exit_code == 0);
  CHECK(run.err.str().empty());
  CHECK_THAT(run.out.str(), Contains("scheduler = h:1  # --scheduler\n") &&
                                Contains("listen = 127.0.0.1:0  # default\n") &&
                                Contains("shards = 3  # KVSTORE_SHARDS\n") &&
                                Contains("\nvalue-mib = ") && Contains("\nnetwork-mib = "));
  // A wrong setting is an error as ever.
  CHECK(ParseServerOptions({"--print-config"}, Lookup({}), run.out, run.err).exit_code == 2);
}

TEST_CASE("a server's plugin is a file with options, known by where it came from",
          "[daemon][options]") {
  Run run;
  CHECK(run.Server({"--scheduler", "h:1"}).updater_plugin.file.empty());
  const auto options = run.Server({"--scheduler", "h:1", "--updater-plugin-options", "wd=0.1"},
                                  {{"KVSTORE_UPDATER_PLUGIN", "lion.so"}});
  CHECK(options.updater_plugin.file == "lion.so");
  CHECK(options.updater_plugin.options == "wd=0.1");
  CHECK(options.updater_plugin.label == "KVSTORE_UPDATER_PLUGIN");
  CHECK(ParseServerOptions({"--scheduler", "h:1", "--updater-plugin-options", "wd=0.1"}, Lookup({}),
                           run.out, run.err)
            .exit_code == 2);
  CHECK(run.err.str() ==
        "kvstored: --updater-plugin-options: updater-plugin beside it expected, got 'wd=0.1'\n");
}

TEST_CASE("what the start logs says what was set, and where", "[daemon][options]") {
  Run run;
  const std::vector<std::string> two = {"--workers", "1", "--servers", "1"};
  CHECK(run.Scheduler(two, {{"PS_HEARTBEAT_INTERVAL", "2"}}).said ==
        "workers=1 (--workers), servers=1 (--servers), heartbeat-ms=2000 (PS_HEARTBEAT_INTERVAL)");
}

TEST_CASE("help and version end with 0", "[daemon][options]") {
  for (const char* flag : {"--help", "--version"}) {
    Run run;
    CHECK(ParseSchedulerOptions({flag}, Lookup({}), run.out, run.err).exit_code == 0);
    CHECK(ParseServerOptions({flag}, Lookup({}), run.out, run.err).exit_code == 0);
    CHECK(run.err.str().empty());
    CHECK_THAT(run.out.str(), Contains("kvscheduler") && Contains("kvstored"));
  }
}

TEST_CASE("the time scale stretches all timers", "[daemon][options]") {
  Run run;
  const auto scheduler = run.Scheduler({"--workers", "1", "--servers", "1", "--time-scale", "2.5"});
  CHECK(scheduler.core.heartbeat_ms == 2500);
  CHECK(scheduler.core.suspect_ms == 7500);
  CHECK(scheduler.core.lost_dead_ms == 12500);
  CHECK(scheduler.core.silent_dead_ms == 150000);
  CHECK(scheduler.first_message_ms == 25000);
  const auto server = run.Server({"--scheduler", "h:1", "--connect-timeout-ms", "500"},
                                 {{"KVSTORE_TIME_SCALE", "3"}});
  CHECK(server.connect_timeout_ms == 1500);
  CHECK(server.time_scale == 3);
}

TEST_CASE("ps-lite's heartbeat variables are honoured, in seconds", "[daemon][options]") {
  Run run;
  const std::vector<std::string> two = {"--workers", "1", "--servers", "1"};
  auto options =
      run.Scheduler(two, {{"PS_HEARTBEAT_INTERVAL", "2"}, {"PS_HEARTBEAT_TIMEOUT", "20"}});
  CHECK(options.core.heartbeat_ms == 2000);
  CHECK(options.core.suspect_ms == 6000);
  CHECK(options.core.silent_dead_ms == 20000);
  options = run.Scheduler(two, {{"PS_HEARTBEAT_INTERVAL", "0"}});
  CHECK(options.core.heartbeat_ms == 1000);
  REQUIRE(options.warnings.size() == 1);
  CHECK_THAT(options.warnings[0], Contains("PS_HEARTBEAT_INTERVAL=0"));
}

TEST_CASE("where others dial follows from where it listens", "[daemon][options]") {
  Run run;
  CHECK(run.Server({"--scheduler", "h:1", "--listen", "[::1]:5"}).advertise == "[::1]:5");
  // The way to the scheduler decides, when the server starts.
  const auto route = run.Server({"--scheduler", "h:1"});
  CHECK(route.listen.empty());
  CHECK(route.advertise.empty());
  const auto any = run.Server({"--scheduler", "h:1", "--listen", "0.0.0.0:5"});
  CHECK(any.listen == "0.0.0.0:5");
  CHECK(any.advertise.empty());

  const auto told =
      run.Server({"--scheduler", "h:1", "--listen", "0.0.0.0:5", "--advertise", "node3:0"});
  CHECK(told.advertise == "node3:5");
  const auto node = run.Server({"--scheduler", "h:1"}, {{"DMLC_NODE_HOST", "node5"}});
  CHECK(node.listen == "0.0.0.0:0");
  CHECK(node.advertise == "node5:0");
  const auto named =
      run.Server({"--scheduler", "h:1", "--listen", "[::]:5", "--node-host", "node5"});
  CHECK(named.listen == "[::]:5");
  CHECK(named.advertise == "node5:5");

  const auto lo = run.Server({"--scheduler", "h:1"}, {{"DMLC_INTERFACE", "lo"}});
  CHECK(lo.listen == "127.0.0.1:0");
  CHECK(lo.advertise == "127.0.0.1:0");
  const auto any_of_lo =
      run.Server({"--scheduler", "h:1", "--listen", "0.0.0.0:5", "--interface", "lo"});
  CHECK(any_of_lo.listen == "0.0.0.0:5");
  CHECK(any_of_lo.advertise == "127.0.0.1:5");

  const std::vector<std::string> two = {"--workers", "1", "--servers", "1"};
  auto scheduler = run.Scheduler(two, {{"KVSTORE_LISTEN", "[::]:5"}});
  CHECK_THAT(scheduler.advertise, !Contains("[::]") && Contains(":5"));
  scheduler = run.Scheduler(two, {{"KVSTORE_LISTEN", "[::]:5"}, {"KVSTORE_ADVERTISE", "n:0"}});
  CHECK(scheduler.advertise == "n:5");
}

TEST_CASE("a server has shards by default, and shares its budget among them", "[daemon][options]") {
  Run run;
  CHECK(run.Server({"--scheduler", "h:1"}).shards >= 1);
  const auto options = run.Server({"--scheduler", "h:1", "--shards", "4", "--parked-mib", "64",
                                   "--rank", "3", "--value-mib", "100"});
  CHECK(options.shards == 4);
  CHECK(options.core.parked_bytes_max == 16u << 20);
  CHECK(options.core.value_bytes_max == 25u << 20);
  CHECK(options.rank == 3u);
}

}  // namespace
}  // namespace kvstore
