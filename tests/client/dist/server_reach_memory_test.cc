// The way to the servers without memory: each allocation of each event of the attempt fails in
// turn. The loop and the network are the test's own, so that one thread does everything. Try itself
// is not tested: its caller calls it again.
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/dist/server_reach.h"
#include "tests/support/dialling.h"
#include "tests/support/failing_new.h"
#include "tests/support/manual_loop.h"

namespace kvstore {
namespace {

using testing::FailingNth;
using testing::ManualLoop;

// Dials succeed or fail in the loop's next task, as `unreachable` has it then.
class Network final : public testing::DialOnlyTransport {
 public:
  explicit Network(ManualLoop* loop) : loop_(loop) {}

  std::unique_ptr<MessageStream> Dial(EventLoop&, const std::string& address, const std::string&,
                                      StreamEvents events) override {
    auto stream = std::make_unique<testing::SilentStream>();
    loop_->Post([this, address, events = std::move(events)] {
      if (unreachable.count(address) == 0) return events.on_open();
      events.on_closed(no_way_);
    });
    return stream;
  }

  std::set<std::string> unreachable;

 private:
  ManualLoop* const loop_;
  const absl::Status no_way_ = absl::UnavailableError("no way");
};

// In which step of the loop the allocations behind the first `spared` fail, `fails` of them.
struct Plan {
  int step = -1;
  int spared = 0;
  int fails = 0;
};

struct Outcome {
  std::vector<std::string> told;
  int steps = 0;
  bool failed = false;
};

constexpr char kOk[] = "OK";

// Of three servers two cannot be reached, then one, then all can.
Outcome Run(const Plan& plan) {
  ManualLoop loop;
  Network network(&loop);
  network.unreachable = {"b:1", "c:1"};
  ServerReach reach(&network, &loop, {/*redial_ms=*/5, /*patience_ms=*/10000});
  Outcome outcome;
  reach.Try({{0, "a:1"}, {1, "b:1"}, {2, "c:1"}}, [&outcome](const absl::Status& status) {
    const testing::SparedThread spared;
    outcome.told.emplace_back(status.ok() ? kOk : std::string(status.message()));
  });
  const auto run_until = [&](size_t told) {
    while (outcome.told.size() < told) {
      REQUIRE(outcome.steps < 100);
      REQUIRE_FALSE(loop.idle());
      const std::function<void()> step = loop.Next();
      if (outcome.steps++ != plan.step) {
        step();
        continue;
      }
      const FailingNth failing(plan.spared, plan.fails);
      step();
      outcome.failed = failing.failed() > 0;
    }
  };
  run_until(2);
  network.unreachable.erase("b:1");
  run_until(3);
  network.unreachable.clear();
  run_until(4);
  return outcome;
}

}  // namespace

TEST_CASE("a server is found lost and found again, once, whichever allocation fails",
          "[dist][reach][memory]") {
  const int fails = GENERATE(1, 3);
  const Outcome undisturbed = Run({});
  CHECK(undisturbed.told ==
        std::vector<std::string>{"cannot reach server 1 at b:1 (no way)",
                                 "cannot reach server 1 at b:1 (no way), server 2 at c:1 (no way)",
                                 "cannot reach server 2 at c:1 (no way)", kOk});
  int failures = 0;
  for (int step = 0; step < undisturbed.steps; ++step) {
    bool failed = true;
    for (int spared = 0; failed; ++spared) {
      CAPTURE(step, spared, fails);
      const Outcome outcome = Run({step, spared, fails});
      failed = outcome.failed;
      failures += failed ? 1 : 0;
      CHECK(outcome.told == undisturbed.told);
    }
  }
  CHECK(failures > 10);
}

}  // namespace kvstore
