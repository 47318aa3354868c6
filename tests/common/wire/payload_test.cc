// Payload and PayloadCursor: nothing is copied, nothing is lost, whatever the slices' borders.
#include "common/wire/payload.h"

#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/common/wire/sample_frames.h"

namespace kvstore {
namespace {

using testing::CutEvery;

std::string Text(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 11 + 3);
  return text;
}

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80u);
  return bytes + static_cast<char>(value);
}

TEST_CASE("a payload of a buffer refers to it and keeps it alive", "[payload]") {
  auto buffer = std::make_shared<Buffer>(5);
  for (uint8_t i = 0; i < 5; ++i) buffer->data()[i] = static_cast<uint8_t>('a' + i);
  const uint8_t* data = buffer->data();
  const std::weak_ptr<Buffer> alive = buffer;
  Payload payload{BufferPtr(std::move(buffer))};
  REQUIRE(payload.slices().size() == 1);
  CHECK(payload.slices()[0].data == data);
  CHECK(payload.ToString() == "abcde");

  Payload sub = payload.Sub(1, 3);
  payload = Payload();
  CHECK_FALSE(alive.expired());
  CHECK(sub.ToString() == "bcd");
  CHECK(sub.slices()[0].data == data + 1);
  sub = Payload();
  CHECK(alive.expired());
}

TEST_CASE("CopyOf does not refer to its argument", "[payload]") {
  std::string text = Text(GENERATE(size_t{0}, 1, 7, 8, 9, 61, 4096));
  const std::string before = text;
  const Payload payload = Payload::CopyOf(text);
  for (char& c : text) c = 'x';
  CHECK(payload.ToString() == before);
  CHECK(payload.size() == before.size());
  CHECK(payload.empty() == before.empty());
}

TEST_CASE("a copy is one slice that outlives what it was made of", "[payload]") {
  const std::string text = Text(GENERATE(size_t{1}, 7, 61, 4096));
  Payload cut = CutEvery(text, 5);
  const Payload copy = cut.Copy();
  cut = Payload();
  REQUIRE(copy.slices().size() == 1);
  CHECK(copy.ToString() == text);
  CHECK(Payload().Copy().empty());
}

TEST_CASE("empty slices are dropped", "[payload]") {
  Payload payload;
  payload.Append(Slice{});
  payload.Append(Payload());
  payload.Append(Payload::CopyOf(""));
  CHECK(payload.slices().empty());
  CHECK(payload.empty());
}

TEST_CASE("a payload can be appended to itself", "[payload]") {
  Payload payload = CutEvery("abcdefg", 2);
  payload.Append(payload);
  CHECK(payload.ToString() == "abcdefgabcdefg");
  CHECK(payload.size() == 14);
}

TEST_CASE("Sub gives every range, wherever the slices are cut", "[payload]") {
  const size_t size = GENERATE(size_t{0}, 1, 7, 8, 9, 23);
  const size_t cut = GENERATE(size_t{1}, 2, 3, 7, 8, 100);
  CAPTURE(size, cut);
  const std::string text = Text(size);
  const Payload payload = CutEvery(text, cut);
  for (size_t offset = 0; offset <= size; ++offset) {
    for (size_t length = 0; offset + length <= size; ++length) {
      const Payload sub = payload.Sub(offset, length);
      CAPTURE(offset, length);
      REQUIRE(sub.size() == length);
      REQUIRE(sub.ToString() == text.substr(offset, length));
      for (const Slice& slice : sub.slices()) REQUIRE(slice.owner != nullptr);
    }
  }
}

TEST_CASE("a cursor reads across slice borders", "[payload]") {
  const size_t cut = GENERATE(size_t{1}, 2, 3, 5, 8, 13, 1000);
  const uint64_t seed = GENERATE(1u, 2u, 3u, 4u);
  CAPTURE(cut, seed);
  std::mt19937_64 random(seed);
  const std::string text = Text(211);
  const Payload payload = CutEvery(text, cut);
  PayloadCursor cursor(payload);
  size_t at = 0;
  while (cursor.remaining() > 0) {
    REQUIRE(cursor.position() == at);
    REQUIRE(cursor.remaining() == text.size() - at);
    const size_t n = std::min<size_t>(random() % 20, text.size() - at);
    if (random() % 3 == 0) {
      REQUIRE(cursor.Skip(n));
    } else if (random() % 2 == 0) {
      std::string read(n, '\0');
      REQUIRE(cursor.Read(read.data(), n));
      REQUIRE(read == text.substr(at, n));
    } else {
      Payload read = Payload::CopyOf("<");
      REQUIRE(cursor.ReadSlices(n, &read));
      REQUIRE(read.ToString() == "<" + text.substr(at, n));
    }
    at += n;
  }
  CHECK(at == text.size());
}

TEST_CASE("a read beyond the end is refused and moves nothing", "[payload]") {
  const size_t cut = GENERATE(size_t{1}, 3, 10);
  const Payload payload = CutEvery(Text(10), cut);
  PayloadCursor cursor(payload);
  REQUIRE(cursor.Skip(4));
  char bytes[16];
  Payload slices;
  for (const size_t n : {size_t{7}, size_t{16}, SIZE_MAX}) {
    CHECK_FALSE(cursor.Skip(n));
    CHECK_FALSE(cursor.ReadSlices(n, &slices));
    if (n <= sizeof(bytes)) CHECK_FALSE(cursor.Read(bytes, n));
  }
  CHECK(cursor.position() == 4);
  CHECK(slices.empty());
  REQUIRE(cursor.Read(bytes, 6));
  CHECK(std::string(bytes, 6) == Text(10).substr(4));
}

TEST_CASE("varints of every length are read, whole or cut", "[payload]") {
  const size_t cut = GENERATE(size_t{1}, 2, 3, 4, 100);
  std::vector<uint64_t> values = {0};
  for (int bit = 0; bit < 64; ++bit) {
    values.push_back(uint64_t{1} << bit);
    values.push_back((uint64_t{1} << bit) - 1);
  }
  values.push_back(UINT64_MAX);
  std::string bytes;
  for (const uint64_t value : values) bytes += Varint(value);
  const Payload payload = CutEvery(bytes, cut);
  PayloadCursor cursor(payload);
  for (const uint64_t value : values) {
    uint64_t read = ~value;
    REQUIRE(cursor.ReadVarint(&read));
    REQUIRE(read == value);
  }
  CHECK(cursor.remaining() == 0);
}

TEST_CASE("a varint may be longer than it needs to be, up to ten bytes", "[payload]") {
  const Payload padded =
      Payload::CopyOf(std::string("\x85\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10));
  PayloadCursor cursor(padded);
  uint64_t value = 0;
  REQUIRE(cursor.ReadVarint(&value));
  CHECK(value == 5);
}

TEST_CASE("a varint truncated, of eleven bytes or over 64 bits is refused and moves nothing",
          "[payload]") {
  const size_t cut = GENERATE(size_t{1}, 4, 100);
  for (const std::string& bytes : {std::string(), std::string("\x80"), std::string(9, '\xff'),
                                   std::string(10, '\x80') + std::string(1, '\0'),
                                   std::string(9, '\x80') + "\x02", std::string(20, '\xff')}) {
    CAPTURE(bytes.size());
    const Payload payload = CutEvery(bytes, cut);
    PayloadCursor cursor(payload);
    uint64_t value = 7;
    CHECK_FALSE(cursor.ReadVarint(&value));
    CHECK(cursor.position() == 0);
    CHECK(cursor.remaining() == bytes.size());
    CHECK(cursor.Skip(bytes.size()));
  }
}

}  // namespace
}  // namespace kvstore
