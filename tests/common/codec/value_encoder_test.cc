// ValueEncoder: parts, what is left over from push to push, and MXNet's own sums.
#include "common/codec/value_encoder.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/cluster/partitioner.h"
#include "common/kernels/kernels.h"

namespace kvstore {
namespace {

CodecPtr Made(const CompressionConfig& config) {
  auto codec = MakeCodec(config);
  REQUIRE(codec.ok());
  return *codec;
}

template <typename T>
const uint8_t* BytesOf(const std::vector<T>& values) {
  return reinterpret_cast<const uint8_t*>(values.data());
}

// Encodes f32 values, and adds what they stand for to `sum`.
void Push(ValueEncoder& encoder, const std::vector<float>& values, std::vector<float>* sum) {
  const std::vector<MutableBufferPtr> parts = encoder.MakeRoom();
  encoder.Encode(BytesOf(values), parts);
  for (PartIndex part = 0; part < parts.size(); ++part) {
    const size_t elements = PartBytes(values.size() * sizeof(float), part) / sizeof(float);
    encoder.codec().Decode(DType::kFloat32, parts[part]->data(), elements, /*add=*/true,
                           sum->data() + PartOffset(part) / sizeof(float));
  }
}

std::vector<float> Floats(std::istringstream& words) {
  std::vector<float> values;
  for (std::string word; words >> word;) {
    const auto bits = static_cast<uint32_t>(std::stoul(word, nullptr, 16));
    std::memcpy(&values.emplace_back(), &bits, sizeof(bits));
  }
  return values;
}

}  // namespace

TEST_CASE("2bit has the sums of MXNet 1.9.1", "[codec]") {
  std::ifstream file(KVS_GOLDEN_CODECS "/mxnet_1_9_1.txt");
  std::vector<ValueEncoder> devices;
  std::vector<float> sum;
  size_t compared = 0;
  for (std::string line; std::getline(file, line);) {
    CAPTURE(line.substr(0, 20));
    std::istringstream words(line);
    std::string kind, number;
    words >> kind;
    if (kind == "case") {
      double threshold = 0;
      words >> threshold;
      const CodecPtr codec = Made({"2bit", {{"threshold", threshold}}});
      devices.clear();
      for (uint32_t device = 0; device < 2; ++device) {
        devices.emplace_back(codec, 1, device, DType::kFloat32, 37 * sizeof(float));
      }
    } else if (kind == "x") {
      size_t device = 0;
      words >> number >> device;
      const std::vector<float> values = Floats(words);
      REQUIRE(values.size() == 37);
      if (device == 0) sum.assign(values.size(), 0);
      Push(devices.at(device), values, &sum);
    } else if (kind == "value") {
      words >> number;
      CHECK(std::memcmp(sum.data(), Floats(words).data(), 37 * sizeof(float)) == 0);
      ++compared;
    }
  }
  CHECK(compared == 60);
}

TEST_CASE("the parts of a value are blocks of their own", "[codec]") {
  // Two parts and a piece of a third; the mean of each is its own.
  constexpr size_t kPart = kPartBytesMax / sizeof(float);
  std::vector<float> values(2 * kPart + 3, 1);
  std::fill(values.begin() + kPart, values.end(), -2.0F);
  values.back() = 4;
  ValueEncoder encoder(Made({"onebit_scaled"}), 1, 0, DType::kFloat32,
                       values.size() * sizeof(float));
  std::vector<float> sum(values.size(), 0);
  Push(encoder, values, &sum);
  CHECK(sum[0] == 1);
  CHECK(sum[kPart] == -2);
  const float mean = 8.0F / 3;  // of 2, 2 and 4
  CHECK(std::vector<float>(sum.end() - 3, sum.end()) == std::vector<float>{-mean, -mean, mean});
}

TEST_CASE("an encoder says after each part that it may be sent", "[codec]") {
  const std::vector<float> values(kPartBytesMax / sizeof(float) * 2 + 10, 0.75F);
  ValueEncoder encoder(Made({"2bit"}), 17, 0, DType::kFloat32, values.size() * sizeof(float));
  const std::vector<MutableBufferPtr> parts = encoder.MakeRoom();
  for (const MutableBufferPtr& part : parts) std::memset(part->data(), 0xEE, part->size());
  std::vector<PartIndex> ends;
  encoder.Encode(BytesOf(values), parts, [&](PartIndex end) {
    ends.push_back(end);
    // 0.75 is +0.5 and a rest: codes 11. Those of this part are there, of the next one not.
    CHECK(parts[end - 1]->data()[0] == 0xFF);
    if (end < parts.size()) CHECK(parts[end]->data()[0] == 0xEE);
  });
  CHECK(ends == std::vector<PartIndex>{1, 2, 3});
}

TEST_CASE("16-bit floats are encoded from f32, and what is left over is one", "[codec]") {
  ValueEncoder encoder(Made({"2bit"}), 1, 0, DType::kBFloat16, 2 * sizeof(uint16_t));
  const std::vector<float> pushed = {0.375F, -0.125F};
  std::vector<uint16_t> values(2);
  Narrow(DType::kBFloat16, values.data(), pushed.data(), 2);
  std::vector<float> sum(2, 0);
  for (int push = 0; push < 4; ++push) {
    const std::vector<MutableBufferPtr> parts = encoder.MakeRoom();
    encoder.Encode(BytesOf(values), parts);
    encoder.codec().Decode(DType::kBFloat16, parts[0]->data(), 2, /*add=*/true, sum.data());
  }
  // 1.5 in steps of 0.5; -0.5 when the fourth comes.
  CHECK(sum == std::vector<float>{1.5F, -0.5F});
}

TEST_CASE("a pull is encoded and read back in the key's dtype", "[codec]") {
  const CodecPtr codec = Made({"fp16", {{"pull", 1}}});
  REQUIRE(codec->encodes_pulls());
  const std::vector<double> values = {1.0 / 3, -2, 1e9};
  const Payload encoded = EncodeValues(*codec, DType::kFloat64, BytesOf(values), 3);
  CHECK(encoded.size() == 6);
  std::vector<double> read(3);
  DecodeValues(*codec, DType::kFloat64, encoded, 3).CopyTo(read.data());
  CHECK(read == std::vector<double>{0.333251953125, -2, 65504});
  CHECK(!Made({"fp16"})->encodes_pulls());
}

}  // namespace kvstore
