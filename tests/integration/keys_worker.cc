// A worker with keys of all kinds, for kvctl get and kvctl reset. It prints
//
//   rank 0 made              the keys are there, and pushed to
//   rank 0 went on 5 4       key "moving" was reset: its value, and that after one more push
//
// and ends. "moving" has momentum; until it is reset it is pushed to.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kvstore/kvstore.h"

namespace {

using kvstore::DataType;
using kvstore::NDArray;
using Strings = std::vector<std::string>;

template <typename Element>
NDArray Counted(std::vector<int64_t> shape, DataType dtype, int64_t step) {
  const NDArray array(std::move(shape), dtype);
  for (int64_t i = 0; i < array.size(); ++i) {
    array.data_as<Element>()[i] = static_cast<Element>(i * step);
  }
  return array;
}

// 0, 1, 2, ... as bf16, which are the upper halves of floats.
NDArray Halves(int64_t elements) {
  const NDArray array({elements}, DataType::kBFloat16);
  for (int64_t i = 0; i < elements; ++i) {
    const auto number = static_cast<float>(i);
    std::memcpy(array.data_as<uint8_t>() + 2 * i, reinterpret_cast<const uint8_t*>(&number) + 2, 2);
  }
  return array;
}

NDArray SomeRows() {
  const std::vector<int64_t> ids = {3, 50000, 50001, 99999};
  return NDArray::RowSparse({100000, 8}, ids, Counted<float>({4, 8}, DataType::kFloat32, 1));
}

float First(kvstore::KVStore& store, const std::string& key) {
  NDArray out({2});
  store.Pull(Strings{key}, {&out});
  out.WaitToRead();
  return out.data_as<float>()[0];
}

void Run() {
  const auto store = kvstore::KVStore::CreateUnique("dist_sync");
  const int rank = store->get_rank();
  const auto say = [rank](const std::string& line) {
    std::printf("rank %d %s\n", rank, line.c_str());
    std::fflush(stdout);
  };
  store->Init(Strings{"dense", "ints", "flags", "half", "rows", "moving"},
              {Counted<float>({600, 1000}, DataType::kFloat32, 1),
               Counted<int64_t>({3, 2}, DataType::kInt64, -7),
               Counted<uint8_t>({2}, DataType::kBool, 1), Halves(5), SomeRows(), NDArray({2})});
  if (rank == 0) {
    store->SetOptimizer(kvstore::OptimizerSpec("sgd").Set("learning_rate", 1).Set("momentum", 0.5));
  }
  store->Barrier();
  const NDArray ones = Counted<float>({2}, DataType::kFloat32, 0);
  for (int i = 0; i < 2; ++i) ones.data_as<float>()[i] = 1;
  bool said = false;
  while (true) {
    try {
      store->Push(Strings{"moving"}, {ones});
      store->Wait(Strings{"moving"});
      if (!said) say("made");
      said = true;
    } catch (const kvstore::Error& error) {
      if (error.code() != kvstore::ErrorCode::kNotFound ||
          std::string(error.what()).find("was reset") == std::string::npos) {
        throw;
      }
      break;
    }
  }
  store->Reset(Strings{"moving"});
  const float value = First(*store, "moving");
  store->Barrier();
  store->Push(Strings{"moving"}, {ones});
  char line[100];
  std::snprintf(line, sizeof line, "went on %.9g %.9g", static_cast<double>(value),
                static_cast<double>(First(*store, "moving")));
  say(line);
}

}  // namespace

int main() {
  try {
    Run();
  } catch (const std::exception& error) {
    std::printf("error %s\n", error.what());
    return 1;
  }
  return 0;
}
