#include "common/base/json_writer.h"

#include <catch2/catch.hpp>
#include <limits>

namespace kvstore {
namespace {

TEST_CASE("members and elements are separated, also behind nested ones", "[json]") {
  JsonWriter json;
  json.BeginObject().Member("a", 1).Key("b").BeginArray().Value(true).Null().End();
  json.Key("c").BeginObject().End().Member("d", 1e9).End();
  CHECK(json.text() == R"({"a":1,"b":[true,null],"c":{},"d":1e+09})");
}

TEST_CASE("whole numbers keep all digits, others six, and what is not finite is null", "[json]") {
  JsonWriter json;
  json.BeginArray();
  json.Value(std::numeric_limits<uint64_t>::max()).Value(std::numeric_limits<int64_t>::min());
  json.Value(0.1234567).Value(std::numeric_limits<double>::quiet_NaN());
  json.Value(std::numeric_limits<double>::infinity()).End();
  CHECK(json.text() == "[18446744073709551615,-9223372036854775808,0.123457,null,null]");
}

TEST_CASE("strings are escaped", "[json]") {
  JsonWriter json;
  json.Value("a\"b\\c\n\x01 \xc3\xa9");
  CHECK(json.text() == R"("a\"b\\c\u000a\u0001 )"
                       "\xc3\xa9\"");
}

}  // namespace
}  // namespace kvstore
