// A node's session with the scheduler when it breaks and there is no memory at that moment. The
// loop and the transport are the test's own, so that nothing but the session itself can bring it
// back.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>

#include "common/membership/scheduler_session.h"
#include "tests/support/dialling.h"
#include "tests/support/failing_new.h"
#include "tests/support/manual_loop.h"

namespace kvstore {
namespace {

using testing::FailingNth;
using testing::ManualLoop;

// Every dial succeeds.
class CountingTransport final : public testing::DialOnlyTransport {
 public:
  std::unique_ptr<MessageStream> Dial(EventLoop&, const std::string&, const std::string&,
                                      StreamEvents events) override {
    auto stream = std::make_unique<testing::SilentStream>();
    last = std::move(events);
    ++dials;
    return stream;
  }

  StreamEvents last;  // of the last dial
  int dials = 0;
};

TEST_CASE("a session that breaks without memory is dialled again", "[membership][memory]") {
  const int fails = GENERATE(1, 2, 3, 5);
  bool failed = true;
  int failures = 0;
  for (int spared = 0; failed; ++spared) {
    CAPTURE(spared, fails);
    ManualLoop loop;
    CountingTransport transport;
    MembershipOptions options;
    options.redial_min_ms = 1;
    SchedulerSession session(&transport, &loop, "node0:7070", options,
                             [](const MembershipOutbox&) {});
    session.Start();
    REQUIRE(transport.dials == 1);
    const StreamEvents broken = transport.last;
    const absl::Status lost = absl::UnavailableError("connection lost");
    {
      const FailingNth failing(spared, fails);
      broken.on_closed(lost);
      failed = failing.failed() > 0;
    }
    while (transport.dials == 1 && !loop.idle()) loop.Next()();
    CHECK(transport.dials == 2);
    failures += failed ? 1 : 0;
    session.Stop();
  }
  CHECK(failures > 0);
}

}  // namespace
}  // namespace kvstore
