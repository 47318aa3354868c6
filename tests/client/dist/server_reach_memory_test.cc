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
    const std::string near = f.StartServer(), far = f.StartServer();
    f.network().SetUnreachable(far, true);
    // Begun with memory: what begins it is tried again by its caller.
    f.Try({{0, near}, {1, far}}, &hearing);
    const FailingNth failing(kReachLoop, spared, fails);
    CHECK_THAT(std::string(hearing.Await(0).message()),
               Catch::StartsWith("cannot reach server 1 at " + far + " ("));
    f.network().SetUnreachable(far, false);
    CHECK(hearing.Await(1).ok());
    CHECK(hearing.count() == 2);
    failed = failing.failed() > 0;
  }
  CHECK(spared > 10);
}

}  // namespace
}  // namespace kvstore
