// Values of every dtype on the stores of one process: the bits of the oracle, several values per
// push, several parts.
#include <catch2/catch.hpp>
#include <cstring>

#include "client/array/ndarray_impl.h"
#include "kvstore/kvstore.h"
#include "tests/support/dtype_arrays.h"
#include "tests/support/expect_error.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::DTypeOracle;
using testing::kEveryDType;
using testing::PulledFrom;
using testing::ToArray;

constexpr uint64_t kSeed = 20261124;
constexpr float kScale = 0.3f;

// Of one part, and of several, of which the last is short.
std::vector<size_t> Sizes(DataType dtype, size_t count) {
  std::vector<size_t> sizes = {1, 67};
  if (count == 2) sizes.push_back(((1u << 20) + 4008) / DataTypeBytes(dtype));
  return sizes;
}

}  // namespace

TEST_CASE("a push of every dtype is the fold of its values, rounded once", "[local][dtypes]") {
  CAPTURE(kSeed);
  std::mt19937_64 random(kSeed);
  for (const DataType dtype : kEveryDType) {
    const DTypeOracle oracle(ToDType(dtype));
    for (const size_t count : {1, 2, 5}) {
      for (const size_t elements : Sizes(dtype, count)) {
        CAPTURE(DataTypeName(dtype), elements, count);
        const auto store = KVStore::CreateUnique();
        Bytes value = oracle.Random(random, elements);
        store->Init(std::vector<int>{1}, {ToArray(value, dtype)});
        CHECK(PulledFrom(*store, 1, elements, dtype) == value);
        const auto push = [&] {
          std::vector<Bytes> pushed;
          std::vector<NDArray> arrays;
          for (size_t k = 0; k < count; ++k) {
            pushed.push_back(oracle.Random(random, elements));
            arrays.push_back(ToArray(pushed.back(), dtype));
          }
          store->Push(std::vector<int>(count, 1), arrays);
          return pushed;
        };
        value = oracle.Assign(push());
        CHECK((PulledFrom(*store, 1, elements, dtype) == value));
        store->SetOptimizer(OptimizerSpec("sum"));
        for (int round = 0; round < 2; ++round) {
          value = oracle.Sum(value, push());
          CHECK((PulledFrom(*store, 1, elements, dtype) == value));
        }
        if (!oracle.IsFloat()) continue;
        store->SetOptimizer(OptimizerSpec("test").Set("rescale_grad", double{kScale}));
        for (int round = 0; round < 2; ++round) {
          value = oracle.Test(value, push(), kScale);
          CHECK((PulledFrom(*store, 1, elements, dtype) == value));
        }
      }
    }
  }
}

}  // namespace kvstore
