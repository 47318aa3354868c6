// What the stores of one process promise (docs: kvstore semantics), dense.
#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <future>
#include <random>
#include <thread>

#include "client/base/fork_guard.h"
#include "kvstore/kvstore.h"
#include "tests/support/expect_error.h"
#include "tests/support/standard_error.h"

namespace kvstore {
namespace {

using Floats = std::vector<float>;

NDArray Array(const Floats& values) {
  NDArray array({static_cast<int64_t>(values.size())});
  std::memcpy(array.data(), values.data(), array.bytes());
  return array;
}
NDArray Filled(std::vector<int64_t> shape, float value) {
  NDArray array(std::move(shape));
  for (int64_t i = 0; i < array.size(); ++i) array.data_as<float>()[i] = value;
  return array;
}
Floats Read(const NDArray& array) {
  array.WaitToRead();
  return Floats(array.data_as<float>(), array.data_as<float>() + array.size());
}
Floats PullFrom(KVStore& store, int key, size_t elements) {
  NDArray out({static_cast<int64_t>(elements)});
  store.Pull(std::vector<int>{key}, {&out});
  return Read(out);
}

// A shape that is cut into three parts, the last one short.
constexpr int64_t kSeveralParts = (1 << 18) * 2 + 1001;

}  // namespace

TEST_CASE("every name of a local store makes one, in any case of letters", "[local]") {
  const auto type = GENERATE(as<std::string>(), "local", "local_update_cpu", "local_allreduce_cpu",
                             "device", "local_allreduce_device", "LOCAL", "Device");
  CAPTURE(type);
  const auto store = KVStore::CreateUnique(type);
  std::string lower = type;
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  CHECK(store->type() == lower);
  CHECK(store->get_rank() == 0);
  CHECK(store->get_group_size() == 1);
  CHECK(store->get_num_dead_node(kWorkerGroup) == 0);
  store->Init(std::vector<int>{3}, {Array({1, 2})});
  store->Push(std::vector<int>{3}, {Array({5, 7})});
  CHECK(PullFrom(*store, 3, 2) == Floats{5, 7});
  store->Barrier();
  store->Step();
  store->Leave();
  CHECK_ERROR(store->WaitAll(), kFailedPrecondition, "left");
}

TEST_CASE("Create gives what CreateUnique gives", "[local]") {
  std::unique_ptr<KVStore> store(KVStore::Create());
  CHECK(store->type() == "local");
}

TEST_CASE("double values stay double", "[local]") {
  const auto store = KVStore::CreateUnique();
  NDArray value({1}, DataType::kFloat64), more({1}, DataType::kFloat64),
      out({1}, DataType::kFloat64);
  value.data_as<double>()[0] = 1.0;
  more.data_as<double>()[0] = 1e-12;
  store->Init(std::vector<int>{1}, {value});
  store->Push(std::vector<int>{1, 1}, {value, more});
  store->Pull(std::vector<int>{1}, {&out});
  out.WaitToRead();
  CHECK(out.data_as<double>()[0] == 1.0 + 1e-12);
}

TEST_CASE("an array pulled into and then pushed is pushed after the pull", "[local]") {
  const auto store = KVStore::CreateUnique();
  NDArray x = Array({0});
  store->Init(std::vector<int>{1, 2}, {Array({1}), Array({0})});
  for (int i = 0; i < 100; ++i) {
    store->Push(std::vector<int>{1}, {Array({static_cast<float>(i)})});
    store->Pull(std::vector<int>{1}, {&x});
    store->Push(std::vector<int>{2}, {x});
    store->Pull(std::vector<int>{2}, {&x});
  }
  CHECK(Read(x) == Floats{99});
}

TEST_CASE("arrays over one pointer are ordered as one, also between stores", "[local]") {
  const auto one = KVStore::CreateUnique(), two = KVStore::CreateUnique("device");
  Floats bytes(4);
  NDArray a = NDArray::FromBlob(bytes.data(), {4}), b = NDArray::FromBlob(bytes.data(), {2, 2});
  one->Init(std::vector<int>{1}, {Filled({4}, 0)});
  two->Init(std::vector<int>{1}, {Filled({2, 2}, 0)});
  for (int i = 0; i < 50; ++i) {
    one->Push(std::vector<int>{1}, {Filled({4}, static_cast<float>(i))});
    one->Pull(std::vector<int>{1}, {&a});
    two->Push(std::vector<int>{1}, {b});
  }
  NDArray out({2, 2});
  two->Pull(std::vector<int>{1}, {&out});
  CHECK(Read(out) == Floats(4, 49));
}

TEST_CASE("an updater gets the merged value and the stored one", "[local][updater]") {
  const auto store = KVStore::CreateUnique();
  std::vector<int> keys;
  std::thread::id thread;
  store->Init(std::vector<int>{3}, {Array({1, 1})});
  store->set_updater([&](int key, const NDArray& merged, NDArray* stored) {
    keys.push_back(key);
    thread = std::this_thread::get_id();
    merged.WaitToRead();  // as updaters written for MXNet do
    stored->WaitToWrite();
    for (int64_t i = 0; i < merged.size(); ++i) {
      stored->data_as<float>()[i] += 2 * merged.data_as<float>()[i];
    }
  });
  const NDArray value = Array({1, 2});
  store->Push(std::vector<int>{3, 3}, {value, Array({10, 20})});
  store->Push(std::vector<int>{3}, {value});
  CHECK(PullFrom(*store, 3, 2) == Floats{1 + 22 + 2, 1 + 44 + 4});
  CHECK(keys == std::vector<int>{3, 3});
  CHECK(thread != std::this_thread::get_id());
  // The caller's array was lent, not changed.
  CHECK(Read(value) == Floats{1, 2});
}

TEST_CASE("an updater for string keys gets the names", "[local][updater]") {
  const auto store = KVStore::CreateUnique();
  std::string seen;
  store->Init(std::vector<std::string>{"conv1.weight"}, {Array({1})});
  store->set_updater([&](const std::string& key, const NDArray&, NDArray*) { seen = key; });
  store->Push(std::vector<std::string>{"conv1.weight"}, {Array({1})});
  store->WaitAll();
  CHECK(seen == "conv1.weight");
}

TEST_CASE("an updater for the other kind of keys is an error of the push", "[local][updater]") {
  const auto store = KVStore::CreateUnique();
  store->Init(std::vector<std::string>{"w"}, {Array({1})});
  store->set_updater([](int, const NDArray&, NDArray*) {});
  CHECK_ERROR(store->Push(std::vector<std::string>{"w"}, {Array({5})}), kFailedPrecondition,
              "key 'w': an updater for string keys expected");
  store->set_updater([](const std::string&, const NDArray& merged, NDArray* stored) {
    std::memcpy(stored->data(), merged.data(), merged.bytes());
  });
  store->Push(std::vector<std::string>{"w"}, {Array({5})});
  store->WaitAll();
}

TEST_CASE("an updater that is set later does not concern earlier pushes", "[local][updater]") {
  const auto store = KVStore::CreateUnique();
  std::promise<void> go;
  auto wait = go.get_future().share();
  store->Init(std::vector<int>{1}, {Array({0})});
  store->set_updater([wait](int, const NDArray& merged, NDArray* stored) {
    wait.wait();
    stored->data_as<float>()[0] += merged.data_as<float>()[0];
  });
  store->Push(std::vector<int>{1}, {Array({1})});
  store->Push(std::vector<int>{1}, {Array({1})});
  store->set_updater([](int, const NDArray& merged, NDArray* stored) {
    stored->data_as<float>()[0] *= merged.data_as<float>()[0];
  });
  store->Push(std::vector<int>{1}, {Array({10})});
  go.set_value();
  CHECK(PullFrom(*store, 1, 1) == Floats{20});
}

TEST_CASE("what an updater throws is the error of its key, once, and stays in its status",
          "[local][updater]") {
  const auto store = KVStore::CreateUnique();
  store->Init(std::vector<int>{1, 2}, {Array({1}), Array({2})});
  const int kind = GENERATE(0, 1, 2, 3, 4);
  store->set_updater([kind](int key, const NDArray&, NDArray*) {
    if (key != 1) return;
    if (kind == 0) throw std::runtime_error("no luck");
    if (kind == 1) throw Error(ErrorCode::kOutOfRange, "no luck");
    if (kind == 2) throw 42;
    if (kind == 3) throw std::bad_alloc();
    throw Error(ErrorCode{}, "no luck");
  });
  const NDArray grad = Array({5});
  store->Push(std::vector<int>{1, 2}, {grad, Array({6})});
  store->Wait(std::vector<int>{2});
  CHECK(store->status(2) == "OK");
  const char* text = kind == 2   ? "key 1: the updater threw something"
                     : kind == 3 ? "key 1: the updater threw std::bad_alloc"
                                 : "no luck";
  const int how = GENERATE(0, 1, 2, 3, 4);
  CAPTURE(kind, how);
  const auto ask = [&] {
    switch (how) {
      case 0:
        return store->Wait(std::vector<int>{2, 1});
      case 1:
        return store->WaitAll();
      case 2:
        return grad.WaitToWrite();
      case 3:
        grad.WaitToRead();
        while (store->status(1) == "OK") std::this_thread::yield();
        return store->Push(std::vector<int>{1}, {grad});
      default:
        while (store->status(1) == "OK") std::this_thread::yield();
        return store->Barrier();
    }
  };
  if (kind == 1) {
    CHECK_ERROR(ask(), kOutOfRange, text);
  } else {
    CHECK_ERROR(ask(), kUnknown, text);
  }
  // Once.
  store->WaitAll();
  grad.WaitToWrite();
  store->Barrier();
  CHECK_THAT(store->status(1), Catch::Contains("the updater threw"));
  // The store works on.
  store->Push(std::vector<int>{2}, {Array({6})});
  store->WaitAll();
}

TEST_CASE("what an updater wrote into a dense value before it threw stays", "[local][updater]") {
  const auto store = KVStore::CreateUnique();
  store->Init(std::vector<int>{1}, {Array({1, 2})});
  store->set_updater([](int, const NDArray&, NDArray* stored) {
    stored->data_as<float>()[1] = 4;
    throw std::runtime_error("enough");
  });
  store->Push(std::vector<int>{1}, {Array({5, 5})});
  CHECK_ERROR(store->Wait(std::vector<int>{1}), kUnknown, "key 1: the updater threw enough");
  CHECK(PullFrom(*store, 1, 2) == Floats{1, 4});
}

TEST_CASE("calls that wait are refused inside an updater, where they would wait for themselves",
          "[local][updater]") {
  const auto store = KVStore::CreateUnique();
  store->Init(std::vector<int>{1}, {Array({1})});
  store->set_updater([&](int, const NDArray&, NDArray*) { store->WaitAll(); });
  store->Push(std::vector<int>{1}, {Array({1})});
  CHECK_ERROR(store->WaitAll(), kFailedPrecondition, "made by an updater");
}

TEST_CASE("SetOptimizer runs the rules of the servers", "[local][optimizer]") {
  const auto store = KVStore::CreateUnique();
  store->Init(std::vector<int>{1}, {Array({1, 2})});
  store->SetOptimizer(OptimizerSpec("sum"));
  store->Push(std::vector<int>{1, 1}, {Array({1, 1}), Array({2, 2})});
  CHECK(PullFrom(*store, 1, 2) == Floats{4, 5});
  store->SetOptimizer(OptimizerSpec("test").Set("rescale_grad", 0.5));
  store->Push(std::vector<int>{1}, {Array({2, 4})});
  CHECK(PullFrom(*store, 1, 2) == Floats{5, 7});
  store->SetOptimizer(OptimizerSpec("assign"));
  store->Push(std::vector<int>{1}, {Array({8, 9})});
  CHECK(PullFrom(*store, 1, 2) == Floats{8, 9});
  CHECK_ERROR(store->SetOptimizer(OptimizerSpec("sdg")), kInvalidArgument, "sgd");
  CHECK_ERROR(store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rates", 1)), kInvalidArgument,
              "learning_rates");
  // A refused one changes nothing.
  store->Push(std::vector<int>{1}, {Array({1, 1})});
  CHECK(PullFrom(*store, 1, 2) == Floats{1, 1});
}

TEST_CASE("keys have their own factors of learning rate and weight decay", "[local][optimizer]") {
  const auto store = KVStore::CreateUnique();
  const std::vector<std::string> keys = {"weight", "bias", "frozen"};
  // A key may be named before it exists.
  store->SetOptimizer(OptimizerSpec("sgd")
                          .Set("learning_rate", 0.5)
                          .Set("wd", 0.25)
                          .SetLrMult("bias", 2)
                          .SetWdMult("bias", 0)
                          .SetLrMult("frozen", 0));
  store->Init(keys, {Array({8}), Array({8}), Array({8})});
  store->Push(keys, {Array({1}), Array({1}), Array({1})});
  NDArray weight({1}), bias({1}), frozen({1});
  store->Pull(keys, {&weight, &bias, &frozen});
  CHECK(Read(weight) == Floats{8 - 0.5f * (1 + 0.25f * 8)});
  CHECK(Read(bias) == Floats{8 - 1.0f * 1});
  CHECK(Read(frozen) == Floats{8});

  const auto ints = KVStore::CreateUnique();
  ints->Init(std::vector<int>{-3, 4}, {Array({8}), Array({8})});
  ints->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).SetLrMult(-3, 4));
  ints->Push(std::vector<int>{-3, 4}, {Array({1}), Array({1})});
  CHECK(PullFrom(*ints, -3, 1) == Floats{6});
  CHECK(PullFrom(*ints, 4, 1) == Floats{7.5});
}

TEST_CASE("sgd keeps a momentum per part over pushes", "[local][optimizer]") {
  const int64_t elements = GENERATE(int64_t{3}, kSeveralParts);
  const auto store = KVStore::CreateUnique();
  store->Init(std::vector<int>{1}, {Filled({elements}, 1)});
  store->SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 0.5).Set("momentum", 0.25));
  const NDArray grad = Filled({elements}, 2);
  for (int i = 0; i < 3; ++i) store->Push(std::vector<int>{1}, {grad});
  // m = 0.25 m - 0.5 * 2; w = w + m, exact in binary.
  float w = 1, m = 0;
  for (int i = 0; i < 3; ++i) {
    m = 0.25f * m - 1.0f;
    w += m;
  }
  CHECK(PullFrom(*store, 1, static_cast<size_t>(elements)) ==
        Floats(static_cast<size_t>(elements), w));
}

TEST_CASE("updater and optimizer may take turns on a value of many parts", "[local][optimizer]") {
  const auto store = KVStore::CreateUnique();
  const KVStore::Updater add = [](int, const NDArray& merged, NDArray* stored) {
    for (int64_t i = 0; i < merged.size(); ++i) {
      stored->data_as<float>()[i] += merged.data_as<float>()[i];
    }
  };
  store->Init(std::vector<int>{1}, {Filled({kSeveralParts}, 1)});
  for (int i = 0; i < 2; ++i) {
    store->set_updater(add);
    store->Push(std::vector<int>{1, 1}, {Filled({kSeveralParts}, 1), Filled({kSeveralParts}, 2)});
    store->SetOptimizer(OptimizerSpec("sum"));
    store->Push(std::vector<int>{1}, {Filled({kSeveralParts}, 4)});
  }
  CHECK(PullFrom(*store, 1, kSeveralParts) == Floats(kSeveralParts, 15));
}

TEST_CASE("several threads may use one store", "[local]") {
  const auto store = KVStore::CreateUnique();
  store->SetOptimizer(OptimizerSpec("sum"));
  store->Init(std::vector<int>{0, 1, 2}, {Array({0}), Array({0}), Array({0})});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      NDArray out({1});
      for (int i = 0; i < 100; ++i) {
        store->Push(std::vector<int>{0, 1, 2}, {Array({1}), Array({2}), Array({3})}, t);
        store->Pull(std::vector<int>{i % 3}, {&out});
        if (i % 10 == 0) out.WaitToRead();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(PullFrom(*store, 0, 1) == Floats{400});
  CHECK(PullFrom(*store, 1, 1) == Floats{800});
  CHECK(PullFrom(*store, 2, 1) == Floats{1200});
}

TEST_CASE("a store that is destroyed finishes its work first", "[local]") {
  NDArray out({1});
  {
    const auto store = KVStore::CreateUnique();
    store->Init(std::vector<int>{1}, {Array({0})});
    for (int i = 0; i < 100; ++i)
      store->Push(std::vector<int>{1}, {Array({static_cast<float>(i)})});
    store->Pull(std::vector<int>{1}, {&out});
  }
  CHECK(Read(out) == Floats{99});
}

TEST_CASE("errors that nobody asked for are logged when the store is destroyed", "[local]") {
  const bool unwinds = GENERATE(false, true);
  CAPTURE(unwinds);
  const std::string log = StandardErrorOf([&] {
    const auto store = KVStore::CreateUnique();
    store->Init(std::vector<int>{1, 2}, {Array({0}), Array({0})});
    store->set_updater([](int, const NDArray&, NDArray*) { throw std::runtime_error("no luck"); });
    store->Push(std::vector<int>{1, 2}, {Array({1}), Array({1})});
    for (const int key : {1, 2}) {
      while (store->status(key) == "OK") std::this_thread::yield();
    }
    if (unwinds) throw std::runtime_error("the training script fails");
  });
  CHECK_THAT(log, Catch::Contains("UNKNOWN: key 1: the updater threw no luck"));
  CHECK_THAT(log, Catch::Contains("UNKNOWN: key 2: the updater threw no luck"));
}

TEST_CASE("a store destroyed while an exception unwinds does not wait for its queue", "[local]") {
  NDArray out({1});
  std::promise<void> entered, go;
  auto wait = go.get_future().share();
  try {
    const auto store = KVStore::CreateUnique();
    store->Init(std::vector<int>{1}, {Array({0})});
    store->set_updater([&](int, const NDArray&, NDArray*) {
      entered.set_value();
      wait.wait();
    });
    store->Push(std::vector<int>{1}, {Array({1})});
    store->Pull(std::vector<int>{1}, {&out});
    entered.get_future().wait();
    go.set_value();
    throw std::runtime_error("the training script fails");
  } catch (const std::runtime_error&) {
  }
  // The pull either came to its end or was called off; it does not touch the array any more.
  try {
    out.WaitToRead();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCancelled);
  }
}

}  // namespace kvstore
