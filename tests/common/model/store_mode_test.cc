#include "common/model/store_mode.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {

using Catch::Matchers::Contains;

TEST_CASE("the name of a type says when pushes are applied", "[model]") {
  for (const char* type : {"dist_async", "dist_device_async", "dist_async_device", "dist_ssp:3"}) {
    CAPTURE(type);
    CHECK(StoreModeOf(type) == StoreMode::kAsync);
  }
  for (const char* type : {"dist", "dist_sync", "dist_device_sync", "p3", "local", ""}) {
    CAPTURE(type);
    CHECK(StoreModeOf(type) == StoreMode::kSync);
    CHECK(CheckStaleness(type).ok());
    CHECK(StalenessBoundOf(type) == std::nullopt);
  }
}

TEST_CASE("a bound on staleness is a whole number with one text", "[model]") {
  CHECK(StalenessBoundOf("dist_ssp:0") == 0u);
  CHECK(StalenessBoundOf("dist_ssp:3") == 3u);
  CHECK(StalenessBoundOf("dist_ssp:1000000000") == kStalenessMax);
  CHECK(CheckStaleness("dist_ssp:0").ok());
  CHECK(CheckStaleness("dist_ssp:1000000000").ok());
  const auto bad = GENERATE(as<std::string>(), "dist_ssp", "dist_ssp:", "dist_ssp:-1",
                            "dist_ssp:+1", "dist_ssp:00", "dist_ssp:03", "dist_ssp:3x",
                            "dist_ssp:1000000001", "dist_ssp:18446744073709551616");
  CAPTURE(bad);
  CHECK(StalenessBoundOf(bad) == std::nullopt);
  const absl::Status status = CheckStaleness(bad);
  CHECK(absl::IsInvalidArgument(status));
  CHECK_THAT(std::string(status.message()),
             Contains("dist_ssp:<s> expected") && Contains("got '" + bad + "'"));
}

}  // namespace kvstore
