#include "common/safetensors/safetensors.h"

#include <catch2/catch.hpp>
#include <string>

namespace kvstore {
namespace {

using Catch::Matchers::Contains;

std::string Length(uint64_t length) {
  std::string bytes;
  for (int byte = 0; byte < 8; ++byte) bytes.push_back(static_cast<char>(length >> (8 * byte)));
  return bytes;
}

std::string File(const std::string& header, const std::string& data = "") {
  return Length(header.size()) + header + data;
}

absl::StatusOr<SafeTensors> Decode(const std::string& bytes) {
  return DecodeSafetensors(Payload::CopyOf(bytes));
}

void CheckLoss(const std::string& bytes, const std::string& text) {
  const absl::Status status = Decode(bytes).status();
  CAPTURE(bytes, status.ToString());
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(status.message()), Contains("no safetensors file: " + text));
}

SafeTensor Tensor(DType dtype, Shape shape, const std::string& bytes) {
  return {dtype, std::move(shape), Payload::CopyOf(bytes)};
}

TEST_CASE("a file is read as it was written", "[safetensors]") {
  SafeTensors file;
  file.metadata = {{"format", "a \"text\""}, {"", "empty"}};
  file.tensors["conv/weight"] = Tensor(DType::kFloat32, {2, 1}, "abcdefgh");
  file.tensors["half"] = Tensor(DType::kFloat16, {3}, "ijklmn");
  file.tensors["one"] = Tensor(DType::kBool, {}, "o");
  file.tensors["none"] = Tensor(DType::kInt64, {0, 5}, "");
  file.tensors["\xc3\xa4 \"quoted\"\n"] = Tensor(DType::kFloat64, {1}, "pqrstuvw");
  const absl::StatusOr<Payload> bytes = EncodeSafetensors(file);
  REQUIRE(bytes.ok());
  const std::string text = bytes->ToString();
  // Each tensor at a multiple of its element: the header ends at one of 8, wide ones come first.
  CHECK((text.size() - 8 - 6 - 8 - 1) % 8 == 0);
  CHECK(text.substr(text.size() - 23) == "pqrstuvwabcdefghijklmno");
  const absl::StatusOr<SafeTensors> read = Decode(text);
  REQUIRE(read.ok());
  CHECK(read->metadata == file.metadata);
  REQUIRE(read->tensors.size() == file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    CAPTURE(name);
    const SafeTensor& got = read->tensors.at(name);
    CHECK(got.dtype == tensor.dtype);
    CHECK(got.shape == tensor.shape);
    CHECK(got.data.ToString() == tensor.data.ToString());
  }
}

TEST_CASE("every dtype has its name", "[safetensors]") {
  for (int number = 1; number <= 9; ++number) {
    const auto dtype = static_cast<DType>(number);
    SafeTensors file;
    file.tensors["t"] = Tensor(dtype, {2}, std::string(2 * DTypeBytes(dtype), 'x'));
    const absl::StatusOr<Payload> bytes = EncodeSafetensors(file);
    REQUIRE(bytes.ok());
    CHECK(Decode(bytes->ToString())->tensors.at("t").dtype == dtype);
  }
  CHECK(SafetensorsDType(DType::kBFloat16) == "BF16");
  CHECK(SafetensorsDType(DType::kUnspecified).empty());
}

TEST_CASE("what cannot be in a file is not written", "[safetensors]") {
  const auto refused = [](const std::string& name, const SafeTensor& tensor) {
    SafeTensors file;
    file.tensors[name] = tensor;
    return EncodeSafetensors(file).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  CHECK(refused("t", Tensor(DType::kFloat32, {2}, "short")) == invalid);
  CHECK(refused("t", Tensor(DType::kFloat32, {-1}, "")) == invalid);
  CHECK(refused("t", Tensor(DType::kUnspecified, {0}, "")) == invalid);
  CHECK(refused("__metadata__", Tensor(DType::kFloat32, {0}, "")) == invalid);
  CHECK(refused("\xff", Tensor(DType::kFloat32, {0}, "")) == invalid);
}

TEST_CASE("a file of another writer is read", "[safetensors]") {
  // As the format's own library writes it, and with tensors in another order than their names.
  const auto read =
      Decode(File(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}, "a":{"shape":[1,1],)"
                  R"("data_offsets":[2,4],"dtype":"F16"},"__metadata__":{"k":"v"}}   )",
                  "wxyz"));
  REQUIRE(read.ok());
  CHECK(read->tensors.at("a").data.ToString() == "yz");
  CHECK(read->tensors.at("b").data.ToString() == "wx");
  CHECK(read->metadata.at("k") == "v");
  CHECK(Decode(File("{}"))->tensors.empty());
}

TEST_CASE("bytes that are no such file are refused", "[safetensors]") {
  CheckLoss("", "at least 8 bytes expected, got 0");
  CheckLoss(Length(1)[0] + std::string(6, '\0'), "at least 8 bytes expected, got 7");
  CheckLoss(Length(100'000'001) + "{}",
            "a header of at most 100000000 bytes expected, got 100000001");
  CheckLoss(Length(UINT64_MAX) + "{}", "a header of at most");
  CheckLoss(Length(3) + "{}", "a header of 3 bytes expected, 2 are there");
  CheckLoss(File(""), "a header that begins with '{' expected");
  CheckLoss(File(" {}"), "a header that begins with '{' expected");
  CheckLoss(File("{"), "its header: JSON expected");
  CheckLoss(File("{} x"), "its header: JSON expected");
  CheckLoss(File("{\"a\":\"\xff\"}"), "its header: JSON expected");
  CheckLoss(File(R"({"a":[[[[[[1]]]]]]})"), "its header: too deeply nested");
  CheckLoss(File("{\"a\":" + std::string(50000, '[')), "its header: ");
  CheckLoss(File(R"({"__metadata__":{"a":"1","a":"2"}})"), "its header: 'a' comes twice");
  CheckLoss(File(R"({"__metadata__":{"a":1}})"), "__metadata__: 'a': a text expected");
  CheckLoss(File(R"({"__metadata__":[]})"), "__metadata__: an object of texts expected");
  CheckLoss(File("{}", "x"), "0 bytes of tensors expected, 1 are there");
}

TEST_CASE("tensors that are none, or lie where they cannot, are refused", "[safetensors]") {
  const auto tensor = [](const std::string& json, const std::string& data = "1234") {
    return File("{\"t\":" + json + "}", data);
  };
  const std::string not_one = "tensor 't': an object with dtype, shape and data_offsets, and no";
  CheckLoss(tensor("7"), not_one);
  CheckLoss(tensor(R"({"dtype":"F32","shape":[1]})"), not_one);
  CheckLoss(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})"), not_one);
  CheckLoss(tensor(R"({"dtype":"F33","shape":[1],"data_offsets":[0,4]})"),
            "tensor 't': a dtype of F32, F64, F16, BF16, U8, I8, I32, I64 or BOOL expected, got "
            "'F33'");
  CheckLoss(tensor(R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})"),
            "tensor 't': a text as dtype expected");
  for (const char* shape : {"1", "[-1]", "[1.0]", "[\"1\"]", "[1e3]", "[[1]]"}) {
    CheckLoss(
        tensor(std::string(R"({"dtype":"F32","shape":)") + shape + R"(,"data_offsets":[0,4]})"),
        "tensor 't': a list of whole numbers as shape expected");
  }
  CheckLoss(tensor(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]})"),
            "tensor 't': a dimension below 2^63 expected");
  CheckLoss(tensor(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]})"),
            "tensor 't': at most 2^60 elements expected");
  for (const char* offsets : {"4", "[0]", "[0,4,8]", "[0,-4]", "[0,4.0]"}) {
    CheckLoss(tensor(std::string(R"({"dtype":"F32","shape":[1],"data_offsets":)") + offsets + "}"),
              "tensor 't': two whole numbers as data_offsets expected");
  }
  CheckLoss(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,3]})"),
            "tensor 't': 4 bytes for F32 of shape [1] expected, got those from 0 to 3");
  CheckLoss(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"),
            "tensor 't': 4 bytes for F32 of shape [1] expected, got those from 4 to 0");
  CheckLoss(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})", "123"),
            "tensor 't': 4 bytes of tensors expected, 3 are there");
  CheckLoss(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[1,5]})", "12345"),
            "tensor 't': its bytes expected from 0 on, behind those before, they begin at 1");
  const std::string two = R"("dtype":"U8","shape":[2],"data_offsets":)";
  CheckLoss(File("{\"t\":{" + two + "[0,2]},\"u\":{" + two + "[1,3]}}", "123"),
            "tensor 'u': its bytes expected from 2 on");
  CheckLoss(File("{\"t\":{" + two + "[0,2]},\"t\":{" + two + "[0,2]}}", "12"),
            "its header: 't' comes twice");
}

TEST_CASE("a file that is cut anywhere, or has a bit turned over, does no harm", "[safetensors]") {
  SafeTensors file;
  file.metadata["m"] = "text";
  file.tensors["a"] = Tensor(DType::kFloat32, {2}, "abcdefgh");
  file.tensors["b"] = Tensor(DType::kUInt8, {3}, "ijk");
  const std::string good = EncodeSafetensors(file)->ToString();
  for (size_t size = 0; size < good.size(); ++size) {
    CHECK(Decode(good.substr(0, size)).status().code() == absl::StatusCode::kDataLoss);
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      const absl::StatusOr<SafeTensors> read = Decode(bad);
      if (!read.ok()) CHECK(read.status().code() == absl::StatusCode::kDataLoss);
    }
  }
}

}  // namespace
}  // namespace kvstore
