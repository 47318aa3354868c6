// The way to the servers without memory: each allocation on the worker's loop fails in turn.
#include "tests/client/dist/server_reach_fixture.h"
#include "tests/support/failing_new.h"

namespace kvstore {
namespace {

using testing::FailingNth;

TEST_CASE("a server is found lost and found again whichever allocation fails",
          "[dist][reach][memory]") {
  const int fails = GENERATE(1, 3);
  int spared = 0;
  for (bool failed = true; failed; ++spared) {
    CAPTURE(spared, fails);
    Hearing hearing;
    ReachFixture f;
    const std::string near = f.StartServer(), far = f.StartServer(), farther = f.StartServer();
    f.network().SetUnreachable(far, true);
    f.network().SetUnreachable(farther, true);
    f.Try({{0, near}, {1, far}, {2, farther}}, &hearing);
    const FailingNth failing(kReachLoop, spared, fails);
    size_t told = 0;
    CHECK_THAT(std::string(hearing.Await(told++).message()),
               Catch::StartsWith("cannot reach server 1 at " + far + " ("));
    f.network().SetUnreachable(far, false);
    // However often the one was dialled for want of memory, it counts once: the other is missing.
    const std::string only_farther = "cannot reach server 2 at " + farther + " (";
    std::string message;
    while (message.rfind(only_farther, 0) != 0) {
      const absl::Status status = hearing.Await(told++);
      REQUIRE_FALSE(status.ok());
      message = std::string(status.message());
    }
    f.network().SetUnreachable(farther, false);
    CHECK(hearing.Await(told).ok());
    CHECK(hearing.count() == told + 1);
    failed = failing.failed() > 0;
  }
  CHECK(spared > 10);
}

}  // namespace
}  // namespace kvstore
