// Where the values of several devices become one contribution, and one value goes to several
// arrays: the same bits with any number of threads.
#include "client/reduce/cpu_reducer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "client/array/ndarray_impl.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/convert.h"
#include "tests/client/dist/operations.h"
#include "tests/common/kernels/numbers.h"
#include "tests/support/only_races.h"

#define EVERY_DTYPE float, double, F16, BF16, uint8_t, int8_t, uint32_t, uint64_t, scalar::Bool

namespace kvstore {
namespace {

using testing::Counting;
using testing::DTypeOf;
using testing::FirstDifference;
using testing::OperationOn;
using testing::RandomNumbers;
using testing::RowsNamed;
using testing::Underway;

std::vector<float> FloatsAt(const uint8_t* data, size_t count) {
  std::vector<float> floats(count);
  std::memcpy(floats.data(), data, count * sizeof(float));
  return floats;
}

template <typename T>
std::vector<T> ElementsOf(const void* data, size_t count) {
  std::vector<T> elements(count);
  if (count > 0) std::memcpy(elements.data(), data, count * sizeof(T));
  return elements;
}

template <typename T>
NDArray RandomArray(std::mt19937_64& random, size_t elements) {
  NDArray array({static_cast<int64_t>(elements)}, ToDataType(DTypeOf<T>()));
  const std::vector<T> numbers = RandomNumbers<T>(random, 10007);  // again and again
  for (size_t i = 0; i < elements; i += numbers.size()) {
    const size_t n = std::min(numbers.size(), elements - i);
    std::memcpy(array.data_as<uint8_t>() + i * sizeof(T), numbers.data(), n * sizeof(T));
  }
  return array;
}

// By the definition: element after element, in the list's order, rounded at the end.
template <typename T>
std::vector<T> SumOf(const Arrays& values, size_t elements) {
  using Acc = decltype(scalar::Widened(T()));
  std::vector<Acc> sum(elements);
  std::vector<T> rounded(elements);
  std::vector<const void*> xs;
  for (const NDArray& value : values) xs.push_back(value.data());
  scalar::LeftFold<T>(sum.data(), xs.data(), xs.size(), 0, elements);
  if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {
    scalar::Narrow<T>(rounded.data(), sum.data(), elements);
  } else {
    rounded = sum;
  }
  return rounded;
}

// None, some, a part and one more, several parts with a remainder.
template <typename T>
std::vector<size_t> Lengths() {
  const size_t part = kPartBytesMax / sizeof(T);
  if (testing::kOnlyRaces) return {1001, part + 1};
  return {0, 1, 63, 1001, part + 1, 3 * part + 77};
}

}  // namespace

TEST_CASE("one dense value of a dense key is lent as it is", "[reduce]") {
  Underway underway;
  const CpuReducer reducer(1);
  const NDArray value = Counting({5});
  const auto contribution =
      reducer.AsIs(*OperationOn(OperationKind::kPush, value, {value}), underway.token);
  REQUIRE(contribution.has_value());
  CHECK(contribution->lent);
  CHECK(contribution->data == value.data_as<uint8_t>());
  CHECK(contribution->owner == underway.token);
}

TEST_CASE("what must be summed, copied or sorted is not sent as it is", "[reduce]") {
  Underway underway;
  const CpuReducer reducer(1);
  const NDArray dense({4, 2});
  const NDArray sparse = RowsNamed(4, 2, {1, 3});
  const auto as_is = [&](const NDArray& like, std::vector<NDArray> values) {
    const auto operation =
        OperationOn(OperationKind::kPush, like, Arrays(values.begin(), values.end()));
    return reducer.AsIs(*operation, underway.token).has_value();
  };
  CHECK(!as_is(dense, {dense, dense}));
  CHECK(!as_is(dense, {sparse}));
  CHECK(!as_is(sparse, {sparse}));
  CHECK(!as_is(sparse, {dense}));
}

TEST_CASE("several values are summed, and none of them is lent", "[reduce]") {
  CpuReducer reducer(1);
  const NDArray value = Counting({3});
  const auto sum =
      reducer.Reduce(*OperationOn(OperationKind::kPush, value, {value, Counting({3}, 10), value}));
  REQUIRE(sum.ok());
  CHECK(!sum->lent);
  CHECK((FloatsAt(sum->data, 3) == std::vector<float>{10, 13, 16}));
}

TEST_CASE("values of either storage become one contribution to a key of either storage",
          "[reduce]") {
  CpuReducer reducer(1);
  const NDArray dense({4, 2});
  const NDArray sparse = RowsNamed(4, 2, {1, 3});
  SECTION("a dense key gets zeros where a row_sparse value has no rows") {
    const auto one = reducer.Reduce(*OperationOn(OperationKind::kPush, dense, {sparse}));
    REQUIRE(one.ok());
    CHECK((FloatsAt(one->data, 8) == std::vector<float>{0, 0, 1, 1, 0, 0, 3, 3}));
    CHECK(!one->lent);
  }
  SECTION("a row_sparse key gets the rows that any of the values has") {
    const auto sum = reducer.Reduce(
        *OperationOn(OperationKind::kPush, sparse, {sparse, RowsNamed(4, 2, {2, 3})}));
    REQUIRE(sum.ok());
    std::vector<std::pair<int64_t, float>> rows;
    for (size_t i = 0; i < sum->rows.count; ++i) {
      rows.emplace_back(sum->rows.ids[i], FloatsAt(sum->rows.data + i * 8, 1)[0]);
    }
    std::sort(rows.begin(), rows.end());
    CHECK((rows == std::vector<std::pair<int64_t, float>>{{1, 1}, {2, 2}, {3, 6}}));
  }
}

TEMPLATE_TEST_CASE("a sum has the bits of its definition, with any number of threads", "[reduce]",
                   EVERY_DTYPE) {
  std::mt19937_64 random(11);
  for (const size_t elements : Lengths<TestType>()) {
    for (const size_t count : {2, 9}) {
      Arrays values;
      for (size_t k = 0; k < count; ++k) values.push_back(RandomArray<TestType>(random, elements));
      const auto operation = OperationOn(OperationKind::kPush, values[0], values);
      const std::vector<TestType> expected = SumOf<TestType>(values, elements);
      for (const size_t threads : {1, 2, 3, 8}) {
        CAPTURE(threads, elements, count);
        CpuReducer reducer(threads);
        const auto sum = reducer.Reduce(*operation);
        REQUIRE(sum.ok());
        REQUIRE(FirstDifference(ElementsOf<TestType>(sum->data, elements), expected) == -1);
      }
    }
  }
}

TEMPLATE_TEST_CASE("a sum that is streamed has the bits of one that is not", "[reduce]",
                   EVERY_DTYPE) {
  std::mt19937_64 random(7);
  const size_t elements = 4001;
  const Arrays values = {RandomArray<TestType>(random, elements),
                         RandomArray<TestType>(random, elements),
                         RandomArray<TestType>(random, elements)};
  const CpuReducer reducer(1);
  const FoldedAs as = GENERATE(FoldedAs::kAccumulated, FoldedAs::kRounded);
  const size_t first = GENERATE(0, 1, 17);
  const ElementRange range{first, elements - first};
  std::vector<uint8_t> cached(elements * 8), streamed(elements * 8);
  REQUIRE(
      reducer.Fold(DTypeOf<TestType>(), values, range, as, Stores::kCached, cached.data()).ok());
  REQUIRE(reducer.Fold(DTypeOf<TestType>(), values, range, as, Stores::kStreamed, streamed.data())
              .ok());
  if (as == FoldedAs::kRounded) {
    CHECK(FirstDifference(ElementsOf<TestType>(streamed.data(), range.elements),
                          ElementsOf<TestType>(cached.data(), range.elements)) == -1);
  } else {
    using Acc = decltype(scalar::Widened(TestType()));
    CHECK(FirstDifference(ElementsOf<Acc>(streamed.data(), range.elements),
                          ElementsOf<Acc>(cached.data(), range.elements)) == -1);
  }
}

TEMPLATE_TEST_CASE("a sum may lie where one of its values lay", "[reduce]", EVERY_DTYPE) {
  std::mt19937_64 random(3);
  const size_t elements = 2 * (kPartBytesMax / sizeof(TestType)) + 19;
  const size_t place = GENERATE(0, 1, 2);
  const Stores stores = GENERATE(Stores::kCached, Stores::kStreamed);
  CAPTURE(place, stores == Stores::kStreamed);
  Arrays values;
  for (int k = 0; k < 3; ++k) values.push_back(RandomArray<TestType>(random, elements));
  const std::vector<TestType> expected = SumOf<TestType>(values, elements);
  CpuReducer reducer(2);
  const size_t half = elements / 2;
  const absl::Status folded = reducer.threads().Run(2, [&](size_t block, size_t) {
    const ElementRange range{block * half, block == 0 ? half : elements - half};
    return reducer.Fold(DTypeOf<TestType>(), values, range, FoldedAs::kRounded, stores,
                        values[place].data_as<uint8_t>() + range.first * sizeof(TestType));
  });
  REQUIRE(folded.ok());
  CHECK(FirstDifference(ElementsOf<TestType>(values[place].data(), elements), expected) == -1);
}

TEST_CASE("a value goes to every output, in the output's dtype", "[reduce]") {
  std::mt19937_64 random(5);
  const size_t elements = 70001;
  const NDArray value = RandomArray<float>(random, elements);
  const Stores stores = GENERATE(Stores::kCached, Stores::kStreamed);
  // The same twice, one at an odd place, two others' dtypes.
  std::vector<uint8_t> odd(elements * sizeof(float) + 1);
  const auto count = static_cast<int64_t>(elements);
  const NDArray at_odd = NDArray::FromBlob(odd.data() + 1, {count});
  Arrays outputs = {NDArray({count}), at_odd, NDArray({count}, DataType::kFloat64),
                    NDArray({count}, DataType::kBFloat16), NDArray({count})};
  outputs.push_back(outputs[0]);
  const CpuReducer reducer(1);
  const size_t cut = 12345;
  for (const ElementRange& range : {ElementRange{0, cut}, ElementRange{cut, elements - cut}}) {
    REQUIRE(reducer
                .Broadcast(DType::kFloat32, value.data_as<float>() + range.first, range, stores,
                           outputs)
                .ok());
  }
  for (const NDArray& output : outputs) {
    CAPTURE(DataTypeName(output.dtype()));
    std::vector<uint8_t> expected(output.bytes());
    Convert(DType::kFloat32, value.data(), ToDType(output.dtype()), expected.data(), elements);
    CHECK(std::memcmp(expected.data(), output.data(), expected.size()) == 0);
  }
}

}  // namespace kvstore
