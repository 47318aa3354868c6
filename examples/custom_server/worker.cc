// A worker of custom_server: votes, and lengthens the step after two rounds. Worker r votes with
// bit r of an element's number, so that three workers decide by the majority of three bits.
#include <kvstore/kvstore.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr int kSetStep = 6;
constexpr int64_t kElements = 600000;  // more than two parts of 1 MiB
using Keys = std::vector<std::string>;

void Train() {
  const auto store = kvstore::KVStore::CreateUnique("dist_sync");
  const Keys keys = {"weight"};
  kvstore::NDArray weight({kElements}), votes({kElements});
  store->Init(keys, {weight});
  for (int64_t i = 0; i < kElements; ++i) {
    votes.data_as<float>()[i] = ((i >> store->get_rank()) & 1) != 0 ? 1.0F : -1.0F;
  }
  for (int round = 1; round <= 4; ++round) {
    store->Push(keys, {votes});
    store->Pull(keys, {&weight});
    weight.WaitToRead();
    if (round != 2) continue;
    store->Barrier();
    if (store->get_rank() == 0) {
      store->SendCommandToServers(kSetStep, "2");
      try {
        store->SendCommandToServers(kSetStep, "-1");
      } catch (const kvstore::Error& error) {
        std::printf("refused: %s\n", error.what());
      }
    }
    store->Barrier();
  }
  std::map<float, int> counts;
  for (int64_t i = 0; i < kElements; ++i) ++counts[weight.data_as<float>()[i]];
  for (const auto& [value, count] : counts) {
    std::printf("%d elements are %g\n", count, static_cast<double>(value));
  }
}

}  // namespace

int main() {
  try {
    Train();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "custom_worker: %s\n", error.what());
    return 1;
  }
  return 0;
}
