// The published vectors of CRC-32C.
#include "common/base/crc32c.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {
namespace {

TEST_CASE("CRC-32C of the published vectors", "[base][crc32c]") {
  // RFC 3720 B.4; "123456789" is the check value of the CRC catalogue.
  CHECK(Crc32c("") == 0u);
  CHECK(Crc32c("123456789") == 0xe3069283u);
  CHECK(Crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(Crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  std::string up, down;
  for (int i = 0; i < 32; ++i) {
    up.push_back(static_cast<char>(i));
    down.push_back(static_cast<char>(31 - i));
  }
  CHECK(Crc32c(up) == 0x46dd794eu);
  CHECK(Crc32c(down) == 0x113fdb5cu);
}

TEST_CASE("CRC-32C goes on from where it stopped", "[base][crc32c]") {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    CHECK(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))) == Crc32c(text));
  }
}

}  // namespace
}  // namespace kvstore
