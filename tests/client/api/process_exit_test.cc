// Stores of static storage: programs keep them in globals, whose destructors run when those of the
// main thread's own objects have run.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "kvstore/kvstore.h"

namespace kvstore {
namespace {

// Trains once more while the process exits, when no test can fail any more.
class Trainer {
 public:
  Trainer() : store_(KVStore::CreateUnique()) {
    store_->SetOptimizer(OptimizerSpec("sum"));
    store_->Init(std::vector<int>{1}, {NDArray({1})});
    Push(1);
  }
  ~Trainer() {
    Push(2);
    const float sum = Pull();
    if (sum == 3) return;
    std::fprintf(stderr, "at exit: 3 expected, got %g\n", double{sum});
    std::_Exit(1);
  }

  float Pull() const {
    NDArray out({1});
    store_->Pull(std::vector<int>{1}, {&out});
    out.WaitToRead();
    return out.data_as<float>()[0];
  }

 private:
  void Push(float value) {
    NDArray gradient({1});
    gradient.data_as<float>()[0] = value;
    store_->Push(std::vector<int>{1}, {gradient});
  }

  const std::unique_ptr<KVStore> store_;
};

}  // namespace

TEST_CASE("a store of static storage works until its destructor", "[exit]") {
  static const Trainer trainer;
  CHECK(trainer.Pull() == 1);  // what follows is in ~Trainer
}

}  // namespace kvstore
