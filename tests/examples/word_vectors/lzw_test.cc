#include "examples/word_vectors/lzw.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

namespace word_vectors {
namespace {

std::string Bytes(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// What compress(1) 4.2.4.6 printed for the numbers from 0 to 199, a blank after each: codes of 9
// and of 10 bits.
const char* const kNumbers =
    "1f9d903040c4002103c40c103440d4006103c40d103840e4101830c6c01805631c8c9130c6c2180d633c8c11"
    "31c6441901650c945150c6411909652c94d150c6431911654c9c1170c6c01905671c9c9170c6c2190d673c9c"
    "1171c6441a01690ca45190c6411a09692ca4d190c6431a11694cac11b0c6c01a056b1cac91b0c6c21a0d6b3c"
    "ac11b1c6441b016d0cb451d0c6411b096d2cb4d1d0c6431b116d4cbc11f0c6c01b056f1cbc91f0c6c21b0d6f"
    "3cbc11f1c6441c01710cc45110c7411c09712cc4d110c7431c11714ccc1130c7c01c05731ccc9130c7c21c0d"
    "733ccc1131c7c418302ac2b80823238c8d303ac2f80823248c91304ac2388e5ca045ef19357aefe8d17b4891"
    "de4b9a148892fd4596ec37c264ff9126fb9138d91fe729d067ff8c42f5d79151fd85a4547f25392510540b5e"
    "44d5821b61b5e0475c2d3812580b1e479640667198915a1c76e4168721c9c56149760984978a17f1a5e24680"
    "a9f811612a8e84988ac7312690633b6624d98e1d59b663489aed589267028196e445a425b9116a497ec45a92"
    "23c196e471b409649b9619e9a66547be691992705a96641c08";

// Likewise, for the text in the test.
const char* const kOrNot = "1f9d90549e0829f2448a932754020e2ca890a041842300";
const char* const kSixteenAs = "1f9d9061020a1c48300c";

TEST_CASE("what compress(1) wrote is read", "[word_vectors]") {
  CHECK(DecodeLzw(Bytes(kOrNot)) == "TOBEORNOTTOBEORTOBEORNOT#");
  CHECK(DecodeLzw(Bytes("1f9d90")).empty());
}

TEST_CASE("a code may name the string that it completes", "[word_vectors]") {
  CHECK(DecodeLzw(Bytes(kSixteenAs)) == std::string(16, 'a'));
}

TEST_CASE("codes grow by a bit when their numbers run out", "[word_vectors]") {
  std::string expected;
  for (int i = 0; i < 200; ++i) expected += std::to_string(i) + " ";
  CHECK(DecodeLzw(Bytes(kNumbers)) == expected);
}

TEST_CASE("after the code 256 the strings are forgotten", "[word_vectors]") {
  // Nine bits each, low bits first: 'a', 256, five codes of filling, then 'b'.
  std::string stream = Bytes("1f9d90") + std::string(10, '\0');
  const auto put = [&stream](size_t index, unsigned code) {
    for (size_t bit = 0; bit < 9; ++bit) {
      const size_t at = 24 + 9 * index + bit;
      if ((code >> bit) & 1) stream[at / 8] = static_cast<char>(stream[at / 8] | 1 << (at % 8));
    }
  };
  put(0, 'a');
  put(1, 256);
  put(8, 'b');  // a group has eight codes
  // One byte more than the ninth code needs, less than a tenth.
  stream.resize(3 + 9 + 2, '\0');
  CHECK(DecodeLzw(stream) == "ab");
}

TEST_CASE("bytes that compress(1) did not write are refused", "[word_vectors]") {
  CHECK_THROWS_WITH(DecodeLzw(""), "no header of compress(1)");
  CHECK_THROWS_WITH(DecodeLzw("plain text"), "no header of compress(1)");
  // 'a', then code 300 while no string exists.
  CHECK_THROWS_WITH(DecodeLzw(Bytes("1f9d9061580200")), "a code without a string at byte 1");
}

}  // namespace
}  // namespace word_vectors
