// What a push and a pull of rows cost on the store of one process, against the height of the table.
//
//   rows_bench [rows] [passes]        default 10000 21
//
// A table of 64 x f32, initialised by its shape alone and updated with SGD; each pass pushes the
// gradients of `rows` rows, drawn by Zipf's law, and pulls these rows, then does the same with the
// next of 8 such batches. Passes of all heights are interleaved; median and spread (least, most)
// are printed beside the time of a memcpy of as many bytes as the rows have. The values that come
// out are checked.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bench/kvbench/row_sets.h"
#include "kvstore/kvstore.h"

namespace kvstore::bench {
namespace {

constexpr int64_t kWidth = 64;
constexpr size_t kBatches = 8;

struct Times {
  std::vector<double> ms;

  template <typename Run>
  void Measure(const Run& run) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    ms.push_back(took.count());
  }
  std::string Text() {
    std::sort(ms.begin(), ms.end());
    return fmt::format("{:>7.2f} {:>7.2f} .. {:<7.2f}", ms[ms.size() / 2], ms.front(), ms.back());
  }
};

class Table {
 public:
  Table(int64_t height, size_t rows) : height_(height), store_(KVStore::CreateUnique("local")) {
    const std::vector<int64_t> shape = {height, kWidth};
    store_->Init(key_, {NDArray::RowSparse(shape)});
    store_->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    output_ = NDArray::RowSparse(shape);
    const ZipfRows zipf(height);
    for (size_t batch = 0; batch < kBatches; ++batch) {
      const std::vector<int64_t> drawn = zipf.Draw(rows, 1000 * rows * (batch + 1));
      NDArray ids({static_cast<int64_t>(rows)}, DataType::kInt64);
      std::memcpy(ids.data(), drawn.data(), ids.bytes());
      const NDArray gradient({static_cast<int64_t>(rows), kWidth});
      std::fill_n(gradient.data_as<float>(), gradient.size(), -1.0f);
      gradients_.push_back({NDArray::RowSparse(shape, drawn, gradient)});
      ids_.push_back(ids);
    }
  }

  void Pass(bool measured) {
    const size_t batch = passes_++ % kBatches;
    Times ignored;
    (measured ? push : ignored).Measure([&] {
      store_->Push(key_, gradients_[batch]);
      store_->WaitAll();
    });
    (measured ? pull : ignored).Measure([&] {
      store_->PullRowSparse(key_, {{&output_, ids_[batch]}});
      output_.WaitToRead();
    });
    ++pushes_;
    // A row has been pushed as often as its batch at least, as all batches at most.
    const auto by_its_batch = (pushes_ + kBatches - 1) / kBatches;
    const auto least = static_cast<float>(by_its_batch);
    const auto* values = output_.data_as<float>();
    wrong |= output_.indices() != gradients_[batch][0].indices();
    for (size_t i = 0; i < output_.bytes() / sizeof(float); ++i) {
      wrong |= values[i] < least || values[i] > static_cast<float>(pushes_);
    }
  }

  int64_t height() const { return height_; }
  Times push, pull;
  bool wrong = false;

 private:
  const int64_t height_;
  const std::unique_ptr<KVStore> store_;
  const std::vector<int> key_ = {0};
  std::vector<std::vector<NDArray>> gradients_;
  std::vector<NDArray> ids_;
  NDArray output_;
  size_t passes_ = 0;
  size_t pushes_ = 0;
};

int Main(size_t rows, int passes) {
  std::vector<std::unique_ptr<Table>> tables;
  for (const int64_t height : {100000, 1000000, 10000000}) {
    tables.push_back(std::make_unique<Table>(height, rows));
  }
  const size_t bytes = rows * kWidth * sizeof(float);
  std::vector<uint8_t> from(bytes, 1), to(bytes);
  Times copy;
  for (int pass = -static_cast<int>(kBatches); pass < passes; ++pass) {  // the first warm up
    for (const auto& table : tables) table->Pass(pass >= 0);
    if (pass >= 0) copy.Measure([&] { std::memcpy(to.data(), from.data(), bytes); });
  }
  fmt::print("{} rows of {} x f32, one process, {} passes; ms: median, least .. most\n", rows,
             kWidth, passes);
  fmt::print("{:>10} {:>27} {:>27}\n", "height", "push and update", "pull");
  bool wrong = to != from;
  for (const auto& table : tables) {
    fmt::print("{:>10} {:>27} {:>27}\n", table->height(), table->push.Text(), table->pull.Text());
    wrong |= table->wrong;
  }
  fmt::print("{:>10} {:>27}\n", "memcpy", copy.Text());
  if (wrong) fmt::print(stderr, "wrong values came out\n");
  return wrong ? 1 : 0;
}

}  // namespace
}  // namespace kvstore::bench

int main(int argc, char** argv) {
  const long rows = argc > 1 ? std::atol(argv[1]) : 10000;
  const long passes = argc > 2 ? std::atol(argv[2]) : 21;
  if (rows < 1 || rows > 50000 || passes < 1) {
    fmt::print(stderr, "usage: rows_bench [1 <= rows <= 50000] [passes >= 1]\n");
    return 2;
  }
  return kvstore::bench::Main(static_cast<size_t>(rows), static_cast<int>(passes));
}
