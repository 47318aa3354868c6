// The order of operations that touch the same arrays: random programs, against a model that runs
// every call at once, one after the other.
//
// A program is made from a seed: pushes, pulls and both at once of several keys with any
// priorities, and reads and writes of the arrays by the program itself, which asks first. Several
// arrays lie over one pointer, whole or only its beginning. All workers run the same program on
// data of their own, so that each pull has one answer. Numbers are integers that wrap, so that sums
// are exact however large they grow.
#include <catch2/catch.hpp>
#include <random>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

using Numbers = std::vector<int64_t>;

constexpr int kMemories = 5;  // allocations of a worker
constexpr int kKeys = 6;      // even ones hold kWhole elements, odd ones kBeginning
constexpr int64_t kWhole = 6;
constexpr int64_t kBeginning = 3;
constexpr int kSteps = 120;

int64_t SizeOf(int key) { return key % 2 == 0 ? kWhole : kBeginning; }

int64_t Wrapped(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// One step of a program: a call, or what the program itself does with a memory.
struct Step {
  enum class Kind { kPush, kPull, kPushPull, kWrite, kRead, kWaitAll };
  Kind kind = Kind::kPush;
  // A key and the memory that is pushed or pulled into.
  using Use = std::pair<int, int>;
  std::vector<Use> pushed, pulled;
  int memory = 0;
  int number = 0;  // what kWrite writes, times the worker's rank + 1
  int priority = 0;
};

std::vector<Step> MakeProgram(uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  std::vector<Step> program;
  for (int i = 0; i < kSteps; ++i) {
    Step step;
    step.kind = static_cast<Step::Kind>(below(6));
    if (step.kind == Step::Kind::kWaitAll && below(4) != 0) step.kind = Step::Kind::kPushPull;
    step.priority = below(7) - 3;
    step.memory = below(kMemories);
    step.number = below(19) - 9;
    const auto uses = [&](std::vector<Step::Use>* list) {
      for (int n = 1 + below(4); n > 0; --n) list->push_back({below(kKeys), below(kMemories)});
    };
    if (step.kind == Step::Kind::kPush || step.kind == Step::Kind::kPushPull) uses(&step.pushed);
    if (step.kind == Step::Kind::kPull) uses(&step.pulled);
    if (step.kind == Step::Kind::kPushPull) {
      // The same keys, perhaps in other memories, perhaps in place.
      for (const auto& [key, memory] : step.pushed) {
        step.pulled.push_back({key, below(2) == 0 ? memory : below(kMemories)});
      }
    }
    program.push_back(std::move(step));
  }
  return program;
}

// Every call at once, for all workers.
class Model {
 public:
  Model(int workers, bool sums)
      : sums_(sums), memories_(static_cast<size_t>(workers), std::vector<Numbers>(kMemories)) {
    for (auto& memories : memories_) {
      for (Numbers& memory : memories) memory.assign(kWhole, 0);
    }
    for (int key = 0; key < kKeys; ++key) values_.emplace_back(SizeOf(key), 0);
  }

  void Run(const Step& step) {
    if (step.kind == Step::Kind::kWrite) {
      for (size_t rank = 0; rank < memories_.size(); ++rank) {
        memories_[rank][static_cast<size_t>(step.memory)].assign(
            kWhole, step.number * static_cast<int64_t>(rank + 1));
      }
      return;
    }
    // Keys take their turn in the order in which the call names them first.
    std::vector<int> keys;
    for (const auto& list : {step.pushed, step.pulled}) {
      for (const auto& [key, memory] : list) {
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
      }
    }
    for (const int key : keys) {
      Push(key, step.pushed);
      for (const auto& [pulled, memory] : step.pulled) {
        if (pulled != key) continue;
        for (auto& memories : memories_) {
          std::copy(Value(key).begin(), Value(key).end(),
                    memories[static_cast<size_t>(memory)].begin());
        }
      }
    }
  }

  const Numbers& Memory(int rank, int memory) const {
    return memories_[static_cast<size_t>(rank)][static_cast<size_t>(memory)];
  }

 private:
  Numbers& Value(int key) { return values_[static_cast<size_t>(key)]; }

  void Push(int key, const std::vector<Step::Use>& pushed) {
    Numbers sum(static_cast<size_t>(SizeOf(key)), 0);
    bool any = false;
    for (const auto& memories : memories_) {
      for (const auto& [named, memory] : pushed) {
        if (named != key) continue;
        any = true;
        for (size_t i = 0; i < sum.size(); ++i) {
          sum[i] = Wrapped(sum[i], memories[static_cast<size_t>(memory)][i]);
        }
      }
    }
    if (!any) return;
    for (size_t i = 0; i < sum.size(); ++i) {
      Value(key)[i] = sums_ ? Wrapped(Value(key)[i], sum[i]) : sum[i];
    }
  }

  const bool sums_;
  std::vector<std::vector<Numbers>> memories_;  // by worker
  std::vector<Numbers> values_;
};

// The same program on a store. Throws where it reads something else than the model.
class Program {
 public:
  Program(KVStore& store, int rank) : store_(store), rank_(rank) {
    for (int i = 0; i < kMemories; ++i) memories_.push_back(std::make_shared<Numbers>(kWhole, 0));
    std::vector<int> keys;
    std::vector<NDArray> zeros;
    for (int key = 0; key < kKeys; ++key) {
      keys.push_back(key);
      zeros.emplace_back(std::vector<int64_t>{SizeOf(key)}, DataType::kInt64);
    }
    store_.Init(keys, zeros);
  }

  void Run(const Step& step, const Numbers& expected) {
    switch (step.kind) {
      case Step::Kind::kPush:
        return store_.Push(KeysOf(step.pushed), ArraysOf(step.pushed), step.priority);
      case Step::Kind::kPull: {
        std::vector<NDArray> outs = ArraysOf(step.pulled);
        return store_.Pull(KeysOf(step.pulled), Pointers(outs), step.priority);
      }
      case Step::Kind::kPushPull: {
        std::vector<NDArray> outs = ArraysOf(step.pulled);
        return store_.PushPull(KeysOf(step.pushed), KeysOf(step.pulled), ArraysOf(step.pushed),
                               Pointers(outs), step.priority);
      }
      case Step::Kind::kWrite:
        Array(step.memory, kBeginning).WaitToWrite();
        Memory(step.memory).assign(kWhole, step.number * int64_t{rank_ + 1});
        return;
      case Step::Kind::kRead:
        Array(step.memory, kWhole).WaitToRead();
        return Compare(step.memory, expected);
      case Step::Kind::kWaitAll:
        store_.WaitAll();
        return Compare(step.memory, expected);
    }
  }

 private:
  Numbers& Memory(int memory) { return *memories_[static_cast<size_t>(memory)]; }
  // A new handle each time: what counts is the pointer. Each keeps the memory.
  NDArray Array(int memory, int64_t elements) {
    const auto keep = memories_[static_cast<size_t>(memory)];
    return NDArray::FromBlob(keep->data(), {elements}, DataType::kInt64, Context::Cpu(),
                             [keep](void*) {});
  }
  static std::vector<int> KeysOf(const std::vector<Step::Use>& uses) {
    std::vector<int> keys;
    for (const auto& [key, memory] : uses) keys.push_back(key);
    return keys;
  }
  std::vector<NDArray> ArraysOf(const std::vector<Step::Use>& uses) {
    std::vector<NDArray> arrays;
    for (const auto& [key, memory] : uses) arrays.push_back(Array(memory, SizeOf(key)));
    return arrays;
  }
  static std::vector<NDArray*> Pointers(std::vector<NDArray>& arrays) {
    std::vector<NDArray*> pointers;
    for (NDArray& array : arrays) pointers.push_back(&array);
    return pointers;
  }
  void Compare(int memory, const Numbers& expected) {
    if (Memory(memory) == expected) return;
    std::string text = "memory " + std::to_string(memory) + " of worker " + std::to_string(rank_);
    for (size_t i = 0; i < expected.size(); ++i) {
      text += " " + std::to_string(Memory(memory)[i]) + "/" + std::to_string(expected[i]);
    }
    throw std::runtime_error(text + " (got/expected)");
  }

  KVStore& store_;
  const int rank_;
  std::vector<std::shared_ptr<Numbers>> memories_;
};

void RunProgram(Worker& worker, uint32_t seed, bool sums) {
  const int rank = worker.rank();
  Program program(worker.store(), rank);
  if (sums) worker.SetOptimizer(OptimizerSpec("sum"));
  Model model(worker.workers(), sums);
  int number = 0;
  for (const Step& step : MakeProgram(seed)) {
    model.Run(step);
    try {
      program.Run(step, model.Memory(rank, step.memory));
    } catch (const std::exception& error) {
      throw std::runtime_error("step " + std::to_string(number) + ": " + error.what());
    }
    ++number;
  }
  worker.store().WaitAll();
  for (int memory = 0; memory < kMemories; ++memory) {
    Step read;
    read.kind = Step::Kind::kRead;
    read.memory = memory;
    program.Run(read, model.Memory(rank, memory));
  }
}

}  // namespace

TEST_CASE("random programs read what they would read one call after the other", "[order]") {
  // Without an optimizer a pushed sum is the value, which takes rounds.
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const bool sums = seed % 2 == 0;
    OnEvery(sums ? StoreWithOneOrder : StoreWithRounds,
            [&](Worker& worker) { RunProgram(worker, seed, sums); });
  }
}

}  // namespace kvstore
