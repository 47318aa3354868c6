// A worker whose every value has a closed formula: the shapes of MXNet's nightly test of dist_sync,
// every float dtype, dense and row-sparse, without an optimizer (assign) and with `test`.
//
// In round n worker r contributes (r+1)·c to element i of a row, where c is 1 for even and 2 for
// odd i; to a row-sparse key only in the rows x with (x + r + n) mod 3 ≠ 0. With S(x, n) the sum of
// r+1 over the workers that have row x in round n:
//   assign  after round n    S(x, n)·c                  (rows that nobody had are zero)
//   test    after round n    before + rescale·S(x, n)·c
// The numbers are small enough to be exact in each dtype, bf16 included (at most 8 bits).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace {

using kvstore::DataType;
using kvstore::NDArray;

constexpr int kRescale = 2;
constexpr int kAssignRounds = 2;
constexpr int kTestRounds = 3;

// The bytes of a small integer in each dtype; exact, so there is nothing to round.
template <typename T>
void Append(T value, std::vector<uint8_t>* bytes) {
  const auto* begin = reinterpret_cast<const uint8_t*>(&value);
  bytes->insert(bytes->end(), begin, begin + sizeof value);
}
std::vector<uint8_t> BytesOf(DataType dtype, int value) {
  std::vector<uint8_t> bytes;
  const auto number = static_cast<float>(value);
  uint32_t bits = 0;
  std::memcpy(&bits, &number, sizeof bits);
  switch (dtype) {
    case DataType::kFloat32:
      Append(number, &bytes);
      break;
    case DataType::kFloat64:
      Append(static_cast<double>(value), &bytes);
      break;
    case DataType::kBFloat16:
      Append(static_cast<uint16_t>(bits >> 16), &bytes);
      break;
    case DataType::kFloat16:
      // Exponent bias 15 instead of 127, 10 bits of fraction instead of 23; positive numbers only.
      Append(static_cast<uint16_t>(value == 0 ? 0 : (bits >> 13) - ((127 - 15) << 10)), &bytes);
      break;
    default:
      throw std::runtime_error("no float");
  }
  return bytes;
}

struct Value {
  std::string name;  // of the string key; the int key is its place in the list
  std::vector<int64_t> shape;
  DataType dtype = DataType::kFloat32;
  bool sparse = false;

  int64_t rows() const { return shape[0]; }
  int64_t columns() const { return shape[1]; }
};

std::vector<Value> AllValues() {
  std::vector<Value> values;
  for (const DataType dtype :
       {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBFloat16}) {
    for (const bool sparse : {false, true}) {
      for (const int64_t side : {int64_t{2}, int64_t{1200}, int64_t{1211}}) {
        Value value;
        value.shape = {side, side == 2 ? 3 : side};
        value.dtype = dtype;
        value.sparse = sparse;
        value.name = std::string(kvstore::DataTypeName(dtype)) + (sparse ? ".rows." : ".dense.") +
                     std::to_string(side);
        values.push_back(std::move(value));
      }
    }
  }
  return values;
}

bool HasRow(const Value& value, int64_t row, int rank, int round) {
  return !value.sparse || (row + rank + round) % 3 != 0;
}

// One row filled with `number`·c.
std::vector<uint8_t> Row(const Value& value, int number) {
  std::vector<uint8_t> row;
  for (int64_t i = 0; i < value.columns(); ++i) {
    const std::vector<uint8_t> element = BytesOf(value.dtype, number * static_cast<int>(1 + i % 2));
    row.insert(row.end(), element.begin(), element.end());
  }
  return row;
}

class FormulaWorker {
 public:
  FormulaWorker(kvstore::KVStore& store, bool int_keys)
      : store_(store),
        int_keys_(int_keys),
        rank_(store.get_rank()),
        workers_(store.get_group_size()),
        values_(AllValues()) {
    for (const Value& value : values_) {
      expected_.emplace_back(static_cast<size_t>(value.rows()), 0);
    }
  }

  void Run() {
    std::vector<NDArray> zeros;
    for (const Value& value : values_) {
      zeros.push_back(value.sparse ? NDArray::RowSparse(value.shape, value.dtype)
                                   : NDArray(value.shape, value.dtype));
    }
    Call([&](const auto& keys) { store_.Init(keys, zeros); });
    int round = 0;
    for (int n = 0; n < kAssignRounds; ++n) Round(++round, /*test=*/false);
    store_.Barrier();
    if (rank_ == 0) {
      store_.SetOptimizer(kvstore::OptimizerSpec("test").Set("rescale_grad", kRescale));
    }
    store_.Barrier();
    for (int n = 0; n < kTestRounds; ++n) Round(++round, /*test=*/true);
    std::printf("rank %d: %zu keys, %zu rounds, %zu elements as the formula says\n", rank_,
                values_.size(), static_cast<size_t>(round), checked_);
  }

 private:
  template <typename Body>
  void Call(const Body& body) {
    if (int_keys_) {
      std::vector<int> keys(values_.size());
      std::iota(keys.begin(), keys.end(), 0);
      body(keys);
    } else {
      std::vector<std::string> keys;
      for (const Value& value : values_) keys.push_back(value.name);
      body(keys);
    }
  }

  NDArray Contribution(const Value& value, int round) const {
    const std::vector<uint8_t> row = Row(value, rank_ + 1);
    std::vector<int64_t> have;
    for (int64_t x = 0; x < value.rows(); ++x) {
      if (HasRow(value, x, rank_, round)) have.push_back(x);
    }
    NDArray rows;
    if (!have.empty()) {
      rows = NDArray({static_cast<int64_t>(have.size()), value.columns()}, value.dtype);
      for (size_t i = 0; i < have.size(); ++i) {
        std::memcpy(rows.data_as<uint8_t>() + i * row.size(), row.data(), row.size());
      }
    }
    return value.sparse ? NDArray::RowSparse(value.shape, std::move(have), rows) : rows;
  }

  void Expect(int round, bool test) {
    for (size_t v = 0; v < values_.size(); ++v) {
      for (int64_t x = 0; x < values_[v].rows(); ++x) {
        int sum = 0;
        for (int rank = 0; rank < workers_; ++rank) {
          if (HasRow(values_[v], x, rank, round)) sum += rank + 1;
        }
        int& number = expected_[v][static_cast<size_t>(x)];
        number = test ? number + kRescale * sum : sum;
      }
    }
  }

  void Round(int round, bool test) {
    std::vector<NDArray> contributions, whole;
    std::vector<NDArray*> outputs;
    for (const Value& value : values_) {
      contributions.push_back(Contribution(value, round));
      whole.emplace_back(value.shape, value.dtype);
    }
    for (NDArray& array : whole) outputs.push_back(&array);
    Call([&](const auto& keys) {
      store_.Push(keys, contributions);
      store_.Pull(keys, outputs);
    });
    Expect(round, test);
    for (size_t v = 0; v < values_.size(); ++v) {
      whole[v].WaitToRead();
      std::vector<int64_t> all(static_cast<size_t>(values_[v].rows()));
      std::iota(all.begin(), all.end(), int64_t{0});
      CheckRows(v, all, whole[v].data_as<uint8_t>(), round);
    }
    PullSomeRows(round);
  }

  // Every fifth row, backwards, the first of them twice, as ids of several dtypes.
  void PullSomeRows(int round) {
    for (size_t v = 0; v < values_.size(); ++v) {
      const Value& value = values_[v];
      if (!value.sparse) continue;
      std::vector<int64_t> wanted;
      for (int64_t x = rank_ % 2; x < value.rows(); x += 5) wanted.push_back(x);
      std::vector<int64_t> asked(wanted.rbegin(), wanted.rend());
      asked.push_back(asked.front());
      const auto count = static_cast<int64_t>(asked.size());
      NDArray ids({1, count}, round % 2 == 0 ? DataType::kInt64 : DataType::kFloat32);
      for (size_t i = 0; i < asked.size(); ++i) {
        if (round % 2 == 0) {
          ids.data_as<int64_t>()[i] = asked[i];
        } else {
          ids.data_as<float>()[i] = static_cast<float>(asked[i]);
        }
      }
      NDArray rows = NDArray::RowSparse(value.shape, value.dtype);
      if (int_keys_) {
        store_.PullRowSparse(std::vector<int>{static_cast<int>(v)}, {{&rows, ids}});
      } else {
        store_.PullRowSparse(std::vector<std::string>{value.name}, {{&rows, ids}});
      }
      rows.WaitToRead();
      if (rows.indices() != wanted) throw std::runtime_error(value.name + ": other rows came");
      CheckRows(v, wanted, rows.data_as<uint8_t>(), round);
    }
  }

  void CheckRows(size_t v, const std::vector<int64_t>& rows, const uint8_t* data, int round) {
    const Value& value = values_[v];
    for (const int64_t x : rows) {
      const int number = expected_[v][static_cast<size_t>(x)];
      if (row_.empty() || row_number_ != number || row_of_ != v) {
        row_ = Row(value, number);
        row_number_ = number;
        row_of_ = v;
      }
      if (std::memcmp(data, row_.data(), row_.size()) != 0) {
        throw std::runtime_error(value.name + " round " + std::to_string(round) + " row " +
                                 std::to_string(x) + ": not " + std::to_string(number) +
                                 " times the pattern");
      }
      data += row_.size();
      checked_ += static_cast<size_t>(value.columns());
    }
  }

  kvstore::KVStore& store_;
  const bool int_keys_;
  const int rank_;
  const int workers_;
  const std::vector<Value> values_;
  std::vector<std::vector<int>> expected_;  // by value and row: the number before c
  // The last row that was made, since most rows are alike.
  std::vector<uint8_t> row_;
  int row_number_ = 0;
  size_t row_of_ = 0;
  size_t checked_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::string store_type = "dist_sync";
  std::string keys = "int";
  CLI::App app{"a worker whose every value has a closed formula"};
  app.add_option("--store", store_type);
  app.add_option("--keys", keys)->check(CLI::IsMember({"int", "string"}));
  CLI11_PARSE(app, argc, argv);
  try {
    const auto store = kvstore::KVStore::CreateUnique(store_type);
    FormulaWorker(*store, keys == "int").Run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
