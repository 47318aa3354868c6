#include "bench/kvbench/json_writer.h"

#include <catch2/catch.hpp>
#include <limits>

namespace kvstore::bench {
namespace {

TEST_CASE("nested values are separated and indented", "[kvbench]") {
  JsonWriter json;
  json.BeginObject();
  json.Key("a").Whole(1);
  json.Key("b").BeginArray().Bool(true).Null().EndArray();
  json.Key("c").BeginObject().EndObject();
  json.Key("d").Numbers({0.5, 1e9});
  json.EndObject();
  CHECK(json.text() ==
        "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null\n  ],\n  \"c\": {},\n"
        "  \"d\": [0.5, 1e+09]\n}\n");
}

TEST_CASE("strings are escaped and numbers without a value are null", "[kvbench]") {
  JsonWriter json;
  json.BeginArray();
  json.String("quote \" backslash \\ tab \t");
  json.Number(std::numeric_limits<double>::quiet_NaN());
  json.Numbers({std::numeric_limits<double>::infinity()});
  json.EndArray();
  CHECK(json.text() == "[\n  \"quote \\\" backslash \\\\ tab \\u0009\",\n  null,\n  [null]\n]\n");
}

}  // namespace
}  // namespace kvstore::bench
