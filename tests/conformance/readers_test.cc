// What a reader beside the job of a dist store is promised, whatever the job's type.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>

#include "tests/conformance/store_under_test.h"

namespace kvstore {
namespace {

// Until the readers of rank 0 are through nobody pushes.
void Settled(Worker& worker) {
  worker.store().WaitAll();
  worker.store().Barrier();
}

}  // namespace

TEST_CASE("a reader pulls values that it has never initialised", "[reader]") {
  OnEvery(DistStore, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Filled(kSeveralParts, 1), Filled(Dims{2, 3}, 5)});
    store.Push(Ints{1, 2}, {Filled(kSeveralParts, 1), Filled(Dims{2, 3}, 2)});
    Settled(worker);
    const std::unique_ptr<KVStore> reader = worker.Reader();
    MUST_EQUAL(reader->get_rank(), -1);
    MUST_EQUAL(reader->get_group_size(), worker.workers());
    MUST_EQUAL(reader->Keys().size(), size_t{2});  // those of the job
    MUST(PullFrom(*reader, 1, kSeveralParts) == Floats(kSeveralParts, 1 + worker.all()));
    MUST(PullFrom(*reader, 2, Dims{2, 3}) == Floats(6, 5 + 2 * worker.all()));
    NDArray half({2, 3}, DataType::kFloat64);
    reader->Pull(Ints{2}, {&half});
    half.WaitToRead();
    MUST_EQUAL(half.data_as<double>()[5], 5 + 2.0 * worker.workers());
    MUST_EQUAL(reader->Keys().size(), size_t{2});
    const KeyInfo key = reader->Keys("2").at(0);
    MUST_EQUAL(key.shape, Dims{2, 3});
    MUST_EQUAL(reader->status(1), "OK");
    NDArray other({7});
    MUST_THROW(reader->Pull(Ints{2}, {&other}), kInvalidArgument, "key 2: shape [2,3] expected");
  });
}

TEST_CASE("workers and readers list the same keys", "[reader][keys]") {
  OnEvery(DistStore, [](Worker& worker) {
    KVStore& store = worker.store();
    const auto names = [](const KVStore& asks, const std::string& prefix = "") {
      std::string text;
      for (const KeyInfo& key : asks.Keys(prefix)) {
        text += key.name + (key.storage == StorageType::kRowSparse ? " rows;" : ";");
      }
      return text;
    };
    store.Barrier();
    const std::unique_ptr<KVStore> reader = worker.Reader();
    MUST_EQUAL(names(*reader), "");
    store.Barrier();
    store.Init(Strings{"b", "a.w", "a.v"},
               {Filled(kSeveralParts, 1), Filled(3, 1), RowArray({300000, 2}, {})});
    for (const KVStore* const each : {reader.get(), &store}) {
      MUST_EQUAL(names(*each), "a.v rows;a.w;b;");
      MUST_EQUAL(names(*each, "a."), "a.v rows;a.w;");
      const KeyInfo key = each->Keys("b").at(0);
      MUST_EQUAL(key.shape, Dims{kSeveralParts});
      MUST(key.dtype == DataType::kFloat32);
    }
    Settled(worker);
    store.Delete(Strings{"a.v"});
    MUST_EQUAL(names(store), "a.w;b;");
    MUST_EQUAL(names(*reader), "a.w;b;");
  });
}

TEST_CASE("a reader pulls rows, those that are asked for", "[reader][rows]") {
  OnEvery(DistStore, [](Worker& worker) {
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    const Dims shape = {300000, 2};  // stripes
    store.Init(Ints{1}, {RowArray(shape, {{7, {1, 2}}})});
    store.Push(Ints{1}, {RowArray(shape, {{7, {1, 1}}, {299999, {3, 4}}})});
    Settled(worker);
    const std::unique_ptr<KVStore> reader = worker.Reader();
    const float n = worker.all();
    MUST(PullRows(*reader, 1, shape, Ids({7, 8, 299999})) ==
         RowMap{{7, {1 + n, 2 + n}}, {8, {0, 0}}, {299999, {3 * n, 4 * n}}});
  });
}

TEST_CASE("a reader pulls what compression has made of the pushes", "[reader][codec]") {
  for (const char* const type : {"2bit", "bf16"}) {
    OnEvery(DistStore, [type](Worker& worker) {
      KVStore& store = worker.store();
      std::vector<std::pair<std::string, std::string>> how = {{"type", type}, {"min_bytes", "0"}};
      if (type == std::string("bf16")) how.emplace_back("pull", "1");
      store.SetGradientCompression(how);
      worker.SetOptimizer(OptimizerSpec("sum"));
      store.Init(Ints{1}, {Filled(kSeveralParts, 1)});
      store.Push(Ints{1}, {Filled(kSeveralParts, 0.5F)});
      Settled(worker);
      const Floats value = PullFrom(store, 1, kSeveralParts);
      const std::unique_ptr<KVStore> reader = worker.Reader();
      MUST(PullFrom(*reader, 1, kSeveralParts) == value);
    });
  }
}

TEST_CASE("a reader may do nothing but read", "[reader][errors]") {
  OnEvery(DistStore, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(3, 1)});
    const std::unique_ptr<KVStore> reader = worker.Reader();
    const NDArray value = Filled(3, 1);
    NDArray out({3});
    const auto refused = [](const std::string& call) {
      return call + ": a worker expected, this store is a reader's";
    };
    MUST_THROW(reader->Init(Ints{2}, {value}), kFailedPrecondition, refused("Init"));
    MUST_THROW(reader->InitByRule(Ints{2}, {ValueByRule({3}, InitRule::Zeros())}),
               kFailedPrecondition, refused("InitByRule"));
    MUST_THROW(reader->Push(Ints{1}, {value}), kFailedPrecondition, refused("Push"));
    MUST_THROW(reader->PushPull(Ints{1}, Ints{1}, {value}, {&out}), kFailedPrecondition,
               refused("PushPull"));
    MUST_THROW(reader->Broadcast(Ints{2}, Ints{2}, {value}, {&out}), kFailedPrecondition,
               refused("Broadcast"));
    MUST_THROW(reader->Delete(Ints{1}), kFailedPrecondition, refused("Delete"));
    MUST_THROW(reader->Reset(Ints{1}), kFailedPrecondition, refused("Reset"));
    MUST_THROW(reader->SetOptimizer(OptimizerSpec("sum")), kFailedPrecondition,
               refused("SetOptimizer"));
    MUST_THROW(reader->SetOptimizerNumbers({{"wd", "0"}}, 1), kFailedPrecondition,
               refused("SetOptimizerNumbers"));
    MUST_THROW(reader->SetGradientCompression({{"type", "fp16"}}), kFailedPrecondition,
               refused("SetGradientCompression"));
    MUST_THROW(reader->SendCommandToServers(7, ""), kFailedPrecondition,
               refused("SendCommandToServers"));
    MUST_THROW(reader->SetServerProfilerCommand(KVStoreServerProfilerCommand::kState, "1"),
               kFailedPrecondition, refused("SetServerProfilerCommand"));
    MUST_THROW(reader->Barrier(), kFailedPrecondition, refused("Barrier"));
    MUST_THROW(reader->Step(), kFailedPrecondition, refused("Step"));
    MUST(PullFrom(*reader, 1, 3) == Floats(3, 1));
  });
}

TEST_CASE("readers come and go while workers train, and change no bit", "[reader]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    if (!worker.kind().dist()) return;
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
    float last = 0;
    for (int round = 1; round <= 6; ++round) {
      const std::unique_ptr<KVStore> reader = worker.Reader();
      store.Push(Ints{1}, {Filled(kSeveralParts, 1)});
      // Every part is a round's; a later pull is of no earlier one.
      const Floats seen = PullFrom(*reader, 1, kSeveralParts);
      for (const float element : seen) {
        const float at = element / worker.all();
        MUST(at == static_cast<float>(static_cast<int>(at)) && at <= static_cast<float>(round));
      }
      MUST(seen[0] >= last);
      last = seen[0];
      if (round % 2 == 0) reader->Leave();
      MUST_EQUAL(worker.Value(1, kSeveralParts),
                 Floats(kSeveralParts, static_cast<float>(round) * worker.all()));
    }
  });
}

TEST_CASE("a consistent pull gives every part of every key of one round, while workers train",
          "[reader]") {
  OnEvery(StoreWithRounds, [](Worker& worker) {
    if (!worker.kind().dist()) return;
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {Filled(kSeveralParts, 0), Filled(7, 0)});
    store.Barrier();
    std::thread reads;
    std::string wrong;
    if (worker.rank() == 0) {
      reads = std::thread([&] {
        try {
          const std::unique_ptr<KVStore> reader = worker.Reader();
          float last = 0;
          for (int i = 0; i < 10; ++i) {
            NDArray large({kSeveralParts}), small({7});
            reader->Pull(Ints{1, 2}, {&large, &small}, 0, true, /*consistent=*/true);
            const Floats seen = Read(large);
            const float at = seen[0];
            MUST(seen == Floats(kSeveralParts, at));
            MUST(Read(small) == Floats(7, at));
            MUST(at >= last);
            last = at;
          }
        } catch (const std::exception& error) {
          wrong = error.what();
        }
      });
    }
    for (int round = 1; round <= 12; ++round) {
      store.Push(Ints{1, 2}, {Filled(kSeveralParts, 1), Filled(7, 1)});
      // Of a worker such a pull is of its own pushes, as any.
      NDArray out({7});
      store.Pull(Ints{2}, {&out}, 0, true, /*consistent=*/true);
      MUST(Read(out) == Floats(7, static_cast<float>(round) * worker.all()));
    }
    if (reads.joinable()) reads.join();
    MUST_EQUAL(wrong, "");
  });
  OnEvery(StoreWithoutRounds, [](Worker& worker) {
    worker.store().Init(Ints{1}, {Filled(3, 1)});
    const std::unique_ptr<KVStore> reader = worker.Reader();
    NDArray out({3});
    MUST_THROW(reader->Pull(Ints{1}, {&out}, 0, true, true), kFailedPrecondition,
               "Pull: a store with rounds expected for consistent = true");
  });
}

TEST_CASE("a consistent pull of rows gives those of every key of one round, while workers train",
          "[reader][rows]") {
  const Dims shape = {300000, 2};  // stripes
  const Dims small = {9, 1};
  const RowMap pushed = {{7, {1, 1}}, {8, {1, 1}}, {150000, {1, 1}}, {299999, {1, 1}}};
  OnEvery(StoreWithRounds, [&](Worker& worker) {
    if (!worker.kind().dist()) return;
    KVStore& store = worker.store();
    worker.SetOptimizer(OptimizerSpec("sum"));
    store.Init(Ints{1, 2}, {RowArray(shape, {}), RowArray(small, {})});
    store.Barrier();
    std::thread reads;
    std::string wrong;
    if (worker.rank() == 0) {
      reads = std::thread([&] {
        try {
          const std::unique_ptr<KVStore> reader = worker.Reader();
          float last = 0;
          for (int i = 0; i < 10; ++i) {
            NDArray of_one = NDArray::RowSparse(shape), of_two = NDArray::RowSparse(small);
            reader->PullRowSparse(Ints{1, 2},
                                  {{&of_one, Ids({7, 9, 150000, 299999})}, {&of_two, Ids({3})}}, 0,
                                  /*consistent=*/true);
            const float at = RowsIn(of_two).at(3).at(0);
            MUST(RowsIn(of_one) ==
                 RowMap{{7, {at, at}}, {9, {0, 0}}, {150000, {at, at}}, {299999, {at, at}}});
            MUST(at >= last);
            last = at;
          }
        } catch (const std::exception& error) {
          wrong = error.what();
        }
      });
    }
    for (int round = 1; round <= 12; ++round) {
      store.Push(Ints{1, 2}, {RowArray(shape, pushed), RowArray(small, {{3, {1}}})});
      // Of a worker such a pull is of its own pushes, as any.
      NDArray out = NDArray::RowSparse(small);
      store.PullRowSparse(Ints{2}, {{&out, Ids({3})}}, 0, /*consistent=*/true);
      MUST(RowsIn(out) == RowMap{{3, {static_cast<float>(round) * worker.all()}}});
    }
    if (reads.joinable()) reads.join();
    MUST_EQUAL(wrong, "");
  });
  OnEvery(StoreWithoutRounds, [&](Worker& worker) {
    worker.store().Init(Ints{1}, {RowArray(small, {})});
    const std::unique_ptr<KVStore> reader = worker.Reader();
    NDArray out = NDArray::RowSparse(small);
    MUST_THROW(reader->PullRowSparse(Ints{1}, {{&out, Ids({3})}}, 0, true), kFailedPrecondition,
               "PullRowSparse: a store with rounds expected for consistent = true");
  });
}

TEST_CASE("a key that ends under a reader is not found once, and then learned anew", "[reader]") {
  OnEvery(DistStore, [](Worker& worker) {
    KVStore& store = worker.store();
    store.Init(Ints{1}, {Filled(3, 1)});
    const std::unique_ptr<KVStore> reader = worker.Reader();
    MUST(PullFrom(*reader, 1, 3) == Floats(3, 1));
    Settled(worker);
    store.Delete(Ints{1});
    store.Barrier();
    store.Init(Ints{1}, {Filled(5, 2)});
    store.Barrier();
    NDArray out({3});
    reader->Pull(Ints{1}, {&out});
    MUST_THROW(reader->Wait(Ints{1}), kNotFound, "key 1 was deleted");
    MUST(PullFrom(*reader, 1, 5) == Floats(5, 2));
    Settled(worker);
    store.Reset(Ints{1});
    store.Barrier();
    NDArray five({5});
    reader->Pull(Ints{1}, {&five});
    MUST_THROW(reader->Wait(Ints{1}), kNotFound, "key 1 was reset");
    MUST(PullFrom(*reader, 1, 5) == Floats(5, 2));
  });
}

}  // namespace kvstore
