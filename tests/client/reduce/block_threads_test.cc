// How threads share blocks: each is done once, and what goes wrong in one is said.
#include "client/reduce/block_threads.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <new>
#include <string>
#include <vector>

#include "common/base/mutex.h"

namespace kvstore {

TEST_CASE("every block is done once, in a seat that nothing else is done in", "[reduce]") {
  const size_t threads = GENERATE(1, 2, 3, 8);
  const size_t blocks = GENERATE(0, 1, 2, 7, 300);
  CAPTURE(threads, blocks);
  BlockThreads some(threads);
  REQUIRE(some.seats() == threads);
  for (int run = 0; run < 20; ++run) {
    std::vector<std::atomic<int>> done(blocks);
    std::vector<std::atomic<bool>> busy(threads);
    std::atomic<bool> alone{true};
    REQUIRE(some.Run(blocks,
                     [&](size_t block, size_t seat) {
                       if (seat >= threads || busy[seat].exchange(true)) alone = false;
                       ++done[block];
                       busy[seat] = false;
                       return absl::OkStatus();
                     })
                .ok());
    REQUIRE(alone);
    for (const std::atomic<int>& times : done) REQUIRE(times == 1);
  }
}

TEST_CASE("blocks are done at the same time", "[reduce]") {
  BlockThreads some(3);
  // Each waits for the two others.
  Mutex mutex;
  CondVar changed;
  int begun = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const absl::Status done = some.Run(3, [&](size_t, size_t) {
    MutexLock lock(mutex);
    ++begun;
    changed.NotifyAll();
    while (begun < 3) {
      if (!changed.WaitUntil(mutex, deadline)) return absl::DeadlineExceededError("alone");
    }
    return absl::OkStatus();
  });
  CHECK(done.ok());
}

TEST_CASE("the error of the first block that failed is returned, and the next run is whole",
          "[reduce]") {
  const size_t threads = GENERATE(1, 2, 8);
  CAPTURE(threads);
  BlockThreads some(threads);
  for (int run = 0; run < 50; ++run) {
    const absl::Status failed = some.Run(100, [&](size_t block, size_t) {
      return absl::InternalError("block " + std::to_string(block));
    });
    CHECK(failed == absl::InternalError("block 0"));
    std::atomic<int> done{0};
    CHECK(some.Run(100,
                   [&](size_t, size_t) {
                     ++done;
                     return absl::OkStatus();
                   })
              .ok());
    CHECK(done == 100);
  }
}

TEST_CASE("after an error no further block is begun", "[reduce]") {
  const size_t threads = GENERATE(1, 2, 8);
  CAPTURE(threads);
  BlockThreads some(threads);
  std::atomic<size_t> begun{0};
  const absl::Status failed = some.Run(100000, [&](size_t, size_t) {
    ++begun;
    return absl::InternalError("no");
  });
  CHECK(!failed.ok());
  CHECK(begun <= threads);
}

TEST_CASE("what a block throws is thrown to whoever called, and the next run is whole",
          "[reduce]") {
  const size_t threads = GENERATE(1, 2, 8);
  CAPTURE(threads);
  BlockThreads some(threads);
  for (int run = 0; run < 50; ++run) {
    const auto throws = [](size_t block, size_t) -> absl::Status {
      if (block == 5) throw std::bad_alloc();
      return absl::OkStatus();
    };
    CHECK_THROWS_AS(some.Run(40, throws), std::bad_alloc);
    CHECK(some.Run(40, [](size_t, size_t) { return absl::OkStatus(); }).ok());
  }
}

TEST_CASE("the number of threads is what was asked for, within bounds", "[reduce]") {
  CHECK(BlockThreads(5).seats() == 5);
  CHECK(BlockThreads(1000).seats() == BlockThreads::kThreadsMax);
  const size_t by_default = BlockThreads(0).seats();
  CHECK(by_default >= 1);
  CHECK(by_default <= BlockThreads::kThreadsByDefault);
}

}  // namespace kvstore
