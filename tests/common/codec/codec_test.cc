// The codecs: their bits against vectors made with NumPy, every instruction set alike, and what a
// peer may send.
#include "common/codec/codec.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "common/codec/bit_codes.h"
#include "tests/common/kernels/harness.h"

namespace kvstore {
namespace {

using testing::ForEachTarget;

// A codec must encode, decode and leave over exactly what the vectors say.
struct Case {
  std::string title;
  CompressionConfig config;
  DType dtype = DType::kFloat32;
  // By round: bits of the elements, and the encoded bytes.
  std::vector<std::vector<uint64_t>> x, decoded, left;
  std::vector<std::string> encoded;
};

std::string FromHex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::vector<Case> ReadVectors() {
  std::ifstream file(KVS_GOLDEN_CODECS "/vectors.txt");
  std::vector<Case> cases;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string kind, word;
    words >> kind;
    if (kind == "#") continue;
    if (kind == "case") {
      Case& made = cases.emplace_back();
      made.title = line;
      words >> made.config.type >> word;
      made.dtype = word == "f64" ? DType::kFloat64 : DType::kFloat32;
      while (words >> word) {
        const size_t equals = word.find('=');
        made.config.parameters[word.substr(0, equals)] = std::stod(word.substr(equals + 1));
      }
      continue;
    }
    Case& last = cases.back();
    words >> word;  // the round, which follows from the order
    if (kind == "encoded") {
      words >> word;
      last.encoded.push_back(FromHex(word));
      continue;
    }
    auto& list = kind == "x" ? last.x : kind == "decoded" ? last.decoded : last.left;
    list.emplace_back();
    while (words >> word) list.back().push_back(std::stoull(word, nullptr, 16));
  }
  return cases;
}

template <typename T>
std::vector<T> FromBits(const std::vector<uint64_t>& bits) {
  std::vector<T> values;
  for (const uint64_t each : bits) {
    T value;
    std::memcpy(&value, &each, sizeof(value));
    values.push_back(value);
  }
  return values;
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) ? !std::isnan(b[i]) : std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      return false;
    }
  }
  return true;
}

CodecPtr Made(const CompressionConfig& config) {
  auto codec = MakeCodec(config);
  REQUIRE(codec.ok());
  return *codec;
}

// Encodes `values`, which become what is left over.
template <typename T>
std::string Encode(const Codec& codec, DType dtype, std::vector<T>* values, uint64_t number = 0) {
  std::string bytes(codec.EncodedBytes(dtype, values->size()), '\xA5');
  std::vector<T> scratch(codec.ScratchBytes(dtype, values->size()) / sizeof(T) + 1);
  codec.Encode(dtype, values->data(), values->size(), {17, 3, 2, number}, scratch.data(),
               reinterpret_cast<uint8_t*>(bytes.data()));
  return bytes;
}

template <typename T>
std::vector<T> Decode(const Codec& codec, DType dtype, const std::string& bytes, size_t elements) {
  std::vector<T> values(elements, T{99});
  codec.Decode(dtype, reinterpret_cast<const uint8_t*>(bytes.data()), elements, /*add=*/false,
               values.data());
  return values;
}

template <typename T>
void CheckCase(const Case& golden) {
  const CodecPtr codec = Made(golden.config);
  std::vector<T> left(golden.x[0].size(), T{0});
  for (size_t round = 0; round < golden.x.size(); ++round) {
    CAPTURE(golden.title, round);
    const std::vector<T> x = FromBits<T>(golden.x[round]);
    for (size_t i = 0; i < x.size(); ++i) left[i] = left[i] + x[i];
    const std::string bytes = Encode(*codec, golden.dtype, &left, round);
    // Where a mean or a maximum is a NaN its bits may be any NaN's, and nothing else counts.
    const std::vector<T> decoded = Decode<T>(*codec, golden.dtype, bytes, x.size());
    CHECK(SameBits(decoded, FromBits<T>(golden.decoded[round])));
    if (!std::isnan(decoded[0])) CHECK(bytes == golden.encoded[round]);
    CHECK(SameBits(left, FromBits<T>(golden.left[round])));

    std::vector<T> sum = x;
    codec->Decode(golden.dtype, reinterpret_cast<const uint8_t*>(bytes.data()), x.size(),
                  /*add=*/true, sum.data());
    for (size_t i = 0; i < x.size(); ++i) sum[i] = sum[i] - (x[i] + decoded[i]);
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isfinite(x[i] + decoded[i])) CHECK(sum[i] == 0);
    }
  }
}

Payload PayloadOf(const std::string& bytes) { return Payload::CopyOf(bytes); }

template <typename T>
std::vector<T> RandomValues(uint64_t seed, size_t elements) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 0.6);
  std::vector<T> values(elements);
  for (T& value : values) value = static_cast<T>(normal(random));
  for (size_t i = 0; i < elements; i += 13) {
    constexpr double kAwkward[] = {0.5, -0.5, 0, -0.0, INFINITY, -INFINITY, NAN, 1e-40, 3e38};
    values[i] = static_cast<T>(kAwkward[i / 13 % std::size(kAwkward)]);
  }
  return values;
}

// What every instruction set makes of the values must be what the first one made of them.
template <typename T, typename EncodeBits>
void CheckTargets(size_t bytes, size_t elements, const EncodeBits& encode) {
  std::vector<std::string> encoded;
  std::vector<std::vector<T>> left;
  ForEachTarget([&] {
    left.push_back(RandomValues<T>(20261129, elements));
    encoded.emplace_back(bytes, '\xA5');
    encode(left.back().data(), reinterpret_cast<uint8_t*>(encoded.back().data()));
    CHECK(encoded.back() == encoded.front());
    CHECK(SameBits(left.back(), left.front()));
  });
}

}  // namespace

TEST_CASE("codecs have the bits of the vectors that NumPy made", "[codec]") {
  const std::vector<Case> cases = ReadVectors();
  REQUIRE(cases.size() == 156);
  for (const Case& golden : cases) {
    golden.dtype == DType::kFloat64 ? CheckCase<double>(golden) : CheckCase<float>(golden);
  }
}

TEST_CASE("every instruction set encodes bits alike", "[codec]") {
  for (const size_t elements : {1, 7, 8, 15, 16, 17, 31, 33, 64, 100, 30011}) {
    CAPTURE(elements);
    CheckTargets<float>(TwoBitBytes(elements), elements, [&](float* values, uint8_t* to) {
      EncodeTwoBit(0.5F, values, elements, to);
    });
    CheckTargets<double>(TwoBitBytes(elements), elements, [&](double* values, uint8_t* to) {
      EncodeTwoBit(0.5, values, elements, to);
    });
    CheckTargets<float>(OneBitBytes(elements), elements, [&](float* values, uint8_t* to) {
      EncodeOneBit(0.5F, 1.0F, values, elements, to);
    });
    CheckTargets<double>(OneBitBytes(elements), elements, [&](double* values, uint8_t* to) {
      EncodeOneBit(0.5, 1.0, values, elements, to);
    });
  }
}

namespace {

// `values` encoded as a whole and in pieces, and the bytes decoded as a whole and in short blocks.
template <typename T>
void CheckPieces(const Codec& codec, DType dtype, size_t elements) {
  std::vector<T> whole = RandomValues<T>(elements, elements);
  std::vector<T> pieces = whole;
  const std::string bytes = Encode(codec, dtype, &whole);
  const size_t piece = codec.piece_elements();
  std::string joined;
  for (size_t done = 0; done < elements; done += piece) {
    const size_t count = std::min(piece, elements - done);
    std::vector<T> some(pieces.begin() + static_cast<std::ptrdiff_t>(done),
                        pieces.begin() + static_cast<std::ptrdiff_t>(done + count));
    joined += Encode(codec, dtype, &some);
    std::copy(some.begin(), some.end(), pieces.begin() + static_cast<std::ptrdiff_t>(done));
  }
  CHECK(joined == bytes);
  CHECK(SameBits(pieces, whole));

  constexpr size_t kShort = 32;  // below any table's worth, and a whole number of words
  std::vector<T> decoded = Decode<T>(codec, dtype, bytes, elements);
  std::vector<T> sums(elements, T{7});
  codec.Decode(dtype, reinterpret_cast<const uint8_t*>(bytes.data()), elements, /*add=*/true,
               sums.data());
  for (size_t done = 0; done < elements; done += kShort) {
    const size_t count = std::min(kShort, elements - done);
    const size_t at = done == 0 ? 0 : codec.EncodedBytes(dtype, done);
    const std::vector<T> some =
        Decode<T>(codec, dtype, bytes.substr(at, codec.EncodedBytes(dtype, count)), count);
    for (size_t i = 0; i < count; ++i) {
      REQUIRE(std::memcmp(&some[i], &decoded[done + i], sizeof(T)) == 0);
      if (!std::isnan(some[i])) REQUIRE(sums[done + i] == T{7} + some[i]);
    }
  }
}

}  // namespace

TEST_CASE("a block in pieces, and one that is decoded by table, have the bits of the whole",
          "[codec]") {
  for (const CompressionConfig& config : {CompressionConfig{"2bit"}, CompressionConfig{"1bit"},
                                          CompressionConfig{"fp16"}, CompressionConfig{"bf16"}}) {
    const CodecPtr codec = Made(config);
    REQUIRE(codec->piece_elements() == kPieceElements);
    for (const size_t elements : {1, 31, 4095, 4096, 4097, 4100, 8192, 10007, 30011}) {
      CAPTURE(config.type, elements);
      CheckPieces<float>(*codec, DType::kFloat32, elements);
      CheckPieces<double>(*codec, DType::kFloat64, elements);
    }
  }
  for (const char* const type : {"topk", "randomk", "dithering", "onebit_scaled"}) {
    CHECK(Made({type})->piece_elements() == 0);  // what they do depends on the whole block
  }
}

TEST_CASE("the layout of 2bit and 1bit is as it stands in the docs", "[codec]") {
  std::vector<float> values = {0.7F, -0.2F, -0.6F, 0.5F, -0.5F};
  // 11 00 10 11, then 10.
  CHECK(Encode(*Made({"2bit"}), DType::kFloat32, &values) == std::string("\xCB\x80\0\0", 4));
  CHECK(values == std::vector<float>{0.7F - 0.5F, -0.2F, -0.6F + 0.5F, 0, 0});
  values = {0.7F, -0.2F, -0.6F, 0.6F, 0, 0, 0, 0, 0.9F};
  CHECK(Encode(*Made({"1bit"}), DType::kFloat32, &values) == std::string("\x90\x80\0\0", 4));
}

TEST_CASE(
    "what is encoded is no longer than the parts of values that it stands for, from a block on",
    "[codec]") {
  for (const std::string& type : CodecTypes()) {
    const CodecPtr codec = Made({type});
    for (const DType dtype :
         {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16}) {
      CAPTURE(type, DTypeName(dtype));
      const size_t elements = (size_t{1} << 20) / DTypeBytes(dtype);
      CHECK(codec->EncodedBytes(dtype, elements) <= size_t{1} << 20);
    }
  }
  // The most that a share can be.
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kFloat16}) {
    const size_t elements = (size_t{1} << 20) / DTypeBytes(dtype);
    CHECK(Made({"topk", {{"ratio", 0.25}}})->EncodedBytes(dtype, elements) <= size_t{1} << 20);
  }
}

TEST_CASE("an error feedback sends in the long run what was pushed", "[codec]") {
  // Each codec, but 1bit, whose steps are larger than the values: what was sent in all and what is
  // left over is the sum of what was pushed.
  for (const std::string& type : CodecTypes()) {
    CAPTURE(type);
    const CodecPtr codec = Made({type});
    constexpr size_t kElements = 50;
    std::vector<double> left(kElements), sent(kElements), pushed(kElements);
    std::mt19937_64 random(7);
    std::normal_distribution<double> normal(0, 0.3);
    for (uint64_t round = 0; round < 200; ++round) {
      for (size_t i = 0; i < kElements; ++i) {
        const double x = normal(random);
        left[i] += x;
        pushed[i] += x;
      }
      const std::string bytes = Encode(*codec, DType::kFloat64, &left, round);
      codec->Decode(DType::kFloat64, reinterpret_cast<const uint8_t*>(bytes.data()), kElements,
                    /*add=*/true, sent.data());
    }
    for (size_t i = 0; i < kElements; ++i) {
      // 200 additions of numbers below 100, each rounded by at most 2^-46.
      CHECK(std::abs(sent[i] + left[i] - pushed[i]) < 600 * 0x1p-46);
    }
  }
}

TEST_CASE("dithering is right on average, and its chance is the block's", "[codec]") {
  const CodecPtr codec = Made({"dithering", {{"bits", 2}}});
  constexpr size_t kElements = 20000;
  std::vector<float> values(kElements, 0.3F);
  values[0] = 1;
  std::vector<float> again = values;
  const std::string bytes = Encode(*codec, DType::kFloat32, &values, 4);
  CHECK(bytes == Encode(*codec, DType::kFloat32, &again, 4));
  std::vector<float> other(kElements, 0.3F);
  other[0] = 1;
  CHECK(bytes != Encode(*codec, DType::kFloat32, &other, 5));
  double sum = 0;
  for (const float x : Decode<float>(*codec, DType::kFloat32, bytes, kElements)) sum += x;
  // A mean of 20,000 draws of 0 or 1 with 0.3: its deviation is 0.0033; six of them.
  CHECK(std::abs(sum / kElements - 0.3) < 0.02);
}

TEST_CASE("a peer's bytes are checked before they are decoded", "[codec]") {
  for (const std::string& type : CodecTypes()) {
    CAPTURE(type);
    const CodecPtr codec = Made({type});
    std::vector<float> values(100, 0.25F);
    const std::string bytes = Encode(*codec, DType::kFloat32, &values);
    CHECK(codec->Check(DType::kFloat32, 100, PayloadOf(bytes)).ok());
    const absl::Status shorter =
        codec->Check(DType::kFloat32, 100, PayloadOf(bytes.substr(0, bytes.size() - 1)));
    CHECK(shorter == absl::InvalidArgumentError(std::to_string(bytes.size()) + " bytes of " + type +
                                                " for 100 values of f32 expected, got " +
                                                std::to_string(bytes.size() - 1)));
    CHECK(!codec->Check(DType::kFloat32, 100, PayloadOf(bytes + "x")).ok());
  }
  const CodecPtr topk = Made({"topk", {{"ratio", 0.02}}});
  const auto places = [&](uint32_t first, uint32_t second) {
    std::string bytes(16, '\0');
    std::memcpy(bytes.data(), &first, 4);
    std::memcpy(bytes.data() + 4, &second, 4);
    return std::string(topk->Check(DType::kFloat32, 100, PayloadOf(bytes)).message());
  };
  CHECK(places(3, 99).empty());
  CHECK(places(3, 100) == "topk: place 4 to 99 expected as number 1, got 100");
  CHECK(places(3, 3) == "topk: place 4 to 99 expected as number 1, got 3");
  CHECK(places(0xffffffff, 3) == "topk: place 0 to 99 expected as number 0, got 4294967295");
}

TEST_CASE("a compression that cannot be is refused by name", "[codec]") {
  const auto error = [](const CompressionConfig& config) {
    return std::string(MakeCodec(config).status().message());
  };
  CHECK(error({"3bit"}) ==
        "unknown compression '3bit'; expected one of 2bit, 1bit, fp16, bf16, topk, randomk, "
        "dithering, onebit_scaled");
  CHECK(error({"2bit", {{"treshold", 1}}}) ==
        "compression '2bit': unknown parameter 'treshold' (= 1); expected min_bytes, threshold");
  CHECK(error({"2bit", {{"threshold", 0}}}) ==
        "compression '2bit': threshold: a finite number > 0 (within f32) expected, got 0");
  CHECK(error({"topk", {{"ratio", 0.5}}}) ==
        "compression 'topk': ratio: a number above 0, at most 0.25 expected, got 0.5");
  CHECK(error({"dithering", {{"bits", 3}}}) ==
        "compression 'dithering': bits: 2, 4 or 8 expected, got 3");
  CHECK(error({"fp16", {{"min_bytes", -1}}}) ==
        "compression 'fp16': min_bytes: a whole number from 0 to 2^53 expected, got -1");
  CHECK(error({"fp16", {{"pull", 2}}}) == "compression 'fp16': pull: 0 or 1 expected, got 2");
}

TEST_CASE("floats of at least min_bytes are compressed, and nothing else", "[codec]") {
  const CompressionConfig config{"2bit", {{"min_bytes", 100}}};
  CHECK(Compresses(config, DType::kFloat32, 100));
  CHECK(Compresses(config, DType::kBFloat16, 1000));
  CHECK(!Compresses(config, DType::kFloat32, 99));
  CHECK(!Compresses(config, DType::kInt32, 100));
  CHECK(!Compresses({}, DType::kFloat32, 100));
}

}  // namespace kvstore
