#include "common/model/profiler_order.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kvstore {
namespace {

std::string Refused(std::string_view text) {
  return std::string(ParseProfilerConfig(text).status().message());
}

TEST_CASE("a configuration has the file's name, with whatever colons it has", "[profiler]") {
  const auto config = ParseProfilerConfig("profile_all:True,filename:/data/a:b/10:30.json");
  REQUIRE(config.ok());
  CHECK(config->filename == "/data/a:b/10:30.json");
  CHECK(config->without_effect.empty());
  CHECK(ParseProfilerConfig("")->filename == "profile.json");
}

TEST_CASE("what MXNet knows and changes nothing here is accepted and named", "[profiler]") {
  const auto config = ParseProfilerConfig(
      "profile_symbolic:1,profile_imperative:0,profile_memory:true,profile_api:false,"
      "profile_process:server,aggregate_stats:1,continuous_dump:1,contiguous_dump:0,"
      "dump_period:1.5,mode:all");
  REQUIRE(config.ok());
  CHECK(config->without_effect ==
        std::vector<std::string>{"profile_symbolic", "profile_imperative", "profile_memory",
                                 "profile_api", "profile_process", "aggregate_stats",
                                 "continuous_dump", "contiguous_dump", "dump_period", "mode"});
}

TEST_CASE("a name that is not known, or a value that does not fit, is named", "[profiler]") {
  CHECK(Refused("file_name:x") ==
        "profiler kSetConfig: one of filename, profile_all, profile_symbolic, profile_imperative, "
        "profile_memory, profile_api, profile_process, aggregate_stats, continuous_dump, "
        "contiguous_dump, dump_period, mode expected, got 'file_name'");
  CHECK(Refused("profile_all") ==
        "profiler kSetConfig: name:value,name:value expected, got 'profile_all'");
  CHECK(Refused("filename:a,b") == "profiler kSetConfig: name:value,name:value expected, got 'b'");
  CHECK(Refused("profile_all:2") == "profiler profile_all: 1, 0, true or false expected, got '2'");
  CHECK(Refused("filename:") == "profiler filename: the name of a file expected, got ''");
  CHECK(Refused("filename:dir/") == "profiler filename: the name of a file expected, got 'dir/'");
  CHECK(Refused("dump_period:-1") ==
        "profiler dump_period: a number of at least 0 expected, got '-1'");
  CHECK(Refused("dump_period:1.2.3") ==
        "profiler dump_period: a number of at least 0 expected, got '1.2.3'");
}

TEST_CASE("switches are 1 or 0; kDump may say nothing", "[profiler]") {
  for (const ProfilerVerb verb :
       {ProfilerVerb::kState, ProfilerVerb::kPause, ProfilerVerb::kDump}) {
    CHECK(*ParseProfilerSwitch(verb, "1"));
    CHECK(*ParseProfilerSwitch(verb, "True"));
    CHECK_FALSE(*ParseProfilerSwitch(verb, "0"));
    CHECK_FALSE(ParseProfilerSwitch(verb, "on").ok());
    CHECK(ParseProfilerSwitch(verb, "").ok() == (verb == ProfilerVerb::kDump));
  }
}

TEST_CASE("an order is checked by its number and its length, too", "[profiler]") {
  CHECK(CheckProfilerOrder(3, "").ok());
  CHECK_FALSE(CheckProfilerOrder(-1, "").ok());
  CHECK_FALSE(CheckProfilerOrder(4, "1").ok());
  CHECK(CheckProfilerOrder(0, "filename:" + std::string(kProfilerParametersMax - 9, 'x')).ok());
  CHECK(
      CheckProfilerOrder(0, "filename:" + std::string(kProfilerParametersMax - 8, 'x')).message() ==
      "profiler: parameters of at most 8192 bytes expected, got 8193");
}

TEST_CASE("a node's file has its name before the file's own, in the same folder", "[profiler]") {
  CHECK(ProfileFileOf("a.json", "rank0") == "rank0_a.json");
  CHECK(ProfileFileOf("/x/y:z/a.json", "rank12") == "/x/y:z/rank12_a.json");
  CHECK(ProfileFileOf("/a.json", "worker3") == "/worker3_a.json");
}

}  // namespace
}  // namespace kvstore
