// What a GPU encodes and decodes has the bits of the CPU's codecs, for every dtype and number of
// sources, at every remainder and misalignment; it reads nothing beyond its arrays and writes
// nothing beside its results.
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/codec/codec.h"
#include "common/kernels/cuda/codecs.cuh"
#include "common/kernels/kernels.h"
#include "tests/common/kernels/cuda/on_device.h"
#include "tests/common/kernels/numbers.h"

namespace kvstore {
namespace {

using testing::DTypeOf;
using testing::FirstDifference;
using testing::kGuard;
using testing::OnDevice;
using testing::RandomNumbers;

const std::vector<size_t> kLengths = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 127, 2049};
const cuda::Place kPlace{nullptr, 2};

struct Tried {
  const char* type;
  BitCode code;
};
const std::vector<Tried> kTried = {{"2bit", {2, 0.5}}, {"1bit", {1, 0.1}}};

CodecPtr CodecFor(const Tried& tried) {
  auto codec = MakeCodec({tried.type, {{"threshold", tried.code.threshold}}});
  REQUIRE(codec.ok());
  return *codec;
}

// What the CPU makes of the sum of `values`, with `left_over`, which moves on.
template <typename T>
std::vector<uint8_t> EncodedByCpu(const Codec& codec, const std::vector<std::vector<T>>& values,
                                  std::vector<cuda::AccOf<T>>* left_over) {
  const size_t elements = left_over->size();
  std::vector<const void*> sources;
  for (const auto& each : values) sources.push_back(each.data());
  std::vector<T> sum(elements);
  RoundedFold(DTypeOf<T>(), sum.data(), sources.data(), sources.size(), elements);
  Accumulate(DTypeOf<T>(), left_over->data(), sum.data(), elements);
  std::vector<uint8_t> encoded(codec.EncodedBytes(DTypeOf<T>(), elements));
  codec.Encode(DTypeOf<T>(), left_over->data(), elements, {}, nullptr, encoded.data());
  return encoded;
}

// Which arrays begin elsewhere than at whole 16 bytes.
enum class Off { kNone, kSources, kLastSource, kLeftOver };

}  // namespace

TEMPLATE_TEST_CASE("a GPU encodes the sum of a list with the CPU's bits", "[cuda][codec]", float,
                   double, F16, BF16) {
  using Acc = cuda::AccOf<TestType>;
  cuda_sim::ForgetErrors();
  std::mt19937_64 random(1);
  for (const Tried& tried : kTried) {
    const CodecPtr codec = CodecFor(tried);
    for (const size_t count : {1, 2, 3, 5, 8}) {
      for (const size_t elements : kLengths) {
        for (const Off off : {Off::kNone, Off::kSources, Off::kLastSource, Off::kLeftOver}) {
          CAPTURE(tried.type, count, elements, static_cast<int>(off));
          const size_t left_off = off == Off::kLeftOver ? 1 : 0;
          const std::vector<Acc> nothing(elements);
          std::vector<Acc> expected_left = nothing;
          // Of three pushes the first finds nothing left over, and the last overwrites it.
          const OnDevice<Acc> first(nothing, left_off, kGuard), second(nothing, left_off, kGuard);
          const std::vector<Acc*> before = {nullptr, first.data(), second.data()};
          const std::vector<const OnDevice<Acc>*> after = {&first, &second, &second};
          for (size_t push = 0; push < 3; ++push) {
            CAPTURE(push);
            std::vector<std::vector<TestType>> values;
            std::vector<OnDevice<TestType>> arrays;
            std::vector<const void*> sources;
            for (size_t k = 0; k < count; ++k) {
              values.push_back(RandomNumbers<TestType>(random, elements));
              const bool is_off =
                  off == Off::kSources || (off == Off::kLastSource && k + 1 == count);
              arrays.emplace_back(values.back(), is_off ? 1 : 0);
              sources.push_back(arrays.back().data());
            }
            const std::vector<Acc> left_before = expected_left;
            const auto expected = EncodedByCpu(*codec, values, &expected_left);
            const std::vector<uint8_t> unwritten(expected.size(), 0xff);
            const OnDevice<uint8_t> encoded(unwritten, 0, kGuard);
            const cuda::EncodedAs as{tried.code, before[push], after[push]->data(), encoded.data()};
            REQUIRE(cuda::EncodeSumOf(DTypeOf<TestType>(), sources.data(), count, elements, as,
                                      kPlace) == cudaSuccess);
            REQUIRE(FirstDifference(encoded.Read(), expected) == -1);
            REQUIRE(FirstDifference(after[push]->Read(), expected_left) == -1);
            REQUIRE(encoded.GuardsIntact());
            REQUIRE(after[push]->GuardsIntact());
            // What was left over stays, so that a push that fails after all has moved nothing.
            if (push == 1) REQUIRE(FirstDifference(first.Read(), left_before) == -1);
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("a GPU decodes with the CPU's bits, and adds", "[cuda][codec]", float, double) {
  cuda_sim::ForgetErrors();
  std::mt19937_64 random(2);
  for (const Tried& tried : kTried) {
    const CodecPtr codec = CodecFor(tried);
    for (const size_t elements : kLengths) {
      for (const size_t offset : {0, 1}) {
        for (const bool add : {false, true}) {
          CAPTURE(tried.type, elements, offset, add);
          std::vector<uint8_t> codes(codec->EncodedBytes(DTypeOf<TestType>(), elements));
          for (uint8_t& byte : codes) byte = static_cast<uint8_t>(random());
          std::vector<TestType> expected = RandomNumbers<TestType>(random, elements);
          const OnDevice<uint8_t> encoded(codes, 0);
          const OnDevice<TestType> values(expected, offset, kGuard);
          codec->Decode(DTypeOf<TestType>(), codes.data(), elements, add, expected.data());
          REQUIRE(cuda::Decode(tried.code, DTypeOf<TestType>(), encoded.data(), elements, add,
                               values.data(), kPlace) == cudaSuccess);
          REQUIRE(FirstDifference(values.Read(), expected) == -1);
          REQUIRE(values.GuardsIntact());
        }
      }
    }
  }
}

TEST_CASE("a GPU encodes nothing but floats, in one or two bits, of a few arrays",
          "[cuda][codec]") {
  cuda_sim::ForgetErrors();
  const std::vector<const void*> sources(9, nullptr);
  const auto encode = [&](DType dtype, uint32_t bits, size_t count, size_t elements) {
    return cuda::EncodeSumOf(dtype, sources.data(), count, elements, {{bits, 0.5}}, kPlace);
  };
  CHECK(encode(DType::kInt32, 2, 1, 5) == cudaErrorInvalidValue);
  CHECK(encode(DType::kFloat32, 4, 1, 5) == cudaErrorInvalidValue);
  CHECK(encode(DType::kFloat32, 2, 0, 5) == cudaErrorInvalidValue);
  CHECK(encode(DType::kFloat32, 2, 9, 5) == cudaErrorInvalidValue);
  CHECK(encode(DType::kFloat32, 2, 8, 0) == cudaSuccess);
  const auto decode = [&](DType dtype, uint32_t bits, size_t elements) {
    return cuda::Decode({bits, 0.5}, dtype, nullptr, elements, false, nullptr, kPlace);
  };
  CHECK(decode(DType::kFloat16, 2, 5) == cudaErrorInvalidValue);
  CHECK(decode(DType::kFloat32, 3, 5) == cudaErrorInvalidValue);
  CHECK(decode(DType::kFloat32, 1, 0) == cudaSuccess);
}

}  // namespace kvstore
