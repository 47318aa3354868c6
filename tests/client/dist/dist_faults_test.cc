// What the stores of a cluster promise when something goes wrong: nobody waits in silence, every
// error names who or what, and nothing is lost or counted twice.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "client/dist/dist_kvstore.h"
#include "common/transport/methods.h"
#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/expect_error.h"
#include "tests/support/meeting.h"
#include "tests/support/must.h"
#include "tests/support/row_arrays.h"

namespace kvstore {
namespace {

DistClusterOptions WithTimeout(DistClusterOptions options, int64_t operation_timeout_ms) {
  options.operation_timeout_ms = operation_timeout_ms;
  return options;
}

}  // namespace

TEST_CASE("streams that break in the middle of training change no bit", "[dist][faults]") {
  DistCluster cluster({2, 2, 2});
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    if (rank == 0) store.SetOptimizer(OptimizerSpec("sum"));
    store.Barrier();
    store.Init(Ints{1, 2}, {Filled(kSeveralParts, 0), Filled(5, 0)});
    for (int round = 1; round <= 5; ++round) {
      NDArray large({kSeveralParts}), small({5});
      const uint64_t before = cluster.network().messages();
      store.PushPull(Ints{1, 2}, Ints{1, 2}, {Filled(kSeveralParts, 1), Filled(5, 1)},
                     {&large, &small});
      // One server's streams break with all of it under way, the other's somewhere in between.
      cluster.network().BreakStreams(cluster.server_address(static_cast<size_t>(rank)));
      while (cluster.network().messages() < before + 2) std::this_thread::yield();
      cluster.network().BreakStreams(cluster.server_address(static_cast<size_t>(1 - rank)));
      if (Read(large) != Floats(kSeveralParts, 2.0f * static_cast<float>(round)) ||
          Read(small) != Floats(5, 2.0f * static_cast<float>(round))) {
        throw std::runtime_error("wrong sum in round " + std::to_string(round));
      }
    }
  }) == NothingThrown(2));
}

TEST_CASE("an overdue wait names the worker that is waited for, and goes on later",
          "[dist][faults]") {
  DistCluster cluster(WithTimeout({2, 1}, 300));
  Meeting meeting(2);
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.set_barrier_before_exit(false);
    store.Init(Ints{7}, {Filled(3, 0)});
    const NDArray value = Filled(3, 1);
    NDArray out({3});
    if (rank == 1) {
      meeting.Arrive();  // rank 0 has waited in vain
      store.PushPull(Ints{7}, Ints{7}, {value}, {&out});
    } else {
      store.PushPull(Ints{7}, Ints{7}, {value}, {&out});
      MUST_THROW(store.Wait(Ints{7}), kDeadlineExceeded, "PushPull of key 7");
      MUST_THROW(store.WaitAll(), kDeadlineExceeded, "worker 1 (node1:");
      MUST_THROW(out.WaitToRead(), kDeadlineExceeded, "worker 1 (node1:");
      MUST_THROW(value.WaitToWrite(), kDeadlineExceeded, "worker 1 (node1:");
      if (store.status(7) != "OK") throw std::runtime_error("a late operation is no failure");
      meeting.Arrive();
    }
    while (true) {  // the operation is alive
      try {
        store.Wait(Ints{7});
        break;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kDeadlineExceeded) throw;
      }
    }
    if (Read(out) != Floats{2, 2, 2}) throw std::runtime_error("wrong sum");
    meeting.Arrive();  // nobody leaves before the other has read
  }) == NothingThrown(2));
}

TEST_CASE("an overdue barrier names who is missing, and the next one goes on with it",
          "[dist][faults]") {
  DistCluster cluster(WithTimeout({2, 1}, 300));
  Meeting meeting(2);
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.set_barrier_before_exit(false);
    if (rank == 0) {
      MUST_THROW(store.Barrier(), kDeadlineExceeded, "worker 1 (node1:");
      MUST_THROW(store.Barrier(), kDeadlineExceeded, "worker 1 (node1:");
    }
    meeting.Arrive();
    while (true) {
      try {
        store.Barrier();
        break;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kDeadlineExceeded) throw;
      }
    }
    meeting.Arrive();
  }) == NothingThrown(2));
}

TEST_CASE("Init on another rank waits for rank 0 and names it", "[dist][faults]") {
  DistCluster cluster(WithTimeout({2, 1}, 300));
  Meeting meeting(2);
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.set_barrier_before_exit(false);
    if (rank == 1) {
      MUST_THROW(store.Init(Ints{1}, {NDArray()}), kDeadlineExceeded, "worker 0 (node0:");
      meeting.Arrive();
      while (true) {
        try {
          store.Wait(Ints{1});
          break;
        } catch (const Error& error) {
          if (error.code() != ErrorCode::kDeadlineExceeded) throw;
        }
      }
      NDArray out({kSeveralParts});
      store.Pull(Ints{1}, {&out});
      if (Read(out) != Floats(kSeveralParts, 4)) throw std::runtime_error("not rank 0's value");
    } else {
      meeting.Arrive();
      store.Init(Ints{1}, {Filled(kSeveralParts, 4)});
    }
    meeting.Arrive();
  }) == NothingThrown(2));
}

TEST_CASE("an Init that fails after its deadline leaves nothing of its key, and is told once",
          "[dist][faults]") {
  enum class Told { kByWait, kByPush, kByInit };
  const Told told = GENERATE(Told::kByWait, Told::kByPush, Told::kByInit);
  DistCluster cluster(WithTimeout({2, 1}, 300));
  Meeting meeting(2);
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    store.set_barrier_before_exit(false);
    if (rank == 0) {
      meeting.Arrive();  // rank 1 has given up
      store.Init(Ints{1}, {Filled(3, 4)});
    } else {
      MUST_THROW(store.Init(Ints{1}, {Filled(5, 0)}), kDeadlineExceeded, "worker 0 (node0:");
      MUST_THROW(store.Init(Ints{1}, {NDArray()}), kAlreadyExists, "key 1");  // it is under way
      meeting.Arrive();
      while (store.status(1) == "OK") std::this_thread::yield();
      const std::string failed = "key 1: shape [3] of f32 expected, got shape [5] of f32";
      switch (told) {
        case Told::kByWait:
          MUST_THROW(store.WaitAll(), kInvalidArgument, failed);
          break;
        case Told::kByPush:
          MUST_THROW(store.Push(Ints{1}, {Filled(5, 1)}), kInvalidArgument, failed);
          break;
        case Told::kByInit:
          MUST_THROW(store.Init(Ints{1}, {NDArray()}), kInvalidArgument, failed);
          break;
      }
      MUST_THROW(store.Push(Ints{1}, {Filled(5, 1)}), kNotFound, "key 1 was never initialised");
      store.Init(Ints{1}, {NDArray()});
      NDArray out({3});
      store.Pull(Ints{1}, {&out});
      if (Read(out) != Floats(3, 4)) throw std::runtime_error("not rank 0's value");
    }
    meeting.Arrive();
  }) == NothingThrown(2));
}

TEST_CASE("a worker whose program throws ends the job for the others, by name", "[dist][faults]") {
  DistCluster cluster({2, 1});
  Meeting meeting(2);
  const auto thrown = cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {Filled(3, 0)});
    meeting.Arrive();
    if (rank == 1) throw std::runtime_error("the training script fails");
    NDArray out({3});
    store.PushPull(Ints{1}, Ints{1}, {Filled(3, 1)}, {&out});
    try {
      store.WaitAll();
    } catch (const Error&) {
      // From now on every call says so.
      MUST_THROW(store.Push(Ints{1}, {Filled(3, 1)}), kFailedPrecondition, "worker 1 (node1:");
      MUST_THROW(store.Barrier(), kFailedPrecondition, "worker 1 (node1:");
      MUST_THROW(store.Init(Ints{2}, {Filled(3, 1)}), kFailedPrecondition, "worker 1 (node1:");
      throw;
    }
  });
  CHECK_THAT(thrown[0],
             Catch::StartsWith("FAILED_PRECONDITION") && Catch::Contains("worker 1 (node1:"));
  CHECK(thrown[1] == "the training script fails");
}

TEST_CASE("a worker that throws with its work under way frees its arrays before it is gone",
          "[dist][faults]") {
  DistCluster cluster({2, 1});
  Meeting meeting(2);
  std::atomic<int> freed{0};
  const auto thrown = cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
    if (rank == 0) {
      meeting.Arrive();
      return store.WaitAll();
    }
    // Freed as soon as the SDK lets go of it: AddressSanitizer sees whoever comes later.
    auto* bytes = new float[kSeveralParts]();
    NDArray value = NDArray::FromBlob(bytes, {kSeveralParts}, DataType::kFloat32, Context::Cpu(),
                                      [&](void* data) {
                                        delete[] static_cast<float*>(data);
                                        ++freed;
                                      });
    store.PushPull(Ints{1}, Ints{1}, {value}, {&value});
    value = NDArray();
    meeting.Arrive();
    throw std::runtime_error("fails");
  });
  CHECK(thrown[1] == "fails");
  CHECK(freed == 1);
}

TEST_CASE("a server that is gone ends the job with DATA_LOSS that names it", "[dist][faults]") {
  DistCluster cluster({2, 2, 1, /*lost_dead_ms=*/200});
  Meeting meeting(3);
  std::string name;
  std::thread killer([&] {
    meeting.Arrive();
    name = cluster.server_address(1);
    cluster.KillServer(1);
  });
  const auto thrown = cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(kSeveralParts, 0)});
    meeting.Arrive();
    NDArray out({kSeveralParts});
    while (true) {
      store.PushPull(Ints{1}, Ints{1}, {Filled(kSeveralParts, 1)}, {&out});
      store.WaitAll();
    }
  });
  killer.join();
  for (const std::string& what : thrown) {
    CHECK_THAT(what, Catch::StartsWith("DATA_LOSS") && Catch::Contains("server 1 (" + name));
  }
}

TEST_CASE("workers that name different types are refused by both names", "[dist][faults]") {
  DistCluster cluster({2, 1});
  // Whoever comes second is refused, and comes back with the other's type.
  std::vector<std::string> refused(2);
  std::vector<std::string> types = {"dist_sync", "dist_device_sync"};
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        cluster.Join(static_cast<int>(rank), types[rank]);
      } catch (const Error& error) {
        refused[rank] = error.what();
        cluster.Join(static_cast<int>(rank), types[1 - rank]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(refused[0].empty() != refused[1].empty());
  CHECK_THAT(refused[0] + refused[1], Catch::StartsWith("FAILED_PRECONDITION") &&
                                          Catch::Contains("dist_sync") &&
                                          Catch::Contains("dist_device_sync"));
}

TEST_CASE("names of one meaning are one type", "[dist][faults]") {
  DistCluster cluster({2, 1});
  std::thread other([&] { CHECK(cluster.Join(1, "dist")->type() == "dist"); });
  cluster.Join(0, "dist_sync");
  other.join();
}

TEST_CASE("a cluster that does not complete says who is missing", "[dist][faults]") {
  DistClusterOptions options{3, 1};
  options.connect_timeout_ms = 200;
  DistCluster cluster(options);
  CHECK_ERROR(cluster.Join(0), kDeadlineExceeded, "1 of 3 workers");
}

TEST_CASE("a job does not start when a worker cannot reach a server: all are told who and where",
          "[dist][faults]") {
  DistClusterOptions options{2, 2};
  options.connect_timeout_ms = 500;
  DistCluster cluster(options);
  const std::string far = cluster.server_address(1);
  cluster.network().SetUnreachable(far, true);
  for (const std::string& thrown : cluster.Run([](KVStore&, int) {})) {
    for (const char* worker : {"worker 0 (node0:", "worker 1 (node1:"}) {
      CHECK_THAT(thrown, Catch::Contains(worker));
    }
    CHECK_THAT(thrown, Catch::Contains("2 of 2 servers are there") &&
                           Catch::Contains(") cannot reach server 1 at " + far + " ("));
  }
}

TEST_CASE("a job starts as soon as the last worker reaches the last server", "[dist][faults]") {
  DistCluster cluster({1, 2});
  const std::string far = cluster.server_address(1);
  cluster.network().SetUnreachable(far, true);
  std::thread helper([&] {
    const auto asking = cluster.NewTransport();
    v1::ClusterStatus status;
    while (status.obstacles_size() == 0) {
      const auto reply =
          asking->CallUnary(cluster.scheduler_address(), kSchedulerStatusMethod, "", 20000);
      if (reply.ok()) status.ParseFromString(*reply);
    }
    cluster.network().SetUnreachable(far, false);
  });
  CHECK(cluster.Run([](KVStore& store, int) {
    store.Init(Ints{1, 2, 3, 4}, {Filled(3, 1), Filled(3, 1), Filled(3, 1), Filled(3, 1)});
  }) == NothingThrown(1));
  helper.join();
}

TEST_CASE("a scheduler that is not there is named", "[dist][faults]") {
  DistClusterOptions options{1, 1};
  options.connect_timeout_ms = 200;
  DistCluster cluster(options);
  cluster.StopScheduler();
  CHECK_ERROR(cluster.Join(0), kDeadlineExceeded, cluster.scheduler_address());
  const auto nowhere = MakeDistBackend(cluster.NewTransport(), Environment(), "dist");
  CHECK(nowhere.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(nowhere.status().message()), Catch::Contains("KVSTORE_SCHEDULER"));
  Environment server = cluster.WorkerEnvironment(0);
  server.role = NodeRole::kServerRole;
  const auto of_server = MakeDistBackend(cluster.NewTransport(), server, "dist");
  CHECK(of_server.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(of_server.status().message()), Catch::Contains("says server"));
}

TEST_CASE("a lost scheduler is named by what needs it, and data still flows", "[dist][faults]") {
  DistCluster cluster(WithTimeout({1, 1}, 300));
  CHECK(cluster.Run([&](KVStore& store, int) {
    store.Init(Ints{1}, {Filled(3, 0)});
    cluster.StopScheduler();
    NDArray out({3});
    store.PushPull(Ints{1}, Ints{1}, {Filled(3, 2)}, {&out});
    if (Read(out) != Floats{2, 2, 2}) throw std::runtime_error("data needs no scheduler");
    MUST_THROW(store.Barrier(), kDeadlineExceeded, cluster.scheduler_address());
    if (store.get_num_dead_node(kScheduler) != 1) throw std::runtime_error("it is dead");
    MUST_THROW(store.get_num_dead_node(kWorkerGroup), kUnavailable, cluster.scheduler_address());
    store.set_barrier_before_exit(false);
  }) == NothingThrown(1));
}

TEST_CASE("the output of a pull that fails has no rows rather than some", "[dist][rows][faults]") {
  const Dims shape = {10000, 64};
  const Floats eights(64, 8);
  DistCluster cluster({2, 2});
  Meeting queued(2);
  const auto thrown = cluster.Run([&](KVStore& store, int rank) {
    store.Init(Ints{1}, {NDArray::RowSparse(shape)});
    if (rank == 1) {
      queued.Arrive();
      throw std::runtime_error("gives up");
    }
    NDArray out = RowArray(shape, {{1, eights}});
    store.Push(Ints{1}, {out});
    store.PullRowSparse(Ints{1}, {{&out, Ids({1, 2})}});  // of a round that lacks rank 1
    queued.Arrive();
    MUST_THROW(out.WaitToRead(), kFailedPrecondition, "worker 1");
    MUST(out.indices().empty());
    MUST_EQUAL(out.bytes(), size_t{0});
  });
  CHECK(thrown == Strings{"", "gives up"});
}

}  // namespace kvstore
