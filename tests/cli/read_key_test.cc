#include "cli/read_key.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

namespace kvstore {

using Names = std::vector<std::string>;

TEST_CASE("the nearest names differ in few letters, or begin with what was asked for", "[cli]") {
  const Names names = {"conv1.weight", "conv2.weight", "conv1.bias", "fc", "17", "conv1.weight2"};
  CHECK(NearestNames("conv1.weigth", names) ==
        Names{"conv1.weight", "conv1.weight2", "conv2.weight"});
  CHECK(NearestNames("conv1", names) == Names{"conv1.bias", "conv1.weight", "conv1.weight2"});
  CHECK(NearestNames("18", names) == Names{"17"});
  CHECK(NearestNames("embedding", names).empty());
}

TEST_CASE("versions are named, one or several", "[cli]") {
  CHECK(VersionsText({}) == "no version");
  CHECK(VersionsText({3}) == "version 3");
  CHECK(VersionsText({3, 4}) == "parts of versions 3 and 4");
  CHECK(VersionsText({3, 9, 4}) == "parts of versions 3, 4 and 9");
}

}  // namespace kvstore
