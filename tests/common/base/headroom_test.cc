// What the system is asked for, and does not give.
#include "common/base/headroom.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <fstream>
#include <new>
#include <thread>
#include <vector>

namespace kvstore {
namespace {

// The addresses that this process has taken.
size_t TakenBytes() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

bool Fits(size_t bytes) {
  try {
    LeaveHeadroom(bytes);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace

TEST_CASE("whoever asks for memory at the same moment does not find it taken by the questions",
          "[base][memory]") {
  constexpr size_t kGib = size_t{1} << 30;
  constexpr size_t kAskedBytes = 8 * kGib;
  constexpr int kThreads = 4;
  constexpr int kQuestions = 2000;
  KeepHeadroom();
  // Room for one question, and for what the threads take besides, but not for two questions.
  rlimit before = {};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  rlimit scarce = before;
  scarce.rlim_cur = TakenBytes() + kAskedBytes + 3 * kGib;
  REQUIRE(scarce.rlim_cur <= before.rlim_max);
  std::atomic<int> refused{0};
  REQUIRE(setrlimit(RLIMIT_AS, &scarce) == 0);
  const bool two_fit = Fits(2 * kAskedBytes);
  {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&refused] {
        for (int i = 0; i < kQuestions; ++i) refused += Fits(kAskedBytes) ? 0 : 1;
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
  CHECK_FALSE(two_fit);
  CHECK(refused == 0);
}

}  // namespace kvstore
