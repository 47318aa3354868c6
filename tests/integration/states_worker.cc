// A worker whose optimizer's states go through a file, between stores of different clusters:
//
//   states_worker STORE ROUNDS FROM TO OPTIMIZER
//       "local", "dist_sync"; rounds "0:2"; folders, FROM "-": none; "adam", or one that goes by
//       the norms of whole values (then without the row_sparse key, which these refuse)
//
// It begins with the values and states in FROM, or with new ones, makes those rounds with what two
// workers contribute (a local store: both as a list), and leaves in TO what there is then: states
// (a file of SaveOptimizerStates) and a file of bytes for each value. It prints "rank 0 done".
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace {

using kvstore::DataType;
using kvstore::KVStore;
using kvstore::NDArray;
using Strings = std::vector<std::string>;

constexpr int kWorkers = 2;

struct TestKey {
  std::string name;
  DataType dtype;
  std::vector<int64_t> shape;
  bool rows = false;
};

// Parts and stripes on several servers, and a master in f32.
const std::vector<TestKey> kKeys = {{"conv/weight", DataType::kFloat32, {600, 1000}},
                                    {"half", DataType::kFloat16, {1000}},
                                    {"table", DataType::kFloat32, {100000, 8}, true}};

// Numbers that all dtypes have, and that differ from place to place and from round to round.
NDArray Numbers(const TestKey& key, std::vector<int64_t> shape, uint64_t salt) {
  constexpr uint16_t kHalves[] = {0x0000, 0x3800, 0x3c00, 0xb800, 0xbc00, 0x3400, 0xb400};
  constexpr float kFloats[] = {0, 0.5, 1, -0.5, -1, 0.25, -0.25};
  const NDArray array(std::move(shape), key.dtype);
  for (int64_t i = 0; i < array.size(); ++i) {
    const uint64_t hash = (static_cast<uint64_t>(i) * 2654435761u + salt * 40503u) >> 7;
    if (key.dtype == DataType::kFloat16) {
      array.data_as<uint16_t>()[i] = kHalves[hash % 7];
    } else {
      array.data_as<float>()[i] = kFloats[hash % 7];
    }
  }
  return array;
}

NDArray Contribution(const TestKey& key, int rank, int round) {
  const auto salt = static_cast<uint64_t>(int64_t{rank} * 100 + round + 1);
  if (!key.rows) return Numbers(key, key.shape, salt);
  std::vector<int64_t> ids;
  for (int64_t row = rank + 3 * round; row < key.shape[0]; row += 97) ids.push_back(row);
  const auto count = static_cast<int64_t>(ids.size());
  return NDArray::RowSparse(key.shape, std::move(ids), Numbers(key, {count, key.shape[1]}, salt));
}

NDArray FromFile(const TestKey& key, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const NDArray array(key.shape, key.dtype);
  if (bytes.size() != array.bytes()) throw std::runtime_error(path + ": other bytes");
  std::memcpy(array.data(), bytes.data(), bytes.size());
  return array;
}

std::string FileOf(const std::string& folder, const TestKey& key) {
  std::string name = key.name;
  std::replace(name.begin(), name.end(), '/', '_');
  return folder + "/" + name;
}

void Run(const std::string& type, int first, int last, const std::string& from,
         const std::string& to, const std::string& optimizer) {
  const auto store = KVStore::CreateUnique(type);
  const bool local = type == "local";
  if (store->get_rank() == 0) {
    store->SetOptimizer(
        kvstore::OptimizerSpec(optimizer).Set("learning_rate", 0.125).Set("multi_precision", 1));
  }
  store->Barrier();
  const std::vector<TestKey>& keys = kKeys;
  for (const TestKey& key : keys) {
    if (from == "-") {
      store->Init(Strings{key.name}, {key.rows ? NDArray::RowSparse(key.shape, key.dtype)
                                               : Numbers(key, key.shape, 0)});
      continue;
    }
    NDArray value = FromFile(key, FileOf(from, key));
    if (key.rows) {
      std::vector<int64_t> all(static_cast<size_t>(key.shape[0]));
      std::iota(all.begin(), all.end(), int64_t{0});
      value = NDArray::RowSparse(key.shape, std::move(all), value);
    }
    store->Init(Strings{key.name}, {value});
  }
  store->Barrier();
  if (from != "-") store->LoadOptimizerStates(from + "/states");
  store->Barrier();
  for (int round = first; round < last; ++round) {
    for (const TestKey& key : keys) {
      if (!local) {
        store->Push(Strings{key.name}, {Contribution(key, store->get_rank(), round)});
        continue;
      }
      std::vector<NDArray> values;
      for (int rank = 0; rank < kWorkers; ++rank) values.push_back(Contribution(key, rank, round));
      store->Push(Strings(kWorkers, key.name), values);
    }
  }
  store->WaitAll();
  store->Barrier();
  if (store->get_rank() == 0) {
    store->SaveOptimizerStates(to + "/states");
    for (const TestKey& key : keys) {
      NDArray value(key.shape, key.dtype);
      store->Pull(Strings{key.name}, {&value});
      value.WaitToRead();
      std::ofstream file(FileOf(to, key), std::ios::binary);
      file.write(value.data_as<char>(), static_cast<std::streamsize>(value.bytes()));
    }
  }
  store->Barrier();
  std::printf("rank %d done\n", store->get_rank());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 6) throw std::runtime_error("STORE FIRST:LAST FROM TO OPTIMIZER expected");
    const std::string rounds = argv[2];
    Run(argv[1], std::atoi(rounds.c_str()), std::atoi(rounds.c_str() + rounds.find(':') + 1),
        argv[3], argv[4], argv[5]);
  } catch (const std::exception& error) {
    std::printf("error %s\n", error.what());
    return 1;
  }
  return 0;
}
