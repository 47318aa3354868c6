// What many small keys cost on any store, key by key.
//
//   keys_bench [store] [keys] [elements] [passes]      default local 10000 4 11
//   kvctl run --workers 1 --servers 1 -- keys_bench dist_sync
//
// One Init of all keys; then, in each pass, one Push of all of them and one Pull, each waited for.
// Printed: keys per second of rank 0, of push and pull together and of each: the median of the
// passes, least and most; and of the Init, in a process that has used little memory before. What
// comes out is checked. Also printed is by how much the process's memory grew with the keys, arrays
// aside.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace kvstore::bench {
namespace {

std::string Rates(std::vector<double> seconds, int keys) {
  std::sort(seconds.begin(), seconds.end());
  const auto rate = [keys](double s) { return static_cast<double>(keys) / s; };
  return fmt::format("{:>10.0f} [{:.0f}-{:.0f}]", rate(seconds[seconds.size() / 2]),
                     rate(seconds.back()), rate(seconds.front()));
}

size_t BytesInUse() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

int Main(const char* type, int keys, int64_t elements, int passes) {
  const auto store = KVStore::CreateUnique(type);
  const auto workers = static_cast<float>(store->get_group_size());
  std::vector<int> names;
  std::vector<NDArray> gradients, values;
  std::vector<NDArray*> outputs;
  for (int key = 0; key < keys; ++key) {
    names.push_back(key);
    gradients.emplace_back(std::vector<int64_t>{elements});
    std::fill_n(gradients.back().data_as<float>(), elements, 1.0F);
    values.emplace_back(std::vector<int64_t>{elements});
  }
  for (NDArray& value : values) outputs.push_back(&value);
  const size_t before = BytesInUse();
  const auto init_begin = std::chrono::steady_clock::now();
  store->Init(names, values);
  const auto init_end = std::chrono::steady_clock::now();
  const double per_key = static_cast<double>(BytesInUse() - before) / keys;
  if (store->get_rank() == 0) store->SetOptimizer(OptimizerSpec("test"));
  store->Barrier();

  std::vector<double> push, pull, both;
  bool wrong = false;
  for (int pass = -1; pass < passes; ++pass) {  // the first one warms up
    store->Barrier();
    const auto begin = std::chrono::steady_clock::now();
    store->Push(names, gradients);
    store->WaitAll();
    const auto pushed = std::chrono::steady_clock::now();
    store->Pull(names, outputs);
    store->WaitAll();
    const auto pulled = std::chrono::steady_clock::now();
    for (const NDArray& value : values) {
      wrong |= value.data_as<float>()[elements - 1] != static_cast<float>(pass + 2) * workers;
    }
    if (pass < 0) continue;
    push.push_back(std::chrono::duration<double>(pushed - begin).count());
    pull.push_back(std::chrono::duration<double>(pulled - pushed).count());
    both.push_back(std::chrono::duration<double>(pulled - begin).count());
  }
  if (store->get_rank() == 0) {
    fmt::print("{}: {} keys of {} x f32, {} passes; keys per second: median [least-most]\n", type,
               keys, elements, passes);
    fmt::print("push and pull {}\npush          {}\npull          {}\n", Rates(both, keys),
               Rates(push, keys), Rates(pull, keys));
    const double init_s = std::chrono::duration<double>(init_end - init_begin).count();
    fmt::print("init, once    {:>10.0f}\n", keys / init_s);
    fmt::print("{:.0f} bytes for each key and its value\n", per_key);
  }
  if (wrong) fmt::print(stderr, "wrong values came out\n");
  return wrong ? 1 : 0;
}

}  // namespace
}  // namespace kvstore::bench

int main(int argc, char** argv) {
  const int keys = argc > 2 ? std::atoi(argv[2]) : 10000;
  const int elements = argc > 3 ? std::atoi(argv[3]) : 4;
  const int passes = argc > 4 ? std::atoi(argv[4]) : 11;
  if (keys < 1 || elements < 1 || passes < 1) {
    fmt::print(stderr, "usage: keys_bench [store] [keys] [elements] [passes], all >= 1\n");
    return 2;
  }
  return kvstore::bench::Main(argc > 1 ? argv[1] : "local", keys, elements, passes);
}
