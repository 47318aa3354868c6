// A worker of servers with an updater plugin. Every element of every value that it pulls is
// compared with the plugin's formula, computed here in double; learning rate, betas and weight
// decay are powers of 2, so that every step is exact in f32.
//
//   plugin_worker lion STORE dense|row_sparse ROUNDS [FILE]   says "checked N values"; between two
//                             rounds the plugin's states go into FILE, are forgotten, and come back
//   plugin_worker refused     13 is refused by the broken plugin
//   plugin_worker wait        holds its key until its stdin ends
#include <kvstore/kvstore.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using kvstore::NDArray;
using Keys = std::vector<std::string>;

constexpr int64_t kWidth = 4;
constexpr int64_t kRows = 150000;  // of 16 bytes: more than two parts, and all stripes

struct Element {
  double w = 1, m = 0;
  void Update(double g) {
    const double c = 0.5 * m + 0.5 * g;
    w -= 0.25 * ((c > 0) - (c < 0) + 0.5 * w);
    m = 0.5 * m + 0.5 * g;
  }
};

float Gradient(int rank, int round, int64_t element) {
  return static_cast<float>((element + int64_t{round} * (rank + 1)) % 5 - 2);
}
// Which rows a worker pushes: some that all have, some that it alone has, and some nobody.
bool Pushes(int rank, int round, int64_t row) {
  return (row + round) % 4 == 0 || (row + round) % 8 == 1 + rank;
}

void Compare(const NDArray& value, const std::vector<Element>& expected, int round) {
  value.WaitToRead();
  for (size_t i = 0; i < expected.size(); ++i) {
    if (static_cast<double>(value.data_as<float>()[i]) == expected[i].w) continue;
    throw std::runtime_error("round " + std::to_string(round) + " element " + std::to_string(i) +
                             ": " + std::to_string(expected[i].w) + " expected, got " +
                             std::to_string(value.data_as<float>()[i]));
  }
}

// Only with the states of the file is what follows by the formula: Reset forgets them.
void SaveResetAndLoad(kvstore::KVStore& store, const Keys& keys, const std::string& file) {
  store.WaitAll();
  store.Barrier();
  if (store.get_rank() == 0) store.SaveOptimizerStates(file);
  store.Barrier();
  store.Reset(keys);
  store.Barrier();
  store.LoadOptimizerStates(file);
  store.Barrier();
}

void Lion(const std::string& type, bool sparse, int rounds, const std::string& file) {
  const auto store = kvstore::KVStore::CreateUnique(type.c_str());
  const Keys keys = {"table"};
  const int workers = store->get_group_size();
  const std::vector<int64_t> shape = {kRows, kWidth};
  const auto elements = static_cast<size_t>(kRows * kWidth);
  std::vector<int64_t> all(static_cast<size_t>(kRows));
  for (size_t row = 0; row < all.size(); ++row) all[row] = static_cast<int64_t>(row);
  NDArray value(shape);
  for (size_t i = 0; i < elements; ++i) value.data_as<float>()[i] = 1;
  const auto rows_of = [&](const std::vector<int64_t>& ids, const std::vector<float>& data) {
    const NDArray rows({static_cast<int64_t>(ids.size()), kWidth});
    for (size_t i = 0; i < data.size(); ++i) rows.data_as<float>()[i] = data[i];
    return NDArray::RowSparse(shape, ids, rows);
  };
  store->Init(keys, {sparse ? rows_of(all, std::vector<float>(elements, 1)) : value});
  std::vector<Element> expected(elements);
  NDArray ids({kRows}, kvstore::DataType::kInt64);
  for (size_t row = 0; row < all.size(); ++row) ids.data_as<int64_t>()[row] = all[row];
  size_t checked = 0;
  for (int round = 1; round <= rounds; ++round) {
    if (!file.empty() && round == 3) SaveResetAndLoad(*store, keys, file);
    std::vector<int64_t> pushed_rows;
    std::vector<float> pushed;
    for (int64_t row = 0; row < kRows; ++row) {
      bool in_sum = false;
      double sum[kWidth] = {};
      for (int rank = 0; rank < workers; ++rank) {
        if (sparse && !Pushes(rank, round, row)) continue;
        in_sum = true;
        for (int64_t k = 0; k < kWidth; ++k) {
          const float g = Gradient(rank, round, row * kWidth + k);
          sum[k] += static_cast<double>(g);
          if (rank == store->get_rank()) pushed.push_back(g);
        }
        if (rank == store->get_rank()) pushed_rows.push_back(row);
      }
      for (int64_t k = 0; in_sum && k < kWidth; ++k) {
        expected[static_cast<size_t>(row * kWidth + k)].Update(sum[k]);
      }
    }
    NDArray push(shape);
    if (sparse) {
      push = rows_of(pushed_rows, pushed);
    } else {
      for (size_t i = 0; i < elements; ++i) push.data_as<float>()[i] = pushed[i];
    }
    store->Push(keys, {push});
    if (sparse) {
      NDArray out = NDArray::RowSparse(shape);
      store->PullRowSparse(keys, {{&out, ids}});
      Compare(out, expected, round);  // all rows, in order
    } else {
      store->Pull(keys, {&value});
      Compare(value, expected, round);
    }
    checked += elements;
  }
  try {
    if (store->get_rank() == 0) store->SetOptimizer(kvstore::OptimizerSpec("sgd"));
  } catch (const kvstore::Error& error) {
    std::printf("refused: %s\n", error.what());
  }
  std::printf("checked %zu values\n", checked);
}

void Refused() {
  const auto store = kvstore::KVStore::CreateUnique("dist_sync");
  const Keys keys = {"weight"};
  NDArray value({3}), push({3});
  for (int i = 0; i < 3; ++i) value.data_as<float>()[i] = 5;
  store->Init(keys, {value});
  for (int i = 0; i < 3; ++i) push.data_as<float>()[i] = store->get_rank() == 0 ? 6 : 7;
  store->Push(keys, {push});
  try {
    store->Wait(keys);
  } catch (const kvstore::Error& error) {
    std::printf("refused: %s\n", error.what());
  }
  store->Pull(keys, {&value});
  value.WaitToRead();
  std::printf("value %g\n", static_cast<double>(value.data_as<float>()[0]));
  for (int i = 0; i < 3; ++i) push.data_as<float>()[i] = 1;
  store->Push(keys, {push});
  store->Pull(keys, {&value});
  value.WaitToRead();
  std::printf("value %g\n", static_cast<double>(value.data_as<float>()[0]));
}

void WaitForEnd() {
  const auto store = kvstore::KVStore::CreateUnique("dist_sync");
  store->Init(Keys{"weight"}, {NDArray({3})});
  std::printf("ready\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if ((arguments.size() == 4 || arguments.size() == 5) && arguments[0] == "lion") {
      Lion(arguments[1], arguments[2] == "row_sparse", std::atoi(arguments[3].c_str()),
           arguments.size() == 5 ? arguments[4] : "");
    } else if (arguments == Keys{"refused"}) {
      Refused();
    } else if (arguments == Keys{"wait"}) {
      WaitForEnd();
    } else {
      throw std::invalid_argument("lion, refused or wait expected");
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "plugin_worker: %s\n", error.what());
    return 1;
  }
  return 0;
}
