// A worker that asks a server for more memory than it can have, and goes on. It prints, flushed:
//
//   before: ok                       key "kept" is trained
//   big: RESOURCE_EXHAUSTED, nothing was done: key 'big': …
//   after: ok                        "kept" has what it had, and is trained on; so is "late", a new
//                                    key, where there is room again
//
// or, in place of "ok", what was expected and what came. What is too much is one value, dense or of
// rows of 4 KiB, or as many values of a whole part, or small ones, as are taken; these stay.
// --as state: the value is taken, the optimizer's state for it is refused. --as pushed: the rows go
// to a table that has none; the server puts that off for as long as there is no memory. The worker
// waits, prints how the wait ended, and is then to be killed.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace {

using kvstore::KVStore;
using kvstore::NDArray;

constexpr int64_t kElements = 3 << 18;  // three parts of a server
constexpr int kRounds = 3;

void Say(const std::string& what, const std::string& text) {
  std::printf("%s: %s\n", what.c_str(), text.c_str());
  std::fflush(stdout);
}

NDArray Ones(int64_t rows, int64_t width) {
  NDArray ones({rows, width});
  for (int64_t i = 0; i < ones.size(); ++i) ones.data_as<float>()[i] = 1;
  return ones;
}

// Pushes ones to the key, which is `value` everywhere; the optimizer adds them up.
std::string Train(KVStore& store, const std::string& key, float* value) {
  const NDArray ones = Ones(1, kElements);
  for (int round = 0; round < kRounds; ++round) {
    NDArray out({1, kElements});
    store.Push({key}, {ones});
    store.Pull({key}, {&out});
    out.WaitToRead();
    *value += 1;
    for (int64_t i = 0; i < kElements; ++i) {
      const float got = out.data_as<float>()[i];
      if (got != *value) {
        return key + ": " + std::to_string(*value) + " expected, got " + std::to_string(got);
      }
    }
  }
  return "ok";
}

// Asks for `mib` MiB.
void AskForMore(KVStore& store, int64_t mib, const std::string& as) {
  const int64_t bytes = mib << 20;
  if (as == "dense") {
    store.Init({"big"}, {NDArray({bytes / 4})});
  } else if (as == "rows") {
    const NDArray all = Ones(bytes / 4096, 1024);
    std::vector<int64_t> indices(static_cast<size_t>(bytes / 4096));
    std::iota(indices.begin(), indices.end(), 0);
    store.Init({"big"}, {NDArray::RowSparse(all.shape(), indices, all)});
  } else if (as == "state") {
    store.Init({"big"}, {NDArray({bytes / 4})});
    store.SetOptimizer(kvstore::OptimizerSpec("adam"));
  } else if (as == "pushed") {
    const NDArray all = Ones(bytes / 4096, 1024);
    std::vector<int64_t> indices(static_cast<size_t>(bytes / 4096));
    std::iota(indices.begin(), indices.end(), 0);
    store.Init({"big"}, {NDArray::RowSparse(all.shape())});
    store.Push({"big"}, {NDArray::RowSparse(all.shape(), indices, all)});
  } else {
    const int64_t value_bytes = as == "small" ? 100 << 10 : 1 << 20;
    const NDArray value = Ones(1, value_bytes / 4);
    for (int64_t i = 0; i < bytes / value_bytes; ++i) {
      store.Init({"big" + std::to_string(i)}, {value});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int64_t mib = 0;
  std::string as = "dense";
  CLI::App app("memory_worker");
  app.add_option("--mib", mib)->required();
  app.add_option("--as", as)
      ->check(CLI::IsMember({"dense", "rows", "parts", "small", "state", "pushed"}));
  CLI11_PARSE(app, argc, argv);
  try {
    const std::unique_ptr<KVStore> store = KVStore::CreateUnique("dist_sync");
    store->SetOptimizer(kvstore::OptimizerSpec("sum"));
    float kept = 0;
    float late = 0;
    store->Init({"kept"}, {NDArray({1, kElements})});
    Say("before", Train(*store, "kept", &kept));
    try {
      AskForMore(*store, mib, as);
      Say("big", "accepted");
    } catch (const kvstore::Error& error) {
      Say("big", std::string(kvstore::ErrorCodeName(error.code())) +
                     (error.definite() ? ", nothing was done: " : ": ") + error.what());
    }
    const bool room = as == "dense" || as == "rows";
    if (room) store->Init({"late"}, {NDArray({1, kElements})});
    std::string after = Train(*store, "kept", &kept);
    if (after == "ok" && room) after = Train(*store, "late", &late);
    Say("after", after);
    if (as == "pushed") {
      try {
        store->Wait({"big"});
      } catch (const kvstore::Error& error) {
        Say("waited", std::string(kvstore::ErrorCodeName(error.code())) + ": " + error.what());
      }
    }
  } catch (const std::exception& error) {
    Say("failed", error.what());
    return 1;
  }
  return 0;
}
