// What rows cost against what as many bytes cost in a dense key, by width and by how many of the
// rows take part.
//
//   row_widths_bench [store] [passes]        default local 11
//   kvctl run --workers 2 --servers 2 -- row_widths_bench dist_sync
//
// For each width a dense key and a row_sparse one of the same shape, 9 MiB of f32. A pass pushes to
// the dense key and pulls it; then pushes all rows of the other and pulls them with PullRowSparse;
// then a half of the rows, drawn at random, then a tenth. Passes are interleaved; median and spread
// (least, most) of rank 0 are printed, and beside it how many times the dense key's time per byte
// that is. The servers, or the store, update with SGD. What comes out is checked.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace kvstore::bench {
namespace {

constexpr int64_t kElements = int64_t{9} << 18;
constexpr int64_t kWidths[] = {1, 4, 16, 64, 256};
constexpr int kOneIn[] = {1, 2, 10};

struct Times {
  std::vector<double> ms;

  double Median() {
    std::sort(ms.begin(), ms.end());
    return ms[ms.size() / 2];
  }
  std::string Text() {
    const double median = Median();
    return fmt::format("{:>8.2f} {:>8.2f} .. {:<8.2f}", median, ms.front(), ms.back());
  }
};

NDArray Filled(std::vector<int64_t> shape, float value) {
  NDArray array(std::move(shape));
  std::fill_n(array.data_as<float>(), array.size(), value);
  return array;
}

// Some rows of a key, their gradient and the rows that come back.
struct Rows {
  Rows(int64_t height, int64_t width, int one_in, int seed) : shape{height, width} {
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    std::vector<int64_t> rows;
    for (int64_t row = 0; row < height; ++row) {
      if (random() % static_cast<uint64_t>(one_in) == 0) rows.push_back(row);
    }
    const auto count = static_cast<int64_t>(rows.size());
    ids = NDArray({count}, DataType::kInt64);
    std::memcpy(ids.data(), rows.data(), ids.bytes());
    gradient = NDArray::RowSparse(shape, rows, Filled({count, width}, -1));
    output = NDArray::RowSparse(shape);
  }

  std::vector<int64_t> shape;
  NDArray ids, gradient, output;
  Times times;
};

class Keys {
 public:
  Keys(KVStore* store, int first_key, int64_t width)
      : width_(width),
        store_(*store),
        dense_key_({first_key}),
        row_key_({first_key + 1}),
        gradient_(Filled({kElements / width, width}, -1)),
        output_({kElements / width, width}) {
    for (const int one_in : kOneIn) {
      rows_.emplace_back(kElements / width, width, one_in, store->get_rank() + 1);
    }
    store_.Init(dense_key_, {Filled(gradient_.shape(), 0)});
    store_.Init(row_key_, {NDArray::RowSparse(gradient_.shape())});
  }

  void Pass(bool measured) {
    const auto measure = [&](Times* times, const auto& run) {
      store_.Barrier();
      const auto begin = std::chrono::steady_clock::now();
      run();
      const auto end = std::chrono::steady_clock::now();
      if (!measured) return;
      times->ms.push_back(std::chrono::duration<double, std::milli>(end - begin).count());
    };
    measure(&dense_times_, [&] {
      store_.Push(dense_key_, {gradient_});
      store_.Pull(dense_key_, {&output_});
      output_.WaitToRead();
    });
    const auto* const dense = output_.data_as<float>();
    const auto workers = static_cast<float>(store_.get_group_size());
    wrong |=
        std::count(dense, dense + kElements, static_cast<float>(++passes_) * workers) != kElements;
    for (Rows& rows : rows_) {
      measure(&rows.times, [&] {
        store_.Push(row_key_, {rows.gradient});
        store_.PullRowSparse(row_key_, {{&rows.output, rows.ids}});
        rows.output.WaitToRead();
      });
      Check(rows);
    }
  }

  void Print() {
    const double dense = dense_times_.Median() / static_cast<double>(kElements);
    fmt::print("{:>6} {:>9} {:>30}\n", width_, "dense", dense_times_.Text());
    for (size_t i = 0; i < rows_.size(); ++i) {
      const auto elements = static_cast<double>(rows_[i].ids.size() * width_);
      fmt::print("{:>6} {:>9} {:>30} {:>8.1f}\n", width_, fmt::format("1 in {}", kOneIn[i]),
                 rows_[i].times.Text(), rows_[i].times.Median() / elements / dense);
    }
  }

  bool wrong = false;

 private:
  // A row was pushed to by the worker itself in this pass at least, by all in all at most; all of
  // its elements alike.
  void Check(const Rows& rows) {
    wrong |= rows.output.indices() != rows.gradient.indices();
    const auto* value = rows.output.data_as<float>();
    const float most =
        static_cast<float>(passes_ * rows_.size()) * static_cast<float>(store_.get_group_size());
    for (size_t i = 0; i < rows.output.indices().size(); ++i, value += width_) {
      wrong |= value[0] < static_cast<float>(passes_) || value[0] > most;
      wrong |= std::count(value, value + width_, value[0]) != width_;
    }
  }

  const int64_t width_;
  KVStore& store_;
  const std::vector<int> dense_key_, row_key_;  // one each
  const NDArray gradient_;
  NDArray output_;
  Times dense_times_;
  std::vector<Rows> rows_;  // by kOneIn
  size_t passes_ = 0;
};

int Main(const char* type, int passes) {
  const auto store = KVStore::CreateUnique(type);
  if (store->get_rank() == 0) store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
  store->Barrier();
  std::vector<std::unique_ptr<Keys>> keys;
  for (const int64_t width : kWidths) {
    keys.push_back(std::make_unique<Keys>(store.get(), 2 * static_cast<int>(keys.size()), width));
  }
  for (int pass = -1; pass < passes; ++pass) {  // the first one warms up
    for (const auto& key : keys) key->Pass(pass >= 0);
  }
  bool wrong = false;
  const bool prints = store->get_rank() == 0;
  if (prints) {
    fmt::print("{}: {} MiB of f32, push and pull, {} passes; ms: median, least .. most\n", type,
               kElements >> 18, passes);
    fmt::print("{:>6} {:>9} {:>30} {:>8}\n", "width", "rows", "", "x dense");
  }
  for (const auto& key : keys) {
    if (prints) key->Print();
    wrong |= key->wrong;
  }
  if (wrong) fmt::print(stderr, "wrong values came out\n");
  return wrong ? 1 : 0;
}

}  // namespace
}  // namespace kvstore::bench

int main(int argc, char** argv) {
  const int passes = argc > 2 ? std::atoi(argv[2]) : 11;
  if (passes < 1) {
    fmt::print(stderr, "usage: row_widths_bench [store] [passes >= 1]\n");
    return 2;
  }
  return kvstore::bench::Main(argc > 1 ? argv[1] : "local", passes);
}
