#include "common/config/config_file.h"

#include <catch2/catch.hpp>

#include "tests/common/config/temporary_file.h"

namespace kvstore {
namespace {

using Catch::Contains;

TEST_CASE("a file of settings has names, values, comments and quotes", "[config]") {
  const auto values = ParseConfigFile("c",
                                      "# a cluster\n"
                                      "\n"
                                      "scheduler = [::1]:7070\n"
                                      "  workers=2   # two\r\n"
                                      "state-dir = \"/var/lib/kv store#1\"  # quoted\n"
                                      "listen = 0.0.0.0:0# at once\n"
                                      "log-level = warn");
  REQUIRE(values.ok());
  CHECK(values->size() == 5);
  CHECK(values->at("scheduler").text == "[::1]:7070");
  CHECK(values->at("scheduler").line == 3);
  CHECK(values->at("workers").text == "2");
  CHECK(values->at("state-dir").text == "/var/lib/kv store#1");
  CHECK(values->at("listen").text == "0.0.0.0:0");
  CHECK(values->at("log-level").text == "warn");
  CHECK(values->at("log-level").line == 7);
  CHECK(ParseConfigFile("c", "")->empty());
}

TEST_CASE("a line that is no setting is refused by file and line", "[config]") {
  const auto [text, message] = GENERATE(table<std::string, std::string>({
      {"\nwrkers = 2", "c:2: the name of a setting expected, got 'wrkers'; there are advertise, "},
      {"workers", "c:1: `name = value` expected, got 'workers'"},
      {"[kvstored]", "c:1: `name = value` expected, got '[kvstored]'"},
      {"workers = 2 3", "c:1: `name = value` expected, got 'workers = 2 3'"},
      {"state-dir = \"/var", "c:1: `name = value` expected"},
      {"state-dir = \"/var\" x", "c:1: `name = value` expected"},
      {"state-dir = a\"b\"", "c:1: `name = value` expected"},
      {"workers = 2\n\nworkers = 3", "c:3: workers once expected, line 1 has it too"},
      {"--workers = 2", "got '--workers'"},
      {"config = other", "got 'config'"},  // a file cannot name a file
      {"= 2", "got ''"},
  }));
  CAPTURE(text);
  const auto values = ParseConfigFile("c", text);
  REQUIRE_FALSE(values.ok());
  CHECK(values.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(values.status().message()), Catch::StartsWith("c:") && Contains(message));
}

TEST_CASE("a file that cannot be read, or is none of settings, is named", "[config]") {
  const TemporaryFile large(std::string((1 << 20) + 1, '#'));
  CHECK_THAT(std::string(ReadConfigFile(large.path()).status().message()),
             Contains(large.path()) && Contains("over 1048576 bytes"));
  CHECK_THAT(std::string(ReadConfigFile(large.path() + ".none").status().message()),
             Contains("cannot open it: No such file"));
  CHECK_THAT(std::string(ReadConfigFile("/").status().message()),
             Contains("/: a file of settings expected, cannot read it: Is a directory"));
}

}  // namespace
}  // namespace kvstore
