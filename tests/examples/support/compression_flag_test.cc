#include "examples/support/compression_flag.h"

#include <catch2/catch.hpp>

TEST_CASE("a flag of compression is a type and numbers by name", "[examples]") {
  using Parameters = std::vector<std::pair<std::string, std::string>>;
  CHECK(examples::CompressionOf("fp16") == Parameters{{"type", "fp16"}});
  CHECK(examples::CompressionOf("2bit,threshold=0.5,min_bytes=64") ==
        Parameters{{"type", "2bit"}, {"threshold", "0.5"}, {"min_bytes", "64"}});
  // What the store refuses by name.
  CHECK(examples::CompressionOf("2bit,half") == Parameters{{"type", "2bit"}, {"half", ""}});
  CHECK(examples::CompressionOf("").empty());
}
