#include "common/config/help_formatter.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("checks of CLI11 become words", "[config]") {
  CHECK(ConstraintInWords("UINT:UINT in [1 - 10000]") == "1 to 10000");
  CHECK(ConstraintInWords("INT:INT in [-5 - -1]") == "-5 to -1");
  CHECK(ConstraintInWords("FLOAT:POSITIVE") == "above 0");
  CHECK(ConstraintInWords("INT:NONNEGATIVE") == "0 or more");
  CHECK(ConstraintInWords("TEXT:{table,json}") == "table or json");
  CHECK(ConstraintInWords("TEXT:{a}") == "a");
  CHECK(ConstraintInWords("TEXT:{a,b,c}") == "a, b or c");
  CHECK(ConstraintInWords("UINT:SIZE [b, kb(=1024b), ...]:UINT in [4096 - 8192]") ==
        "k is 1024, likewise m, g; 4096 to 8192");
  CHECK(ConstraintInWords("UINT").empty());
  CHECK(ConstraintInWords("HOST:PORT").empty());
  CHECK(ConstraintInWords("HOST:PORT:{a:1}") == "{a; 1}");
  CHECK(ConstraintInWords("TEXT:FILE") == "FILE");  // a check that is not known is shown
}

TEST_CASE("a value is called by what it is", "[config]") {
  CHECK(Placeholder("UINT:UINT in [1 - 10000]") == "N");
  CHECK(Placeholder("INT") == "N");
  CHECK(Placeholder("FLOAT:POSITIVE") == "X");
  CHECK(Placeholder("MS:NONNEGATIVE") == "MS");
  CHECK(Placeholder("HOST:PORT") == "HOST:PORT");
}

TEST_CASE("long texts are broken at words", "[config]") {
  CHECK(WrapWords("", 10).empty());
  CHECK(WrapWords("one two\nthree", 20) == "one two three");
  CHECK(WrapWords("one two three", 7) == "one two\nthree");
  CHECK(WrapWords("one two three", 6) == "one\ntwo\nthree");
  CHECK(WrapWords("unbreakable a", 3) == "unbreakable\na");
}

TEST_CASE("help shows no type names, brackets or equal signs of CLI11", "[config]") {
  CLI::App app("About this.", "program");
  app.require_subcommand(1);
  app.formatter(std::make_shared<HelpFormatter>());
  uint32_t workers = 1;
  double scale = 1;
  std::vector<int64_t> heights = {5, 7};
  std::string scheduler;
  bool loud = false;
  CLI::App* command = app.add_subcommand("run", "run a program");
  command->add_option("-n,--workers", workers, "workers")
      ->check(CLI::Range(1u, 10000u))
      ->capture_default_str();
  command->add_option("--time-scale", scale, "stretch every timer")
      ->check(CLI::PositiveNumber)
      ->envname("KVSTORE_TIME_SCALE")
      ->capture_default_str();
  command->add_option("--heights", heights, "a list")->delimiter(',')->capture_default_str();
  command->add_option("--scheduler", scheduler, "where it is")->type_name("HOST:PORT")->required();
  command->add_flag("--loud,!--quiet", loud, "say more");

  CHECK_THAT(app.help(), Contains("About this.\n\nUsage: program [OPTIONS] SUBCOMMAND\n"));
  CHECK_THAT(app.help(), Contains("  run                         run a program\n"));
  const std::string help = command->help();
  CAPTURE(help);
  CHECK_THAT(help, Contains("  -n,--workers N              workers (1 to 10000; default 1)\n"));
  CHECK_THAT(help, Contains("  --time-scale X              stretch every timer (above 0; default "
                            "1) [KVSTORE_TIME_SCALE]\n"));
  CHECK_THAT(help, Contains("  --heights N...              a list (default 5,7)\n"));
  CHECK_THAT(help, Contains("  --scheduler HOST:PORT       where it is (required)\n"));
  CHECK_THAT(help, Contains("  --loud,--quiet              say more\n"));
  CHECK_THAT(help, !Contains("UINT"));
}

}  // namespace
}  // namespace kvstore
