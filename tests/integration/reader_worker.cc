// A reader beside train_worker's workers: pulls their keys again and again, and prints
//
//   reader joined
//   reader pulled 12 at 7        its 12th pull of all keys; the lowest round among their parts
//   reader error FAILED_PRECONDITION: the job is over: …
//
// Every part must be of a round, with the closed formula of train_worker.cc, and of no earlier one
// than the pull before gave it. With --row-width the keys are row_sparse, and each pull asks for
// other rows of them, all of one round. Ends with code 0 after `--pulls`, 3 after an error.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kvstore/kvstore.h"

namespace {

constexpr int64_t kPartElements = 1 << 18;

struct Options {
  std::string store = "dist_sync";
  int keys = 3;
  int64_t elements = 1000;
  int64_t row_width = 0;  // as of train_worker
  int workers = 2;
  int pulls = 1000000;
  bool consistent = false;  // all keys must be of one round
  bool by_option = false;   // StoreOptions say that it is a reader, not the environment
};

void Say(const std::string& line) {
  std::printf("reader %s\n", line.c_str());
  std::fflush(stdout);
}

[[noreturn]] void Wrong(int key, int64_t element, float value) {
  Say("found that element " + std::to_string(element) + " of key " + std::to_string(key) +
      " is of no round, or of an earlier one: " + std::to_string(value));
  std::exit(4);
}

// Every seventh row of each key, in each pull others.
void RunRows(const Options& options, kvstore::KVStore& store) {
  const std::vector<int64_t> shape = {options.elements / options.row_width, options.row_width};
  const int ranks = options.workers * (options.workers + 1) / 2;
  std::vector<int> keys;
  for (int key = 0; key < options.keys; ++key) keys.push_back(key);
  int last = 0;
  for (int pull = 1; pull <= options.pulls; ++pull) {
    const int64_t first = pull % 7;
    const kvstore::NDArray ids({(shape[0] - first + 6) / 7}, kvstore::DataType::kInt64);
    for (int64_t i = 0; i < ids.size(); ++i) ids.data_as<int64_t>()[i] = first + 7 * i;
    std::vector<kvstore::NDArray> rows;
    std::vector<std::pair<kvstore::NDArray*, kvstore::NDArray>> outputs;
    for (int key = 0; key < options.keys; ++key) rows.push_back(kvstore::NDArray::RowSparse(shape));
    for (kvstore::NDArray& each : rows) outputs.emplace_back(&each, ids);
    store.PullRowSparse(keys, outputs, 0, /*consistent=*/true);
    store.WaitAll();
    const auto round = static_cast<int>(rows[0].data_as<float>()[0]) / ranks;
    if (round < last) Wrong(0, 0, rows[0].data_as<float>()[0]);
    last = round;
    for (int key = 0; key < options.keys; ++key) {
      const kvstore::NDArray& each = rows[static_cast<size_t>(key)];
      if (each.indices().size() != static_cast<size_t>(ids.size())) Wrong(key, -1, 0);
      const auto expected = static_cast<float>(round * (key + 1) * ranks);
      for (int64_t i = 0; i < ids.size() * options.row_width; ++i) {
        if (each.data_as<float>()[i] != expected) Wrong(key, i, each.data_as<float>()[i]);
      }
    }
    Say("pulled " + std::to_string(pull) + " at " + std::to_string(round));
  }
}

void Run(const Options& options) {
  kvstore::StoreOptions how;
  how.reader = options.by_option;
  const auto store = kvstore::KVStore::CreateUnique(options.store, how);
  Say("joined");
  if (options.row_width > 0) return RunRows(options, *store);
  const int ranks = options.workers * (options.workers + 1) / 2;
  std::vector<int> keys;
  std::vector<kvstore::NDArray> arrays;
  std::vector<kvstore::NDArray*> outputs;
  for (int key = 0; key < options.keys; ++key) {
    keys.push_back(key);
    arrays.emplace_back(std::vector<int64_t>{options.elements});
  }
  for (kvstore::NDArray& array : arrays) outputs.push_back(&array);
  std::map<std::pair<int, int64_t>, int> seen;  // by key and part: the last round
  for (int pull = 1; pull <= options.pulls; ++pull) {
    store->Pull(keys, outputs, 0, true, options.consistent);
    store->WaitAll();
    int lowest = 1 << 30;
    for (int key = 0; key < options.keys; ++key) {
      const float* const values = arrays[static_cast<size_t>(key)].data_as<float>();
      const int per_round = (key + 1) * ranks;
      for (int64_t i = 0; i < options.elements; ++i) {
        const auto value = static_cast<int>(values[i]);
        if (static_cast<float>(value) != values[i] || value % per_round != 0) {
          Wrong(key, i, values[i]);
        }
        const int round = value / per_round;
        const int64_t part = i / kPartElements;
        const bool first = i % kPartElements == 0;
        int& last = seen[{key, part}];
        if (first ? round < last : round != last) Wrong(key, i, values[i]);
        last = round;
        if (options.consistent && key + i > 0 && round != lowest) Wrong(key, i, values[i]);
        lowest = std::min(lowest, round);
      }
    }
    Say("pulled " + std::to_string(pull) + " at " + std::to_string(lowest));
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("a reader of train_worker's keys");
  app.add_option("--store", options.store);
  app.add_option("--keys", options.keys);
  app.add_option("--elements", options.elements);
  app.add_option("--row-width", options.row_width);
  app.add_option("--workers", options.workers);
  app.add_option("--pulls", options.pulls);
  app.add_flag("--consistent", options.consistent);
  app.add_flag("--by-option", options.by_option);
  CLI11_PARSE(app, argc, argv);
  try {
    Run(options);
  } catch (const kvstore::Error& error) {
    Say(std::string("error ") + error.what());
    return 3;
  }
  return 0;
}
