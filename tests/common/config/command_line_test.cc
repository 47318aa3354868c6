#include "common/config/command_line.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

using Catch::Contains;
using Arguments = std::vector<std::string>;

const CommandLineTexts kTexts = {"prog", "what it does", "the end", "1.2.3"};

TEST_CASE("flags are taken by their names, and what is in them is left to the config", "[config]") {
  const auto result = ReadCommandLine(kSchedulerProgram, kTexts,
                                      {"--workers", "abc", "--servers=2", "--exit-with-job"});
  REQUIRE(result.line);
  CHECK(result.line->flags == std::map<std::string, std::string>{
                                  {"workers", "abc"}, {"servers", "2"}, {"exit-with-job", "true"}});
  CHECK_FALSE(result.line->print_config);
  CHECK(ReadCommandLine(kServerProgram, kTexts, {"--print-config"}).line->print_config);
}

TEST_CASE("a flag that the program does not have ends it with 2 and one line", "[config]") {
  const auto arguments = GENERATE(as<Arguments>(), Arguments{"--nonsense"}, Arguments{"extra"},
                                  Arguments{"--state-dir", "x"}, Arguments{"--scheduler"});
  const auto result = ReadCommandLine(kServerProgram, kTexts, arguments);
  CHECK_FALSE(result.line);
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.text, Catch::StartsWith("prog: ") && Contains(arguments[0]) &&
                              Catch::EndsWith("(--help lists the flags)\n"));
}

TEST_CASE("help has every setting of the program, and no other", "[config]") {
  const auto program = GENERATE(kSchedulerProgram, kServerProgram);
  const auto result = ReadCommandLine(program, kTexts, {"--help"});
  CHECK(result.exit_code == 0);
  CHECK_FALSE(result.line);
  for (const SettingSpec& spec : SettingTable()) {
    const std::string flag = "--" + spec.name;
    CAPTURE(flag);
    if ((spec.programs & program) != 0) {
      CHECK_THAT(result.text, Contains(flag));
      for (const SettingVariable& variable : spec.variables) {
        CHECK_THAT(result.text, Contains(variable.name));
      }
    }
  }
  CHECK_THAT(result.text, Contains("what it does") && Contains("the end"));
  CHECK((program == kServerProgram) != (result.text.find("--state-dir") != std::string::npos));
  CHECK(ReadCommandLine(program, kTexts, {"--version"}).text == "prog 1.2.3\n");
}

}  // namespace
}  // namespace kvstore
