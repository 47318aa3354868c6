#include "examples/support/sha256.h"

#include <catch2/catch.hpp>
#include <string>

namespace examples {
namespace {

std::string HashOf(const std::string& text) {
  Sha256 hash;
  hash.Update(text.data(), text.size());
  return hash.Hex();
}

// Source: NIST, "Example values: SHA-256", and FIPS 180-4's byte-oriented test vectors.
TEST_CASE("sha256 gives the values of NIST's examples", "[examples]") {
  CHECK(HashOf("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(HashOf("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(HashOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(HashOf(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256 does not depend on how the bytes are cut", "[examples]") {
  const std::string text(200, 'x');
  const size_t piece = GENERATE(1, 7, 55, 56, 63, 64, 65, 199);
  CAPTURE(piece);
  Sha256 hash;
  for (size_t at = 0; at < text.size(); at += piece) {
    hash.Update(text.data() + at, std::min(piece, text.size() - at));
  }
  CHECK(hash.Hex() == HashOf(text));
}

}  // namespace
}  // namespace examples
