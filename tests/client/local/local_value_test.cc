// What a value of a local store becomes does not depend on how many threads share its parts.
#include "client/local/local_value.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "client/array/ndarray_impl.h"
#include "client/reduce/cpu_reducer.h"
#include "client/store/argument_checks.h"
#include "common/codec/codec.h"
#include "common/kernels/convert.h"
#include "common/model/compression_config.h"
#include "common/updater/part_updater.h"
#include "tests/support/arrays.h"

namespace kvstore {
namespace {

// Elements of every size of numbers, a little different in each array.
NDArray Numbers(int64_t elements, DataType dtype, int seed) {
  const NDArray wide({elements});
  for (int64_t i = 0; i < elements; ++i) {
    wide.data_as<float>()[i] =
        static_cast<float>((i * 7919 + int64_t{seed} * 104729) % 2003 - 1001) / 64;
  }
  NDArray array({elements}, dtype);
  Convert(DType::kFloat32, wide.data(), ToDType(dtype), array.data(),
          static_cast<size_t>(elements));
  return array;
}

// The bytes that two pulls get, of other dtypes, after some pushes by so many threads.
std::vector<uint8_t> AfterPushes(size_t threads, DataType dtype, const OptimizerConfig& optimizer,
                                 const CodecPtr& codec, Stores stores) {
  CpuReducer reducer(threads);
  Scratch scratch(reducer.threads().seats());
  const Means means{&reducer, &scratch, stores};
  const NDArray initial = Numbers(kSeveralParts, dtype, 1);
  LocalValue value(SpecFrom(initial), initial, codec);
  PartUpdater updater;
  REQUIRE(updater.Set(optimizer).ok());
  for (int push = 0; push < 3; ++push) {
    const std::vector<NDArray> values = {Numbers(kSeveralParts, dtype, push + 2),
                                         Numbers(kSeveralParts, dtype, push + 20),
                                         Numbers(kSeveralParts, dtype, push + 30)};
    REQUIRE(value.Push(17, "weight", values, updater, 1, means).ok());
  }
  const std::vector<NDArray> outputs = {NDArray({kSeveralParts}, dtype),
                                        NDArray({kSeveralParts}, DataType::kFloat64)};
  REQUIRE(value.CopyTo(outputs, means).ok());
  std::vector<uint8_t> bytes;
  for (const NDArray& output : outputs) {
    const auto* const data = output.data_as<uint8_t>();
    bytes.insert(bytes.end(), data, data + output.bytes());
  }
  return bytes;
}

}  // namespace

TEST_CASE("a value has the same bits by any number of threads", "[local]") {
  const auto dtype = GENERATE(DataType::kFloat32, DataType::kBFloat16);
  const auto optimizer = GENERATE(
      OptimizerConfig{"assign", {}}, OptimizerConfig{"sgd", {{"momentum", 0.9}}},
      OptimizerConfig{"adam", {}}, OptimizerConfig{"lamb", {}});  // which measures the whole value
  CAPTURE(DataTypeName(dtype), optimizer.name);
  const std::vector<uint8_t> alone = AfterPushes(1, dtype, optimizer, nullptr, Stores::kCached);
  for (const size_t threads : {2, 3, 8}) {
    CAPTURE(threads);
    CHECK(AfterPushes(threads, dtype, optimizer, nullptr, Stores::kCached) == alone);
  }
  CHECK(AfterPushes(2, dtype, optimizer, nullptr, Stores::kStreamed) == alone);
}

TEST_CASE("a compressed value has the same bits by any number of threads", "[local][codec]") {
  const auto codec = MakeCodec(CompressionConfig{"2bit", {{"threshold", 0.5}}});
  REQUIRE(codec.ok());
  const OptimizerConfig sgd{"sgd", {{"momentum", 0.9}}};
  const auto alone = AfterPushes(1, DataType::kFloat32, sgd, *codec, Stores::kCached);
  CHECK(AfterPushes(3, DataType::kFloat32, sgd, *codec, Stores::kCached) == alone);
}

}  // namespace kvstore
