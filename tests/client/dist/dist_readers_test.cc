// Readers of a cluster when something is not there yet, or ends.
#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/meeting.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

Environment ReaderEnvironment(const DistCluster& cluster) {
  Environment environment = cluster.WorkerEnvironment(-1);
  environment.role = NodeRole::kReaderRole;
  return environment;
}

}  // namespace

TEST_CASE("a reader that comes first waits until the job has begun", "[dist][reader]") {
  DistCluster cluster({2, 1});
  Floats value;
  std::thread reader([&] {
    const auto store = cluster.JoinAsReader();
    value = PullFrom(*store, 1, 3);  // which nobody has initialised yet
  });
  Meeting meeting(2);
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Barrier();
    store.Init(Ints{1}, {Filled(3, 4)});
    if (rank == 0) reader.join();
    meeting.Arrive();
  }) == NothingThrown(2));
  CHECK(value == Floats(3, 4));
}

TEST_CASE("a reader without a job says for what it has waited", "[dist][reader]") {
  DistClusterOptions options;
  options.workers = 2;
  options.connect_timeout_ms = 300;
  DistCluster cluster(options);
  CHECK_ERROR(cluster.JoinAsReader(), kDeadlineExceeded,
              "no job for this reader has begun at scheduler");
  CHECK_ERROR(cluster.JoinAsReader(), kDeadlineExceeded,
              "0 of 2 workers and 1 of 1 servers are there");
}

TEST_CASE("a reader that names another type than the job is refused", "[dist][reader]") {
  DistCluster cluster({1, 1});
  CHECK(cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(3, 4)});
    try {
      cluster.JoinAsReader("dist_async");
      throw std::runtime_error("it was let in");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kFailedPrecondition);
      CHECK_THAT(error.what(), Catch::Contains("store type 'dist_async': job 1 is of type "
                                               "'dist_sync', and a reader must agree"));
    }
  }) == NothingThrown(1));
}

TEST_CASE("a reader's pull of a key that nobody makes ends at its deadline, and goes on later",
          "[dist][reader]") {
  DistCluster cluster({1, 1});
  CHECK(cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(3, 4)});
    Environment environment = ReaderEnvironment(cluster);
    environment.operation_timeout_ms = 200;
    const auto reader = cluster.JoinAs(environment, "dist_sync");
    NDArray out({2});
    try {
      reader->Pull(Ints{9}, {&out});
      throw std::runtime_error("there is a key 9");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kDeadlineExceeded);
      CHECK_THAT(error.what(), Catch::Contains("the first pull of key 9 is not done after ") &&
                                   Catch::Contains("it waits for worker 0 (node0:"));
    }
    store.Init(Ints{9}, {Filled(2, 7)});
    CHECK(PullFrom(*reader, 9, 2) == Floats(2, 7));
  }) == NothingThrown(1));
}

TEST_CASE("the end of the job is told to its readers, which may outlive it", "[dist][reader]") {
  DistCluster cluster({2, 2});
  std::unique_ptr<KVStore> reader;
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {Filled(3, 4)});
    if (rank == 1) {
      reader = cluster.JoinAsReader();
      CHECK(PullFrom(*reader, 1, 3) == Floats(3, 4));
    }
  }) == NothingThrown(2));
  NDArray out({3});
  const auto pull = [&] {
    while (true) {  // until the news has come
      reader->Pull(Ints{1}, {&out});
      reader->Wait(Ints{1});
    }
  };
  CHECK_ERROR(pull(), kFailedPrecondition, "the job is over: every worker left");
  reader.reset();
  // It was in nobody's way: the next job forms.
  CHECK(cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(3, 5)});
    CHECK(PullFrom(*cluster.JoinAsReader(), 1, 3) == Floats(3, 5));
  }) == NothingThrown(2));
}

TEST_CASE("a reader goes on over streams that break", "[dist][reader]") {
  DistCluster cluster({1, 2, 2});
  CHECK(cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(kSeveralParts, 4)});
    const auto reader = cluster.JoinAsReader();
    for (int i = 0; i < 4; ++i) {
      NDArray out({kSeveralParts});
      const uint64_t before = cluster.network().messages();
      reader->Pull(Ints{1}, {&out});
      cluster.network().BreakStreams(cluster.server_address(static_cast<size_t>(i % 2)));
      out.WaitToRead();
      CHECK(Read(out) == Floats(kSeveralParts, 4));
      CHECK(cluster.network().messages() > before);
    }
  }) == NothingThrown(1));
}

TEST_CASE("a consistent pull of keys that are pushed unequally often names who is waited for",
          "[dist][reader]") {
  DistCluster cluster({2, 1});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1, 2}, {Filled(3, 0), Filled(3, 0)});
    store.Push(Ints{1}, {Filled(3, 1)});
    store.WaitAll();
    store.Barrier();
    if (rank == 0) {
      Environment environment = ReaderEnvironment(cluster);
      environment.operation_timeout_ms = 200;
      const auto reader = cluster.JoinAs(environment, "dist_sync");
      NDArray one = Filled(3, -1), two = Filled(3, -1);
      reader->Pull(Ints{1, 2}, {&one, &two}, 0, true, true);
      try {
        reader->WaitAll();
        throw std::runtime_error("they are of one round");
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kDeadlineExceeded);
        CHECK_THAT(error.what(), Catch::Contains("Pull at one round of key 1 is not") &&
                                     Catch::Contains("it waits for worker 0 (node0:") &&
                                     Catch::Contains("worker 1 (node1:"));
      }
      store.Barrier();
      store.Push(Ints{2}, {Filled(3, 1)});  // then it comes
      CHECK(Read(one) == Floats(3, 2));
      CHECK(Read(two) == Floats(3, 2));
    } else {
      store.Barrier();
      store.Push(Ints{2}, {Filled(3, 1)});
    }
  }) == NothingThrown(2));
}

TEST_CASE("a consistent pull of rows that fails leaves no row, and says what of",
          "[dist][reader]") {
  DistCluster cluster({1, 2});
  CHECK(cluster.Run([&](KVStore& store, int) {
    const Dims shape = {300000, 2};
    const NDArray numbers({2}, DataType::kInt64);
    numbers.data_as<int64_t>()[0] = 299999;
    numbers.data_as<int64_t>()[1] = 300000;
    store.Init(Ints{1, 2, 3},
               {RowArray(shape, {{7, {1, 2}}}), RowArray(shape, {{8, {3, 4}}}), numbers});
    const auto reader = cluster.JoinAsReader();
    NDArray one = RowArray(shape, {{5, {5, 5}}}), two = RowArray(shape, {{5, {5, 5}}});
    const auto pull = [&](const NDArray& of_one, const NDArray& of_two) {
      reader->PullRowSparse(Ints{1, 2}, {{&one, of_one}, {&two, of_two}}, 0, true);
    };
    const auto expect = [&](const RowMap& first, const RowMap& second) {
      CHECK(RowsIn(one) == first);
      CHECK(RowsIn(two) == second);
    };
    pull(Ids({7, 299999}), Ids({8}));
    expect({{7, {1, 2}}, {299999, {0, 0}}}, {{8, {3, 4}}});
    pull(Ids({}), NDArray());
    expect({}, {});
    // Ids that are still being pulled when the call is made, and of which one is no row: nothing
    // has happened.
    pull(Ids({7}), Ids({8}));
    NDArray late({2}, DataType::kInt64);
    reader->Pull(Ints{3}, {&late});
    CHECK_ERROR((pull(Ids({9}), late), two.WaitToRead()), kOutOfRange,
                "key 2: row ids from 0 to 299999 expected, got 300000");
    expect({{7, {1, 2}}}, {{8, {3, 4}}});
    // A key that is gone.
    store.Delete(Ints{2});
    pull(Ids({7}), Ids({8}));
    CHECK_ERROR(reader->Wait(Ints{2}), kNotFound, "key 2 was deleted");
    expect({}, {});
    store.Init(Ints{2}, {RowArray(shape, {{8, {5, 6}}})});
    pull(Ids({7}), Ids({8}));
    expect({{7, {1, 2}}}, {{8, {5, 6}}});
  }) == NothingThrown(1));
}

TEST_CASE("a list of keys has all of them, however many there are", "[dist][reader][keys]") {
  DistCluster cluster({2, 2, 2});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    Ints keys;
    std::vector<NDArray> values;
    for (int key = 0; key < 2500; ++key) {
      keys.push_back(key);
      values.push_back(Filled(1, 1));
    }
    keys.push_back(-1);
    values.push_back(Filled(kSeveralParts, 1));
    store.Init(keys, values);
    const auto check = [](const KVStore& asks) {
      const std::vector<KeyInfo> listed = asks.Keys();
      REQUIRE(listed.size() == 2501);
      CHECK(listed[0].name == "-1");
      CHECK(listed[0].shape == Dims{kSeveralParts});
      for (size_t i = 1; i < listed.size(); ++i) REQUIRE(listed[i].name == std::to_string(i - 1));
      CHECK(asks.Keys("12").size() == 111);  // 12, 12x, 12xx
    };
    check(store);
    if (rank == 0) check(*cluster.JoinAsReader());
    store.Barrier();
  }) == NothingThrown(2));
}

TEST_CASE("a list of keys names the server that does not answer", "[dist][reader][keys]") {
  DistClusterOptions options;
  options.servers = 2;
  options.lost_dead_ms = 3000;
  DistCluster cluster(options);
  std::unique_ptr<KVStore> reader;
  const auto thrown = cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(3, 4)});
    Environment environment = ReaderEnvironment(cluster);
    environment.operation_timeout_ms = 300;
    reader = cluster.JoinAs(environment, "dist_sync");
    CHECK(reader->Keys().size() == 1);
    const std::string address = cluster.server_address(1);
    cluster.KillServer(1);
    CHECK_ERROR(reader->Keys(), kDeadlineExceeded,
                "Keys is not done after 300 ms: it waits for server");
    CHECK_ERROR(reader->Keys(), kDeadlineExceeded, address);
  });
  CHECK_THAT(thrown.at(0), Catch::Contains("died") || Catch::Equals(""));
}

TEST_CASE("many readers pull at once from many threads", "[dist][reader]") {
  DistCluster cluster({1, 1});
  CHECK(cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1, 2, 3}, {Filled(5, 1), Filled(5, 2), Filled(5, 3)});
    const auto reader = cluster.JoinAsReader();
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        const auto own = cluster.JoinAsReader();
        for (KVStore* const each : {reader.get(), own.get()}) {
          const int key = 1 + t % 3;
          CHECK(PullFrom(*each, key, 5) == Floats(5, static_cast<float>(key)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }) == NothingThrown(1));
}

}  // namespace kvstore
