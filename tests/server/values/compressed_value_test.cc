// Pushes that come encoded, to dense parts and to stripes: decoded however they are cut, refused
// where they cannot be.
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "server/values/tensor_values.h"

namespace kvstore {
namespace {

KeySpec Key(const Shape& shape, Storage storage, const CompressionConfig& compression) {
  KeySpec key;
  key.key = 17;
  key.name = "w";
  key.dtype = DType::kFloat32;
  key.shape = shape;
  key.storage = storage;
  key.compression = compression;
  return key;
}

// The bytes in slices of `cut` bytes each.
Payload Cut(const std::string& bytes, size_t cut) {
  Payload payload;
  for (size_t at = 0; at < bytes.size(); at += cut) {
    payload.Append(Payload::CopyOf(bytes.substr(at, cut)));
  }
  return payload;
}

Piece Encoded(const std::string& bytes, CodecId codec, uint32_t rows = 0, size_t cut = 1000) {
  Piece piece;
  piece.rows = rows;
  piece.data = Cut(bytes, cut);
  piece.codec = codec;
  return piece;
}

std::string Floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::string Ids(const std::vector<int64_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int64_t)};
}

std::vector<float> ValuesOf(const Payload& payload) {
  std::vector<float> values(payload.size() / sizeof(float));
  payload.CopyTo(values.data());
  return values;
}

// 11 00 10 11, 10: with threshold 0.25 the values below.
const std::string kFive("\xCB\x80\0\0", 4);
const std::vector<float> kFiveValues = {0.25F, 0, -0.25F, 0.25F, -0.25F};

}  // namespace

TEST_CASE("an encoded push is summed the same however slices cut it", "[engine][codec]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sum", {}}).ok());
  const KeySpec key = Key({5}, Storage::kDense, {"2bit", {{"threshold", 0.25}}});
  for (const size_t cut : {1, 2, 3, 4}) {
    CAPTURE(cut);
    const auto value = values.Make(key, {17, 0});
    value->Fill({0, Payload::CopyOf(Floats({1, 1, 1, 1, 1}))});
    for (int rank = 0; rank < 2; ++rank) {
      const Piece piece = Encoded(kFive, CodecId::kTwoBit, 0, cut);
      REQUIRE(value->Check(Op::kPush, piece).ok());
      value->Fold(0, piece);
    }
    REQUIRE(value->Update(0, {}).ok());
    CHECK(ValuesOf(value->Read({})) == std::vector<float>{1.5F, 1, 0.5F, 1.5F, 0.5F});
  }
}

TEST_CASE("encoded rows are summed the same however slices cut them", "[engine][codec][rows]") {
  TensorValues values;
  REQUIRE(values.SetOptimizer({"sum", {}}).ok());
  const KeySpec key = Key({9, 5}, Storage::kRowSparse, {"2bit", {{"threshold", 0.25}}});
  for (const size_t cut : {1, 7, 8, 11, 12}) {
    CAPTURE(cut);
    const auto value = values.Make(key, {17, 0});
    value->Fill({});
    const Piece piece = Encoded(Ids({4}) + kFive, CodecId::kTwoBit, 1, cut);
    REQUIRE(value->Check(Op::kPush, piece).ok());
    value->Fold(0, piece);
    value->Fold(0, piece);
    value->Fold(0, Encoded("", CodecId::kTwoBit));  // no rows
    REQUIRE(value->Update(0, {}).ok());
    Piece asked;
    asked.rows = 1;
    asked.data = Payload::CopyOf(Ids({4}));
    CHECK(ValuesOf(value->Read(asked)) == std::vector<float>{0.5F, 0, -0.5F, 0.5F, -0.5F});
  }
}

TEST_CASE("a push that is not encoded as the key says is refused and says how", "[engine][codec]") {
  TensorValues values;
  const auto check = [&](const KeySpec& key, const Piece& piece, Op op = Op::kPush) {
    const absl::Status status = values.Make(key, {17, 0})->Check(op, piece);
    return std::string(absl::StatusCodeToString(status.code())) + ": " +
           std::string(status.message());
  };
  for (const Storage storage : {Storage::kDense, Storage::kRowSparse}) {
    CAPTURE(static_cast<int>(storage));
    const KeySpec key = Key({1, 5}, storage, {"2bit"});
    const std::string ids = storage == Storage::kDense ? "" : Ids({0});
    const uint32_t rows = storage == Storage::kDense ? 0 : 1;
    CHECK(check(key, Encoded(ids + kFive, CodecId::kTwoBit, rows)) == "OK: ");
    CHECK(check(key, Encoded(ids + Floats(kFiveValues), CodecId::kPlain, rows)) ==
          "FAILED_PRECONDITION: key 'w' part 0: PUSH encoded as 2bit expected, by the key's "
          "compression, got plain");
    CHECK(check(key, Encoded(ids + "12345", CodecId::kTwoBit, rows)) ==
          "INVALID_ARGUMENT: key 'w' part 0: 4 bytes of 2bit for 5 values of f32 expected, got 5");
    CHECK(check(key, Encoded(ids + kFive, CodecId::kTwoBit, rows), Op::kInit) ==
          "FAILED_PRECONDITION: key 'w' part 0: INIT encoded as plain expected, by the key's "
          "compression, got 2bit");
    CHECK(check(key, Encoded(ids, CodecId::kTwoBit, rows), Op::kPull) ==
          "FAILED_PRECONDITION: key 'w' part 0: PULL encoded as plain expected, by the key's "
          "compression, got 2bit");
    const KeySpec plain = Key({1, 5}, storage, {});
    CHECK(check(plain, Encoded(ids + kFive, CodecId::kTwoBit, rows)) ==
          "FAILED_PRECONDITION: key 'w' part 0: PUSH encoded as plain expected, by the key's "
          "compression, got 2bit");
    const KeySpec small = Key({1, 5}, storage, {"2bit", {{"min_bytes", 21}}});
    CHECK(check(small, Encoded(ids + Floats(kFiveValues), CodecId::kPlain, rows)) == "OK: ");
  }
}

TEST_CASE("rows without the bytes of their ids are refused, encoded or not", "[engine][codec]") {
  TensorValues values;
  const KeySpec key = Key({9, 5}, Storage::kRowSparse, {"2bit"});
  const absl::Status status =
      values.Make(key, {17, 0})->Check(Op::kPush, Encoded("1234567", CodecId::kTwoBit, 1));
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace kvstore
