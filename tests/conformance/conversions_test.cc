// Pulls into arrays of another dtype than the key's: the bytes of an oracle that takes elements
// apart itself (tests/support/dtype_oracle.h).
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>

#include "client/array/ndarray_impl.h"
#include "common/kernels/convert.h"
#include "tests/conformance/store_under_test.h"
#include "tests/support/dtype_arrays.h"

namespace kvstore {
namespace {

using testing::Bytes;
using testing::DTypeOracle;
using testing::kEveryDType;
using testing::ToArray;

Bytes BytesOf(const NDArray& given) {
  given.WaitToRead();
  const bool dense = given.storage_type() == StorageType::kDefault;
  const NDArray array = dense ? given.Copy(Context::Cpu()) : given;
  return Bytes(array.data_as<uint8_t>(), array.data_as<uint8_t>() + array.bytes());
}

Bytes Expected(DataType from, const Bytes& values, DataType to) {
  return DTypeOracle(ToDType(to)).Nearest(DTypeOracle(ToDType(from)).Numbers(values));
}

// The elements [first, first + count) of an array's bytes.
Bytes Elements(const Bytes& bytes, DataType dtype, size_t first, size_t count) {
  const size_t width = DataTypeBytes(dtype);
  return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(first * width),
               bytes.begin() + static_cast<std::ptrdiff_t>((first + count) * width));
}

}  // namespace

TEST_CASE("a pull converts to every dtype that holds the values, and refuses others",
          "[pull][dtypes]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    for (size_t i = 0; i < std::size(kEveryDType); ++i) {
      const DataType from = kEveryDType[i];
      const int key = static_cast<int>(i);
      std::mt19937_64 random(i);
      const Bytes value = DTypeOracle(ToDType(from)).Random(random, 7);
      store.Init(Ints{key}, {ToArray(value, from)});
      for (const DataType to : kEveryDType) {
        NDArray out({7}, to);
        if (Converts(ToDType(from), ToDType(to))) {
          store.Pull(Ints{key}, {&out});
          MUST(BytesOf(out) == (from == to ? value : Expected(from, value, to)));
        } else {
          MUST_THROW(store.Pull(Ints{key}, {&out}), kInvalidArgument,
                     std::string("an output of dtype ") + DataTypeName(from) + ", or of one that " +
                         DataTypeName(from) + " converts to");
          MUST(BytesOf(out) == Bytes(out.bytes()));
        }
      }
      MUST_EQUAL(store.status(key), "OK");
    }
  });
}

TEST_CASE("values of many parts convert part by part, into several outputs at once",
          "[pull][dtypes]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    constexpr int64_t kElements = (3 << 18) + 17;  // three parts of f32, and a little
    NDArray value({kElements});
    for (int64_t i = 0; i < kElements; ++i) {
      value.data_as<float>()[i] = static_cast<float>(i % 40009) / 8;
    }
    store.Init(Ints{1}, {NDArray({kElements})});
    NDArray halves({kElements}, DataType::kFloat16), floats({kElements});
    NDArray doubles({kElements}, DataType::kFloat64);
    store.PushPull(Ints{1, 1, 1}, {1, 1, 1}, {value, value, value}, {&halves, &floats, &doubles});
    const Bytes sum = BytesOf(floats);
    MUST(BytesOf(halves) == Expected(DataType::kFloat32, sum, DataType::kFloat16));
    MUST(BytesOf(doubles) == Expected(DataType::kFloat32, sum, DataType::kFloat64));
    MUST_EQUAL(floats.data_as<float>()[9], 3 * worker.all() * 9 / 8);
  });
}

TEST_CASE("rows of f16 are pulled into an f32 array, as MXNet's users do", "[rows][dtypes]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    constexpr int64_t kRows = 300, kWidth = 5;
    std::mt19937_64 random(1);
    const Bytes value = DTypeOracle(DType::kFloat16).Random(random, kRows * kWidth);
    const NDArray dense({kRows, kWidth}, DataType::kFloat16);
    std::memcpy(dense.data(), value.data(), value.size());
    store.Init(Ints{1}, {WithAllRows(dense)});
    NDArray rows = NDArray::RowSparse({kRows, kWidth});
    NDArray doubles = NDArray::RowSparse({kRows, kWidth}, DataType::kFloat64);
    store.PullRowSparse(Ints{1, 1}, {{&rows, Ids({299, 3, 61, 3})}, {&doubles, Ids({7})}});
    rows.WaitToRead();
    MUST(rows.indices() == std::vector<int64_t>{3, 61, 299});
    Bytes expected;
    for (const size_t row : {size_t{3}, size_t{61}, size_t{299}}) {
      const Bytes part =
          Expected(DataType::kFloat16, Elements(value, DataType::kFloat16, row * kWidth, kWidth),
                   DataType::kFloat32);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    MUST(BytesOf(rows) == expected);
    MUST(BytesOf(doubles) == Expected(DataType::kFloat16,
                                      Elements(value, DataType::kFloat16, 7 * kWidth, kWidth),
                                      DataType::kFloat64));
    NDArray whole({kRows, kWidth});
    store.Pull(Ints{1}, {&whole});
    MUST(BytesOf(whole) == Expected(DataType::kFloat16, value, DataType::kFloat32));
    NDArray ints = NDArray::RowSparse({kRows, kWidth}, DataType::kInt32);
    MUST_THROW(store.PullRowSparse(Ints{1}, {{&ints, Ids({1})}}), kInvalidArgument,
               "key 1: an output of dtype f16, or of one that f16 converts to (floats), expected, "
               "got i32");
  });
}

TEST_CASE("what is pulled compressed converts from what it stands for", "[pull][dtypes][codec]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    store.SetGradientCompression({{"type", "fp16"}, {"pull", "1"}, {"min_bytes", "0"}});
    const NDArray value = Array({1.0f / 3, 70000, -1e-9f});
    store.Init(Ints{1}, {value});
    NDArray floats({3}), doubles({3}, DataType::kFloat64);
    store.Pull(Ints{1, 1}, {&floats, &doubles});
    const Bytes pulled = BytesOf(floats);
    MUST(pulled != BytesOf(value));
    doubles.WaitToRead();
    for (int i = 0; i < 3; ++i) {
      MUST_EQUAL(doubles.data_as<double>()[i], double{floats.data_as<float>()[i]});
    }
  });
}

TEST_CASE("an output in place of the pushed value has its dtype", "[pushpull][dtypes][errors]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Array({0, 0})});
    NDArray value = Array({1, 2});
    NDArray halves = NDArray::FromBlob(value.data(), {2}, DataType::kFloat16);
    MUST_THROW(store.PushPull(Ints{1}, {1}, {value}, {&halves}), kInvalidArgument,
               "key 1: an output in place of the value has its dtype, f32 expected, got f16");
    MUST_EQUAL(Read(value), Floats({1, 2}));
    store.PushPull(Ints{1}, {1}, {value}, {&value});
    MUST_EQUAL(Read(value), Floats({worker.all(), 2 * worker.all()}));
  });
}

}  // namespace kvstore
