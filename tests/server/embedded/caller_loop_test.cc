#include "server/embedded/caller_loop.h"

#include <pthread.h>

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace kvstore {
namespace {

bool Blocked(int signal) {
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  return sigismember(&now, signal) == 1;
}

TEST_CASE("tasks of other threads run on the caller's, in order, until the end", "[embedded]") {
  CallerLoop loop;
  std::vector<int> ran;
  const auto caller = std::this_thread::get_id();
  bool elsewhere = false;
  std::thread other([&] {
    for (int n = 1; n <= 100; ++n) {
      loop.Post([&, n] {
        elsewhere |= std::this_thread::get_id() != caller;
        ran.push_back(n);
        if (n == 100) loop.End(absl::DataLossError("server 1 died"));
      });
    }
  });
  const absl::Status end = loop.Run();
  other.join();
  CHECK(end == absl::DataLossError("server 1 died"));
  CHECK_FALSE(elsewhere);
  REQUIRE(ran.size() == 100);
  for (int n = 1; n <= 100; ++n) CHECK(ran[static_cast<size_t>(n - 1)] == n);
}

TEST_CASE("the first end counts, and tasks behind it are dropped", "[embedded]") {
  bool ran = false;
  {
    CallerLoop loop;
    loop.End(absl::OkStatus());
    loop.End(absl::InternalError("late"));
    loop.Post([&] { ran = true; });
    CHECK(loop.Run().ok());
  }
  CHECK_FALSE(ran);
}

TEST_CASE("SIGTERM and SIGINT end the loop and leave the thread as it was", "[embedded]") {
  const int signal = GENERATE(SIGTERM, SIGINT);
  REQUIRE_FALSE(Blocked(signal));
  {
    CallerLoop loop;
    CHECK(Blocked(signal));
    loop.Post([signal] { pthread_kill(pthread_self(), signal); });
    CHECK(loop.Run().ok());
  }
  CHECK_FALSE(Blocked(signal));
}

}  // namespace
}  // namespace kvstore
