// How a job starts (S8) and begins (S9).
#include <catch2/catch.hpp>

#include "tests/server/scheduler/core/scheduler_fixture.h"

namespace kvstore {
namespace {

using absl::StatusCode;
using Catch::Contains;

// Two workers on sessions 1 and 2, a server on 51; nobody confirms by itself.
class Forming : public SchedulerFixture {
 public:
  Forming() : SchedulerFixture(2, 1) {
    confirms = false;
    Register(51, ServerRegister(201, 9000, 3));
    Register(1, WorkerRegister(101));
    Register(2, WorkerRegister(102));
  }
};

TEST_CASE("a job starts when every node has confirmed the attempt", "[scheduler][start]") {
  Forming f;
  const uint64_t attempt = f.Proposed(1);
  for (const SessionId session : {1, 2, 51}) {
    const auto got = f.Got(session, v1::SchedulerMessage::kProposal);
    REQUIRE(got.size() == 1);
    CHECK(got[0].proposal().attempt() == attempt);
    CHECK(got[0].proposal().job() == 1);
    REQUIRE(got[0].proposal().servers_size() == 1);
    CHECK(got[0].proposal().servers(0).address() == "127.0.0.1:9000");
    CHECK(got[0].proposal().servers(0).shards() == 3);
  }
  f.Confirm(51, attempt);
  f.Confirm(1, attempt);
  f.Confirm(1, attempt);  // a repeat is one
  CHECK(f.State() == "forming");
  CHECK(f.Got(1, v1::SchedulerMessage::kRouting).empty());
  f.Confirm(2, attempt);
  CHECK(f.State() == "running");
  REQUIRE(f.out.persist);
  CHECK(f.out.persist->routing().epoch() == 1);
  CHECK_FALSE(f.out.persist->begun());
  CHECK(f.Got(1, v1::SchedulerMessage::kRouting).size() == 1);
}

TEST_CASE("who does not confirm loses its place, and the rest is asked again when it is taken",
          "[scheduler][start]") {
  Forming f;
  const uint64_t first = f.Proposed(1);
  f.Confirm(1, first);
  f.Confirm(51, first);
  f.Pass(3 * f.options.heartbeat_ms - 1, {1, 2, 51});
  CHECK(f.closed.count(2) == 0);
  f.Pass(1, {1, 51});
  CHECK(f.closed.count(2) == 1);
  CHECK(f.closed.count(1) == 0);
  f.Confirm(51, first);  // of an attempt that is over

  SECTION("by another process") {
    f.Register(3, WorkerRegister(103));
    CHECK(f.Registered(3).rank() == 1);
    CHECK(f.Registered(3).incarnation() == 4);
  }
  SECTION("by itself") {
    v1::Register request = WorkerRegister(102);
    request.set_incarnation(3);
    f.Register(3, request);
    CHECK(f.Registered(3).rank() == 1);
    CHECK(f.Registered(3).incarnation() == 3);
  }
  const uint64_t second = f.Proposed(3);
  CHECK(second > first);
  CHECK(f.Proposed(1) == second);
  CHECK(f.Got(1, v1::SchedulerMessage::kRefused).empty());
  for (const SessionId session : {1, 3, 51}) f.Confirm(session, second);
  CHECK(f.State() == "running");
}

TEST_CASE("who says why it cannot take part yet keeps its place, and everybody can know why",
          "[scheduler][start]") {
  Forming f;
  const uint64_t first = f.Proposed(1);
  f.Confirm(1, first);
  f.Confirm(51, first);
  f.NotReady(2, first, "cannot reach server 0 at 127.0.0.1:9000 (no\nroute)");
  REQUIRE(f.Status().obstacles_size() == 1);
  CHECK_THAT(f.Status().obstacles(0),
             Catch::StartsWith("worker 1 (") &&
                 Catch::EndsWith(") cannot reach server 0 at 127.0.0.1:9000 (no route)"));
  CHECK(f.State() == "forming");

  // What the others confirmed gets old.
  f.Pass(3 * f.options.heartbeat_ms, {1, 2, 51});
  const uint64_t second = f.Proposed(1);
  CHECK(second > first);
  CHECK(f.Proposed(2) == second);
  CHECK(f.closed.empty());
  CHECK(f.Status().obstacles_size() == 1);
  f.Confirm(2, first);
  f.Confirm(1, second);
  f.Confirm(51, second);
  CHECK(f.State() == "forming");
  f.NotReady(2, second, "cannot reach server 0");
  f.Confirm(2, second);
  CHECK(f.State() == "running");
  CHECK(f.Status().obstacles_size() == 0);
}

TEST_CASE("who was not ready once and is silent now loses its place", "[scheduler][start]") {
  Forming f;
  const uint64_t first = f.Proposed(1);
  f.Confirm(1, first);
  f.Confirm(51, first);
  f.NotReady(2, first, "cannot reach server 0");
  f.Pass(3 * f.options.heartbeat_ms, {1, 2, 51});
  const uint64_t second = f.Proposed(1);
  f.Confirm(1, second);
  f.Confirm(51, second);
  f.NotReady(2, first, "cannot reach server 0");  // of an attempt that is over
  f.Pass(3 * f.options.heartbeat_ms, {1, 2, 51});
  CHECK(f.closed == std::set<SessionId>{2});
  CHECK(f.Status().obstacles_size() == 0);
}

TEST_CASE("who has confirmed is ready, whatever else it says", "[scheduler][start]") {
  Forming f;
  const uint64_t attempt = f.Proposed(1);
  f.Confirm(2, attempt);
  f.NotReady(2, attempt, "cannot reach server 0");
  CHECK(f.Status().obstacles_size() == 0);
  f.Confirm(1, attempt);
  f.Confirm(51, attempt);
  CHECK(f.State() == "running");
  f.NotReady(2, attempt, "cannot reach server 0");  // nothing is proposed any more
  CHECK(f.Status().obstacles_size() == 0);
}

TEST_CASE("who leaves a forming job, or is given up, keeps it from nothing any more",
          "[scheduler][start]") {
  Forming f;
  f.NotReady(2, f.Proposed(2), "cannot reach server 0");
  REQUIRE(f.Status().obstacles_size() == 1);
  SECTION("it left") { f.Leave(2); }
  SECTION("it was lost") {
    f.Down(2);
    f.Pass(f.options.lost_dead_ms, {1, 51});
  }
  CHECK(f.Status().obstacles_size() == 0);
}

TEST_CASE("what keeps a node is cut where it is long", "[scheduler][start]") {
  Forming f;
  f.NotReady(1, f.Proposed(1), std::string(5000, 'x'));
  CHECK(f.Status().obstacles(0).size() < 1200);
}

TEST_CASE("confirmations of an attempt that is over count for nothing", "[scheduler][start]") {
  Forming f;
  const uint64_t first = f.Proposed(1);
  f.Confirm(1, first);
  f.Confirm(51, first);
  SECTION("since a session broke") {
    f.Down(2);
    f.Register(3, WorkerRegister(102));
  }
  SECTION("since a node has a new session, and the old one was not known to be gone") {
    f.Register(3, WorkerRegister(102));
  }
  SECTION("since a worker left, and another came") {
    f.Leave(2);
    f.Register(3, WorkerRegister(103));
  }
  SECTION("since a worker failed, and another came") {
    f.Fail(2, "out of memory");
    f.Register(3, WorkerRegister(103));
  }
  const uint64_t second = f.Proposed(3);
  REQUIRE(second > first);
  f.Confirm(3, second);
  f.Confirm(1, first);
  f.Confirm(51, first);
  CHECK(f.State() == "forming");
  f.Confirm(1, second);
  f.Confirm(51, second);
  CHECK(f.State() == "running");
}

TEST_CASE("a scheduler that restarts in an attempt makes another one, of a number never used",
          "[scheduler][start]") {
  Forming f;
  const uint64_t first = f.Proposed(1);
  f.Confirm(1, first);
  f.Confirm(2, first);
  f.Restart();
  f.Register(8, WorkerRegister(101));
  f.Register(9, WorkerRegister(102));
  f.Register(58, ServerRegister(201, 9000, 3));
  const uint64_t second = f.Proposed(8);
  CHECK(second > first);
  f.Confirm(58, first);
  f.Confirm(58, second);
  CHECK(f.State() == "forming");
  f.Confirm(8, second);
  f.Confirm(9, second);
  CHECK(f.State() == "running");
}

TEST_CASE("a repeated registration on one session is proposed to again, in the same attempt",
          "[scheduler][start]") {
  Forming f;
  const uint64_t attempt = f.Proposed(1);
  f.Confirm(2, attempt);
  f.Confirm(51, attempt);
  f.Register(1, WorkerRegister(101));
  CHECK(f.Proposed(1) == attempt);
  f.Confirm(1, attempt);
  CHECK(f.State() == "running");
}

TEST_CASE("a job in which nothing was done forms again without the one that was given up",
          "[scheduler][start]") {
  SchedulerFixture f(2, 1);
  f.StartJob();
  const bool server = GENERATE(true, false);
  CAPTURE(server);
  f.Barrier(1, 1);  // it waits there
  f.Down(server ? 51 : 2);
  const std::vector<SessionId> rest =
      server ? std::vector<SessionId>{1, 2} : std::vector<SessionId>{1, 51};
  f.Pass(f.options.lost_dead_ms, rest);
  CHECK(f.ends.empty());
  CHECK(f.State() == "forming");
  CHECK(f.disk->routing().epoch() == 0);
  f.Register(9, server ? ServerRegister(209, 9009) : WorkerRegister(109));
  CHECK(f.Registered(9).rank() == (server ? 0 : 1));
  CHECK(f.State() == "running");
  CHECK(f.Status().job() == 1);
  CHECK(f.Status().epoch() == 2);
  for (const SessionId session : rest) {
    const auto routing = f.Got(session, v1::SchedulerMessage::kRouting);
    REQUIRE(routing.size() == 2);
    CHECK(routing[1].routing().job() == 1);
    CHECK(routing[1].routing().epoch() == 2);
    CHECK_FALSE(f.Ended(session));
  }
  // Nobody passed the barrier before all of the job as it is now were there.
  CHECK(f.Barriers(1).empty());
  f.Barrier(server ? 2 : 9, 1);
  CHECK(f.Barriers(1).size() == 1);
}

TEST_CASE("a restarted server takes its place at once in a job in which nothing was done",
          "[scheduler][start]") {
  SchedulerFixture f(1, 2);
  f.StartJob();
  f.Down(52);
  f.Register(60, ServerRegister(209, 9001));
  CHECK(f.ends.empty());
  CHECK(f.Registered(60).rank() == 1);
  CHECK(f.Registered(60).job() == 1);
  CHECK(f.State() == "running");
  CHECK(f.Got(1, v1::SchedulerMessage::kRouting).back().routing().servers(1).incarnation() == 4);
}

TEST_CASE("a worker is let begin while all members are connected", "[scheduler][start]") {
  SchedulerFixture f(2, 1);
  SECTION("not before the job has started") {
    f.Register(1, WorkerRegister(101));
    f.Begin(1);
    CHECK(f.Got(1, v1::SchedulerMessage::kBegun).empty());
    f.Register(2, WorkerRegister(102));
    f.Register(51, ServerRegister(201, 9000));
    CHECK(f.State() == "running");
  }
  SECTION("when the one that is lost is back") {
    f.StartJob();
    f.Down(51);
    f.Begin(1);
    CHECK(f.Got(1, v1::SchedulerMessage::kBegun).empty());
    CHECK_FALSE(f.disk->begun());
    f.Register(59, ServerRegister(201, 9000));
  }
  SECTION("when the one that is lost is replaced") {
    f.StartJob();
    f.Down(2);
    f.Begin(1);
    f.Pass(f.options.lost_dead_ms, {1, 51});
    CHECK(f.Got(1, v1::SchedulerMessage::kBegun).empty());
    f.Register(9, WorkerRegister(109));
    CHECK(f.Status().epoch() == 2);
  }
  CHECK(f.Got(1, v1::SchedulerMessage::kBegun).size() == 1);
  CHECK(f.disk->begun());
  CHECK(f.Got(2, v1::SchedulerMessage::kBegun).empty());  // it has not asked
}

TEST_CASE("a job that has begun is not formed again, whatever made it begin",
          "[scheduler][start]") {
  SchedulerFixture f(2, 1);
  f.StartJob();
  const std::string what = GENERATE("a worker asked", "a barrier completed", "a worker left");
  CAPTURE(what);
  if (what == "a worker asked") f.Begin(2);
  if (what == "a worker left") f.Leave(2);
  if (what == "a barrier completed") {
    f.Barrier(1, 1);
    f.Barrier(2, 1);
  }
  CHECK(f.disk->begun());
  f.Down(51);
  if (GENERATE(false, true)) {
    f.Restart();
    f.Register(1, WorkerRegister(101));
    f.Register(2, WorkerRegister(102));
  }
  f.Begin(1);  // it is answered, though a member is lost
  CHECK(f.Got(1, v1::SchedulerMessage::kBegun).size() == 1);
  f.Register(60, ServerRegister(209, 9000));
  REQUIRE(f.ends.size() == 1);
  CHECK(static_cast<StatusCode>(f.ends[0].code()) == StatusCode::kDataLoss);
}

TEST_CASE("a server that asks to begin is refused", "[scheduler][start]") {
  SchedulerFixture f(1, 1);
  f.StartJob();
  f.Begin(51);
  CHECK(f.RefusedCode(51) == StatusCode::kInvalidArgument);
  CHECK_THAT(f.Refused(51).message(), Contains("server 0 (127.0.0.1:9000)"));
}

}  // namespace
}  // namespace kvstore
