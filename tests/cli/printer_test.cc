#include "cli/printer.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

TEST_CASE("columns are as wide as their widest cell", "[cli]") {
  Table table({"NODE", "HEALTH", "NOTE"});
  CHECK(table.empty());
  table.AddRow({"worker 10", "ok", ""});
  table.AddRow({"s", "suspect", "x"});
  CHECK_FALSE(table.empty());
  CHECK(table.ToString() ==
        "NODE       HEALTH   NOTE\n"
        "worker 10  ok\n"
        "s          suspect  x\n");
}

TEST_CASE("durations are written in the unit that fits", "[cli]") {
  CHECK(DurationText(0) == "0 ms");
  CHECK(DurationText(999) == "999 ms");
  CHECK(DurationText(1000) == "1.0 s");
  CHECK(DurationText(59999) == "59.9 s");
  CHECK(DurationText(60000) == "1 min 0 s");
  CHECK(DurationText(3725000) == "62 min 5 s");
}

}  // namespace
}  // namespace kvstore
