#include "common/wire/norm_note.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {

TEST_CASE("a note of norms is read as it was written, at the places that protocol.md says",
          "[wire]") {
  NormNote note;
  note.parts = 3;
  note.known = 1;
  note.norms.squares = {1.5, 0, -0.0, 1e300};
  note.measured = true;
  note.own.squares = {0.1, 2, 3, 4};
  const std::string bytes = EncodeNormNote(note).ToString();
  REQUIRE(bytes.size() == 80);
  CHECK(bytes.substr(0, 16) == std::string("\3\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0", 16));
  CHECK(bytes.substr(16, 8) == std::string("\0\0\0\0\0\0\xf8\x3f", 8));  // 1.5
  CHECK(bytes.substr(56, 8) == std::string("\0\0\0\0\0\0\0\x40", 8));    // 2
  const auto read = DecodeNormNote(Payload::CopyOf(bytes));
  REQUIRE(read.ok());
  CHECK(*read == note);
}

TEST_CASE("bytes that are no note of norms are refused", "[wire]") {
  NormNote note;
  note.parts = 1;
  const std::string bytes = EncodeNormNote(note).ToString();
  CHECK(DecodeNormNote(Payload::CopyOf(bytes)).ok());
  CHECK(DecodeNormNote(Payload::CopyOf(bytes.substr(1))).status().message() ==
        "norms: 80 bytes expected, got 79");
  for (const size_t place : {0, 8, 12}) {
    CAPTURE(place);
    std::string other = bytes;
    other[place] = place == 0 ? '\0' : '\4';
    CHECK(absl::IsInvalidArgument(DecodeNormNote(Payload::CopyOf(other)).status()));
  }
}

}  // namespace kvstore
