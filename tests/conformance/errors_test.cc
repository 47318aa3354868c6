// Wrong arguments: each is refused when the call is made, by name, with what was expected and what
// came, and the call has queued nothing.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

// Keys 1 and 2 of shape [2,3], full of ones; what the calls of a test are made with.
struct Arrays {
  explicit Arrays(Worker& worker) : store(worker.store()) { store.Init(Ints{1, 2}, {ones, ones}); }

  // The keys still have what Init gave them. All workers call it.
  void MustBeUntouched(Worker& worker) {
    MUST_EQUAL(worker.Value(1, Dims{2, 3}), Floats(6, 1));
    MUST_EQUAL(worker.Value(2, Dims{2, 3}), Floats(6, 1));
  }

  KVStore& store;
  NDArray ones = Filled(Dims{2, 3}, 1), good = Filled(Dims{2, 3}, 0);
  NDArray wrong_shape = Filled(Dims{3, 2}, -7), wrong_rank = Filled(6, -7);
  NDArray wrong_dtype{{2, 3}, DataType::kInt32};
};

}  // namespace

TEST_CASE("lists of different lengths are refused, empty ones are nothing", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    Arrays a(worker);
    KVStore& store = worker.store();
    MUST_THROW(store.Init(Ints{3}, {}), kInvalidArgument, "got 0 and 1");
    MUST_THROW(store.Push(Ints{1, 2}, {a.good}), kInvalidArgument, "as many values as keys");
    MUST_THROW(store.Push(Ints{}, {a.good}), kInvalidArgument, "got 1 and 0");
    MUST_THROW(store.Pull(Ints{1}, {&a.good, &a.good}), kInvalidArgument,
               "as many outputs as keys");
    MUST_THROW(store.PushPull(Ints{1}, {1}, {a.good}, {}), kInvalidArgument, "outputs");
    MUST_THROW(store.Broadcast(Ints{3}, {3}, {}, {&a.good}), kInvalidArgument, "values");
    MUST_THROW(store.PullRowSparse(Ints{1, 1}, {{&a.good, NDArray()}}), kInvalidArgument,
               "PullRowSparse: as many outputs as keys expected, got 1 and 2");
    store.Init(Ints{}, {});
    store.Push(Ints{}, {});
    store.Pull(Strings{}, {});
    store.PushPull(Ints{}, Ints{}, {}, {});
    store.Broadcast(Strings{}, Strings{}, {}, {});
    store.PullRowSparse(Ints{}, {});
    store.Wait(Ints{});
    a.MustBeUntouched(worker);
  });
}

TEST_CASE("int and string keys do not mix", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    Arrays a(worker);
    KVStore& store = worker.store();
    MUST_THROW(store.Init(Strings{"w"}, {a.ones}), kInvalidArgument, "mixed key types");
    MUST_THROW(store.Push(Strings{"1"}, {a.good}), kInvalidArgument, "mixed key types");
    MUST_THROW(store.Pull(Strings{"1"}, {&a.good}), kInvalidArgument, "got key '1'");
    MUST_THROW(store.PullRowSparse(Strings{"a"}, {{&a.good, NDArray()}}), kInvalidArgument,
               "mixed key types");
    MUST_THROW(store.Wait(Strings{"1"}), kInvalidArgument, "mixed key types");
    a.MustBeUntouched(worker);
  });
  OnEvery(Store, [](Worker& worker) {
    worker.store().Init(Strings{"1"}, {Array({1})});
    MUST_THROW(worker.store().Push(Ints{1}, {Array({1})}), kInvalidArgument,
               "string keys expected");
  });
}

TEST_CASE("keys that do not exist are not found", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    Arrays a(worker);
    KVStore& store = worker.store();
    NDArray rows = NDArray::RowSparse({2, 3});
    MUST_THROW(store.Push(Ints{1, 9}, {a.good, a.good}), kNotFound, "key 9 was never initialised");
    MUST_THROW(store.Pull(Ints{9}, {&a.good}), kNotFound, "key 9");
    MUST_THROW(store.PushPull(Ints{9}, {9}, {a.good}, {&a.good}), kNotFound, "key 9");
    MUST_THROW(store.PullRowSparse(Ints{9}, {{&rows, NDArray()}}), kNotFound, "key 9");
    MUST_THROW(store.Wait(Ints{9}), kNotFound, "key 9");
    MUST_EQUAL(store.status(9), "NOT_FOUND: key 9 was never initialised");
    try {
      store.Push(Ints{9}, {a.good});
    } catch (const Error& error) {
      MUST_EQUAL(error.key(), "9");
      MUST(error.definite());
    }
    a.MustBeUntouched(worker);
  });
}

TEST_CASE("other shapes and dtypes than Init's are refused and touch nothing", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    Arrays a(worker);
    KVStore& store = worker.store();
    MUST_THROW(store.Push(Ints{1, 2}, {a.good, a.wrong_shape}), kInvalidArgument,
               "key 2: shape [2,3] expected, got [3,2]");
    MUST_THROW(store.Push(Ints{1, 1}, {a.good, a.wrong_rank}), kInvalidArgument, "got [6]");
    MUST_THROW(store.Push(Ints{1}, {a.wrong_dtype}), kInvalidArgument,
               "key 1: dtype f32 expected, got i32");
    MUST_THROW(store.Push(Ints{1}, {NDArray()}), kInvalidArgument, "got an empty one");
    MUST_THROW(store.Push(Ints{1}, {NDArray::RowSparse({2, 4})}), kInvalidArgument,
               "key 1: shape [2,3] expected, got [2,4]");
    a.MustBeUntouched(worker);
    MUST_THROW(store.Pull(Ints{2, 1}, {&a.good, &a.wrong_shape}), kInvalidArgument,
               "key 1: shape [2,3] expected, got [3,2]");
    MUST_THROW(store.Pull(Ints{1}, {nullptr}), kInvalidArgument,
               "key 1: an output expected, got null");
    NDArray empty;
    MUST_THROW(store.Pull(Ints{1}, {&empty}), kInvalidArgument, "got an empty one");
    MUST_THROW(store.Pull(Ints{1}, {&a.wrong_dtype}), kInvalidArgument, "got i32");
    MUST_THROW(store.PushPull(Ints{1}, {1}, {a.good}, {&a.wrong_shape}), kInvalidArgument, "[3,2]");
    store.WaitAll();
    MUST_EQUAL(Read(a.wrong_shape), Floats(6, -7));
    MUST_EQUAL(Read(a.good), Floats(6, 0));
    a.MustBeUntouched(worker);
  });
}

TEST_CASE("key names are 1 to 256 bytes of a small alphabet and are shown escaped", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    const NDArray one = Array({1});
    const auto refused = [&](const std::string& name, const char* message) {
      MUST_THROW(store.Init(Strings{name}, {one}), kInvalidArgument, message);
    };
    refused("", "1 to 256 bytes expected, got 0");
    refused(std::string(257, 'x'), "got 257");
    refused(std::string(10240, 'x'), "got 10240");
    refused("a b", "0x20");
    refused("a\nb", "key 'a\\x0ab'");
    refused("\x1b[31m", "\\x1b");
    refused(std::string("a\0b", 3), "\\x00");
    MUST_THROW(store.Push(Strings{"a\x01"}, {one}), kNotFound, "key 'a\\x01'");
  });
}

TEST_CASE("an optimizer that is none is refused by name and changes nothing", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({1})});
    const auto refused = [&](const OptimizerSpec& spec, const std::string& message) {
      MUST_THROW(store.SetOptimizer(spec), kInvalidArgument, message);
    };
    refused(OptimizerSpec("sdg"), "sgd");  // lists those that there are
    refused(OptimizerSpec(""), "sgd");
    refused(OptimizerSpec("sgd").Set("learning_rates", 1), "learning_rates");
    refused(OptimizerSpec("sgd").Set("learning_rate", -1), "learning_rate");
    refused(OptimizerSpec("sgd").Set("learning_rate", std::nan("")), "learning_rate");
    store.Push(Ints{1}, {Array({2})});
    MUST_EQUAL(worker.Value(1, 1), Floats{1 + 2 * worker.all()});
  });
}

TEST_CASE("factors of keys are checked and named before anything is set", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Array({1})});
    const auto refused = [&](const OptimizerSpec& spec, const std::string& message) {
      MUST_THROW(store.SetOptimizer(spec), kInvalidArgument, message);
    };
    refused(OptimizerSpec("sgd").SetLrMult(1, -0.5),
            "key 1: lr_mult: a finite number >= 0 (within f32) expected, got -0.5");
    refused(OptimizerSpec("sgd").SetWdMult(2, std::nan("")), "key 2: wd_mult: ");
    refused(OptimizerSpec("sgd").Set("learning_rate", 3e38).SetLrMult(1, 100),
            "key 1: learning_rate * lr_mult: a finite number >= 0 (within f32) expected, got 3e+38 "
            "* 100");
    refused(OptimizerSpec("sgd").SetLrMult("w", 1), "mixed key types: int keys expected");
    refused(OptimizerSpec("sgd").SetLrMult(1, 1).SetWdMult("w", 1), "got both");
    OptimizerSpec many("sgd");
    for (int key = 0; key < 65537; ++key) many.SetLrMult(key, 2);
    refused(many, "multipliers of at most 65536 keys expected, got 65537");
    store.Push(Ints{1}, {Array({2})});
    MUST_EQUAL(worker.Value(1, 1), Floats{1 + 2 * worker.all()});
  });
  OnEvery(Store, [](Worker& worker) {
    MUST_THROW(worker.store().SetOptimizer(OptimizerSpec("sgd").SetLrMult("a b", 1)),
               kInvalidArgument, "key 'a b': ");
  });
}

TEST_CASE("an optimizer with factors refuses ints and bools by name, and other keys go on",
          "[errors]") {
  const auto dtype = GENERATE(DataType::kUInt8, DataType::kInt8, DataType::kInt32, DataType::kInt64,
                              DataType::kBool);
  OnEvery(Store, [&](Worker& worker) {
    KVStore& store = worker.store();
    const NDArray array({4}, dtype);
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    store.Init(Ints{3, 4}, {array, Array({0})});
    store.Push(Ints{3, 4}, {array, Array({1})});
    MUST_THROW(store.Wait(Ints{3}), kInvalidArgument,
               std::string("optimizer 'sgd': dtype f32, f64, f16 or bf16 expected, got ") +
                   DataTypeName(dtype));
    MUST_EQUAL(worker.Value(4, 1), Floats{-worker.all()});
  });
}

TEST_CASE("keys of a long call fail one by one, each by its name", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    Ints keys;
    std::vector<NDArray> zeros, pushed, pulled;
    const auto refused = [](int key) { return key % 40 == 7; };
    for (int key = 0; key < 300; ++key) {
      const DataType dtype = refused(key) ? DataType::kInt32 : DataType::kFloat32;
      keys.push_back(key);
      zeros.emplace_back(Dims{1}, dtype);
      pushed.push_back(refused(key) ? NDArray(Dims{1}, dtype) : Array({1}));
      pulled.emplace_back(Dims{1}, dtype);
    }
    std::vector<NDArray*> outputs;
    for (NDArray& output : pulled) outputs.push_back(&output);
    store.Init(keys, zeros);
    store.Push(keys, pushed);
    for (const int key : keys) {
      if (refused(key)) {
        std::string named;
        try {
          store.Wait(Ints{key});
        } catch (const Error& error) {
          named = std::string(ErrorCodeName(error.code())) + " " + error.key();
        }
        MUST_EQUAL(named, "INVALID_ARGUMENT " + std::to_string(key));
      }
      store.Wait(Ints{key});  // a failure is told once
    }
    worker.Settle();
    store.Pull(keys, outputs);
    store.WaitAll();
    for (const int key : keys) {
      if (refused(key)) continue;
      MUST_EQUAL(Read(pulled[static_cast<size_t>(key)]), Floats{-worker.all()});
    }
  });
}

TEST_CASE("a group of nodes has a positive number", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    MUST_THROW(worker.store().get_num_dead_node(0), kInvalidArgument, "got 0");
    MUST_THROW(worker.store().get_num_dead_node(-1), kInvalidArgument, "got -1");
  });
}

TEST_CASE("a worker's store runs no server", "[errors]") {
  OnEvery(Store, [](Worker& worker) {
    MUST_THROW(worker.store().RunServer([](int, const std::string&) {}), kFailedPrecondition,
               "role server");
  });
}

}  // namespace kvstore
