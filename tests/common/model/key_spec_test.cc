// The names of keys: which there may be, and how messages show them.
#include "common/model/key_spec.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {
namespace {

std::string Problem(const std::string& name) {
  const absl::Status status = CheckKeyName(name);
  CHECK((status.ok() || status.code() == absl::StatusCode::kInvalidArgument));
  return std::string(status.message());
}

TEST_CASE("a key's name is 1 to 256 bytes", "[key_spec]") {
  CHECK(Problem("k") == "");
  CHECK(Problem(std::string(256, 'k')) == "");
  CHECK(Problem("") == "a name of 1 to 256 bytes expected, got 0");
  CHECK(Problem(std::string(257, 'k')) == "a name of 1 to 256 bytes expected, got 257");
}

TEST_CASE("a key's name has letters, digits and _./:- only", "[key_spec]") {
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-";
  for (int byte = 0; byte < 256; ++byte) {
    CAPTURE(byte);
    const char c = static_cast<char>(byte);
    CHECK(CheckKeyName(std::string("a") + c).ok() == (allowed.find(c) != std::string::npos));
  }
  CHECK(Problem("ab c") == "a name of [A-Za-z0-9_./:-] expected, got byte 0x20 at 2");
  CHECK(Problem(std::string("\0", 1)) == "a name of [A-Za-z0-9_./:-] expected, got byte 0x00 at 0");
}

TEST_CASE("a key is shown by its number or its name, hostile bytes escaped", "[key_spec]") {
  CHECK(KeyLabel(17, "") == "key 17");
  CHECK(KeyLabel(KeyIdOf(int64_t{-2}), "") == "key -2");
  CHECK(KeyLabel(1, "conv1.weight") == "key 'conv1.weight'");
  CHECK(KeyLabel(1, std::string("a\0\n\x1b[31m'\\\xff", 11)) ==
        "key 'a\\x00\\x0a\\x1b[31m\\'\\\\\\xff'");
  CHECK(KeyLabel(1, std::string(10000, 'k')) ==
        "key '" + std::string(256, 'k') + "'... (10000 bytes)");
}

}  // namespace
}  // namespace kvstore
