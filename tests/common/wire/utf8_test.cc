// UTF-8 as protobuf checks it.
#include "common/wire/utf8.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {
namespace {

// The bytes that a code point's bits give, whether or not it is a character.
std::string Encode(uint32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80u | ((c >> shift) & 0x3fu)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xc0u | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xe0u | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0u | c >> 18), tail(12), tail(6), tail(0)};
}

TEST_CASE("every code point is valid but the surrogates and those over U+10FFFF", "[utf8]") {
  for (uint32_t c = 0; c < 0x120000; ++c) {
    const bool is_character = c < 0xd800 || (c > 0xdfff && c <= 0x10ffff);
    if (IsValidUtf8(Encode(c)) != is_character) FAIL("wrong about U+" << std::hex << c);
  }
}

TEST_CASE("what is no character is invalid", "[utf8]") {
  const std::string bytes =
      GENERATE(as<std::string>(), "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
               "\xf0\x8f\xbf\xbf", "\xf5\x80\x80\x80", "\xff", "\xc2", "\xe2\x82", "\xf0\x9f\x98",
               "\xc2"
               "a",
               "\xe2\x82"
               "a",
               "\xf0\x9f"
               "a\x80");
  CHECK_FALSE(IsValidUtf8(bytes));
  CHECK_FALSE(IsValidUtf8("abc" + bytes));
  CHECK(ValidUtf8Prefix("abc" + bytes) == 3);
  CHECK(IsValidUtf8(ToValidUtf8("abc" + bytes, 100)));
}

TEST_CASE("ToValidUtf8 replaces what is no character and cuts between characters", "[utf8]") {
  CHECK(ToValidUtf8("a\xff\x80z\xc2", 100) == "a??z?");
  CHECK(ToValidUtf8("ab\xe2\x82\xac", 5) == "ab\xe2\x82\xac");
  CHECK(ToValidUtf8("ab\xe2\x82\xac", 4) == "ab");
  CHECK(ToValidUtf8("abc", 0).empty());
  CHECK(ToValidUtf8(std::string("a\0b", 3), 3) == std::string("a\0b", 3));
}

}  // namespace
}  // namespace kvstore
