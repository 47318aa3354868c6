// The life of a job: barriers, leaving, deaths, the end, the next job (S4, S6, S7).
#include <catch2/catch.hpp>
#include <functional>

#include "tests/server/scheduler/core/scheduler_fixture.h"

namespace kvstore {
namespace {

using absl::StatusCode;
using Catch::Contains;
using Answers = std::vector<std::pair<uint64_t, StatusCode>>;

StatusCode EndCode(const std::optional<v1::JobEnded>& ended) {
  REQUIRE(ended);
  return static_cast<StatusCode>(ended->code());
}

TEST_CASE("a barrier is answered when all workers arrived", "[scheduler][barrier]") {
  SchedulerFixture f(3, 1);
  f.FormJob();
  f.Barrier(1, 1);
  f.Barrier(1, 1);  // a repeat counts once
  f.Barrier(2, 1);
  CHECK(f.Barriers(1).empty());
  f.now += 70;
  const v1::ClusterStatus& status = f.Status();
  REQUIRE(status.barriers_size() == 1);
  CHECK(status.barriers(0).generation() == 1);
  CHECK(status.barriers(0).age_ms() == 70);
  CHECK(status.barriers(0).arrived_ranks_size() == 2);
  REQUIRE(status.barriers(0).missing_ranks_size() == 1);
  CHECK(status.barriers(0).missing_ranks(0) == 2);

  f.Barrier(3, 1);
  REQUIRE(f.out.persist);  // S1: or a restarted scheduler would wait for it for ever
  CHECK(f.out.persist->barrier_generation() == 1);
  for (const SessionId session : {1, 2, 3}) {
    CHECK(f.Barriers(session) == Answers{{1, StatusCode::kOk}});
  }
  f.Barrier(2, 1);  // the answer was lost
  CHECK(f.Barriers(2) == Answers{{1, StatusCode::kOk}, {1, StatusCode::kOk}});
  CHECK(f.Status().barriers_size() == 0);
}

TEST_CASE("a barrier of another generation than the open one is refused", "[scheduler][barrier]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  const uint64_t generation = GENERATE(uint64_t{0}, uint64_t{2}, uint64_t{10000}, UINT64_MAX);
  CAPTURE(generation);
  f.Barrier(1, generation);
  CHECK(f.Barriers(1) == Answers{{generation, StatusCode::kInvalidArgument}});
  CHECK(f.Status().barriers_size() == 0);
}

TEST_CASE("a server in a barrier is refused", "[scheduler][barrier]") {
  SchedulerFixture f(1, 1);
  f.FormJob();
  f.Barrier(51, 1);
  CHECK(f.Barriers(51) == Answers{{1, StatusCode::kInvalidArgument}});
}

TEST_CASE("a barrier that waits too long names who is missing and stays open",
          "[scheduler][barrier]") {
  SchedulerFixture f(3, 1);
  f.FormJob();
  f.Barrier(1, 1, 4000);
  f.Barrier(2, 1, 0);
  f.Pass(3999, {1, 2, 51});
  CHECK(f.Barriers(1).empty());
  f.Pass(1, {1, 2, 51});
  CHECK(f.Barriers(1) == Answers{{1, StatusCode::kDeadlineExceeded}});
  const std::string text = f.Got(1, v1::SchedulerMessage::kBarrier)[0].barrier().message();
  CHECK_THAT(text, Contains("worker 2 (host:103) silent for 4 s") && !Contains("worker 1"));

  SECTION("the late one completes it for all, also for the one that was told") {
    f.Barrier(3, 1);
    CHECK(f.Barriers(1).back() == std::make_pair(uint64_t{1}, StatusCode::kOk));
    CHECK(f.Barriers(2) == Answers{{1, StatusCode::kOk}});
    CHECK(f.Barriers(3) == Answers{{1, StatusCode::kOk}});
  }
  SECTION("asking again sets a new deadline") {
    f.Barrier(1, 1, 100);
    f.Pass(100, {2, 51});
    CHECK(f.Barriers(1).size() == 2);
    CHECK(f.Barriers(2).empty());
  }
  SECTION("a deadline beyond all time is none") {
    f.Barrier(1, 1, UINT64_MAX);
    f.Pass(30000, {1, 2, 3, 51});
    CHECK(f.Barriers(1).size() == 1);
  }
}

TEST_CASE("a worker that left drops out of the barrier, and may complete it",
          "[scheduler][barrier]") {
  SchedulerFixture f(3, 1);
  f.FormJob();
  f.Barrier(1, 1);
  f.Barrier(2, 1);
  f.Leave(3);
  CHECK(f.Barriers(1) == Answers{{1, StatusCode::kOk}});
  CHECK(f.Barriers(2) == Answers{{1, StatusCode::kOk}});
  CHECK(f.Got(3, v1::SchedulerMessage::kLeave).size() == 1);
  f.Barrier(3, 2);
  CHECK(f.Barriers(3) == Answers{{2, StatusCode::kFailedPrecondition}});
}

TEST_CASE("an arrival outlives the session it came on", "[scheduler][barrier]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.Barrier(1, 1);
  f.Down(1);
  f.Barrier(2, 1);
  CHECK(f.Barriers(2) == Answers{{1, StatusCode::kOk}});
  f.Register(3, WorkerRegister(101));
  f.Barrier(3, 1);
  CHECK(f.Barriers(3) == Answers{{1, StatusCode::kOk}});
}

TEST_CASE("a barrier asked for while the job forms completes in the job", "[scheduler][barrier]") {
  SchedulerFixture f(2, 1);
  f.Register(51, ServerRegister(201, 9000));
  f.Register(1, WorkerRegister(101));
  f.Barrier(1, 1, 500);
  f.Pass(500);
  CHECK(f.Barriers(1) == Answers{{1, StatusCode::kDeadlineExceeded}});
  CHECK_THAT(f.Got(1, v1::SchedulerMessage::kBarrier)[0].barrier().message(),
             Contains("worker 1 (not registered)"));
  f.Register(2, WorkerRegister(102));
  f.Barrier(2, 1);
  CHECK(f.Barriers(1).back().second == StatusCode::kOk);
}

TEST_CASE("the job is over when all workers left, and the next one forms with the same servers",
          "[scheduler][job]") {
  SchedulerFixture f(2, 2);
  f.FormJob();
  f.Leave(2);
  CHECK(!f.Ended(1));
  f.Leave(2);  // the answer was lost
  CHECK(f.Got(2, v1::SchedulerMessage::kLeave).size() == 2);
  f.Leave(1);
  REQUIRE(f.out.job_ended);
  REQUIRE(f.out.persist);
  for (const SessionId session : {1, 2, 51, 52}) {
    CAPTURE(session);
    CHECK(EndCode(f.Ended(session)) == StatusCode::kOk);
    CHECK(f.Ended(session)->job() == 1);
  }
  CHECK(f.State() == "finished");
  CHECK(f.Status().job() == 1);

  // The last answer of the old job was lost: it leaves again.
  f.Leave(1);
  CHECK(f.Got(1, v1::SchedulerMessage::kLeave).size() == 2);

  f.Register(3, WorkerRegister(103, "dist_device_sync"));
  CHECK(f.State() == "forming");
  CHECK(f.Status().job() == 2);
  CHECK(f.Registered(3).job() == 2);
  CHECK(f.Registered(3).rank() == 0);
  f.Register(4, WorkerRegister(104, "dist_device_sync"));
  CHECK(f.State() == "running");
  const auto routing = f.Got(51, v1::SchedulerMessage::kRouting);
  REQUIRE(routing.size() == 2);
  CHECK(routing[1].routing().epoch() == 2);
  CHECK(routing[1].routing().job() == 2);
  CHECK(routing[1].routing().servers(0).incarnation() == f.Registered(51).incarnation());
  CHECK(f.Got(1, v1::SchedulerMessage::kRouting).size() == 1);  // not its job
  // Barriers count from 1 again.
  f.Barrier(3, 1);
  f.Barrier(4, 1);
  CHECK(f.Barriers(4) == Answers{{1, StatusCode::kOk}});
}

TEST_CASE("nodes of a job that is over are told so when they come back", "[scheduler][job]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.Down(1);
  f.Down(51);
  f.Fail(2, "out of luck");
  const bool restart = GENERATE(false, true);
  CAPTURE(restart);
  if (restart) f.Restart();
  v1::Register request = WorkerRegister(101);
  request.set_incarnation(2);  // nonce 101 came second, after the server
  f.Register(5, request);
  CHECK(f.Registered(5).incarnation() == 2);
  CHECK(f.Registered(5).job() == 1);
  CHECK(EndCode(f.Ended(5)) == StatusCode::kFailedPrecondition);
  CHECK(f.Ended(5)->message() == "worker 1 (host:102) failed: out of luck");

  request = ServerRegister(201, 9000);
  request.set_incarnation(1);
  f.Register(55, request);
  CHECK(f.Registered(55).job() == 2);
  CHECK(EndCode(f.Ended(55)) == StatusCode::kFailedPrecondition);

  SECTION("a server that had no part in it is not") {
    SchedulerFixture g(1, 1);
    g.FormJob();
    g.Fail(1, "x");
    g.Down(51);
    g.Pass(g.options.lost_dead_ms);
    g.Register(52, ServerRegister(202, 9000));
    g.Register(53, ServerRegister(202, 9000));
    CHECK(!g.Ended(52));
    CHECK(!g.Ended(53));
  }
  SECTION("unless another job has ended since") {
    f.Register(61, WorkerRegister(111));
    f.Register(62, WorkerRegister(112));
    REQUIRE(f.State() == "running");
    f.Fail(61, "x");
    f.Register(63, WorkerRegister(101));  // of job 1
    CHECK(f.Registered(63).job() == 3);   // without an incarnation: a newcomer
    request = WorkerRegister(102);
    request.set_incarnation(3);
    f.Register(64, request);
    CHECK(f.RefusedCode(64) == StatusCode::kAborted);
  }
}

TEST_CASE("a worker that fails ends the job, and its message names it", "[scheduler][job]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  std::string said = "division\nby zero \x1b[2J" + std::string(2000, 'x');
  f.Fail(2, said);
  CHECK(EndCode(f.Ended(1)) == StatusCode::kFailedPrecondition);
  CHECK_THAT(f.Ended(1)->message(), Contains("worker 1 (host:102) failed: division by zero  [2J"));
  CHECK(f.Ended(1)->message().size() < 1200);
  CHECK(f.Ended(51));
  CHECK_THAT(f.State(), Contains("failed: worker 1 (host:102) failed"));
  CHECK(f.ends.size() == 1);
  f.Fail(2, "again");  // a repeat
  CHECK(f.ends.size() == 1);
}

TEST_CASE("the end of a job counts the nodes that could not be told", "[scheduler][job]") {
  SchedulerFixture f(3, 2);
  f.FormJob();
  f.Leave(1);
  f.Down(1);  // it wants to know nothing any more
  f.Down(2);
  f.Down(51);
  f.Fail(3, "x");
  CHECK(f.out.job_ended_untold == 2);
}

TEST_CASE("a long message is not cut inside of a character", "[scheduler][job]") {
  for (size_t shift = 0; shift < 4; ++shift) {
    SchedulerFixture f(1, 1);
    f.FormJob();
    std::string said(shift, 'x');
    for (int i = 0; i < 400; ++i) said += "€";
    f.Fail(1, said);
    v1::JobEnded copy;
    CHECK(copy.ParseFromString(f.Ended(51)->SerializeAsString()));
  }
}

TEST_CASE("a worker that leaves or fails while the job forms frees its rank", "[scheduler][job]") {
  SchedulerFixture f(2, 1);
  f.Register(1, WorkerRegister(101));
  SECTION("leaves") {
    f.Leave(1);
    CHECK(f.Got(1, v1::SchedulerMessage::kLeave).size() == 1);
    // Its answer was lost: it comes once more only to leave, and starts nothing.
    f.Down(1);
    f.Register(51, ServerRegister(201, 9000));
    f.Register(2, WorkerRegister(102));
    f.Register(3, WorkerRegister(101));
    CHECK(f.State() == "forming");
    f.Leave(3);
    CHECK(f.Got(3, v1::SchedulerMessage::kLeave).size() == 1);
  }
  SECTION("fails") {
    f.Fail(1, "x");
    f.Register(51, ServerRegister(201, 9000));
    f.Register(2, WorkerRegister(102));
  }
  CHECK(f.ends.empty());
  CHECK(f.Registered(2).rank() == 1);
  f.Register(4, WorkerRegister(104));
  CHECK(f.Registered(4).rank() == 0);
  CHECK(f.State() == "running");
}

TEST_CASE("servers neither leave nor fail", "[scheduler][job]") {
  SchedulerFixture f(1, 1);
  f.FormJob();
  SECTION("leave") { f.Leave(51); }
  SECTION("fail") { f.Fail(51, "x"); }
  CHECK(f.RefusedCode(51) == StatusCode::kInvalidArgument);
  CHECK(f.State() == "running");
}

TEST_CASE("a node whose session is lost and not back in time is dead and named",
          "[scheduler][death]") {
  SchedulerFixture f(2, 2);
  f.FormJob();
  const bool server = GENERATE(false, true);
  CAPTURE(server);
  f.Down(server ? 52 : 2);
  const std::vector<SessionId> rest =
      server ? std::vector<SessionId>{1, 2, 51} : std::vector<SessionId>{1, 51, 52};
  f.Pass(f.options.lost_dead_ms - 1, rest);
  CHECK(f.ends.empty());
  SECTION("not if it comes back") {
    f.Register(9, server ? ServerRegister(202, 9001) : WorkerRegister(102));
    std::vector<SessionId> all = rest;
    all.push_back(9);
    f.Pass(2 * f.options.lost_dead_ms, all);
    CHECK(f.ends.empty());
    CHECK(f.Got(9, v1::SchedulerMessage::kRouting).size() == 1);
  }
  SECTION("and then the job is over") {
    f.Pass(1, rest);
    REQUIRE(f.ends.size() == 1);
    CHECK(f.Ended(1));
    CHECK(f.Ended(51));
    const auto health = f.Got(1, v1::SchedulerMessage::kNodeHealth).back().node_health();
    CHECK(health.health() == v1::HEALTH_DEAD);
    CHECK(health.rank() == 1);
    if (server) {
      CHECK(EndCode(f.Ended(1)) == StatusCode::kDataLoss);
      CHECK(f.Ended(1)->message() ==
            "server 1 (127.0.0.1:9001) is dead: its session was lost and did not come back within "
            "5 s; lost its 512 slots of 1024; the values in them are gone");
      // It was fenced: what it holds belongs to a job that is over.
      v1::Register request = ServerRegister(202, 9001);
      request.set_incarnation(2);
      f.Register(9, request);
      CHECK(f.RefusedCode(9) == StatusCode::kAborted);
    } else {
      CHECK(EndCode(f.Ended(1)) == StatusCode::kFailedPrecondition);
      CHECK(f.Ended(1)->message() ==
            "worker 1 (host:102) is dead: its session was lost and did not come back within 5 s");
    }
    // Who died is known until the next job.
    std::vector<std::string> dead;
    for (const v1::NodeStatus& node : f.Status().nodes()) {
      if (node.health() == v1::HEALTH_DEAD) dead.push_back(node.address());
    }
    CHECK(dead == std::vector<std::string>{server ? "127.0.0.1:9001" : "host:102"});
    CHECK(f.Status().nodes_size() == 4);
  }
}

TEST_CASE("a silent node is suspect, then alive again or dead", "[scheduler][death]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.Pass(f.options.suspect_ms, {1, 51});
  CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).health() == v1::HEALTH_SUSPECT);
  CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).silent_ms() == 3000);
  CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).connected());
  CHECK(f.NodeStatus(v1::ROLE_WORKER, 0).health() == v1::HEALTH_ALIVE);
  REQUIRE(f.Got(1, v1::SchedulerMessage::kNodeHealth).size() == 1);

  SECTION("a node that comes later is told who is unwell") {
    f.Register(9, WorkerRegister(101));
    REQUIRE(f.Got(9, v1::SchedulerMessage::kNodeHealth).size() == 1);
    CHECK(f.Got(9, v1::SchedulerMessage::kNodeHealth)[0].node_health().rank() == 1);
  }
  SECTION("alive") {
    f.Heartbeat(2);
    CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).health() == v1::HEALTH_ALIVE);
    CHECK(f.Got(1, v1::SchedulerMessage::kNodeHealth).back().node_health().health() ==
          v1::HEALTH_ALIVE);
    f.Pass(f.options.suspect_ms, {1, 51});
    CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).health() == v1::HEALTH_SUSPECT);
  }
  SECTION("dead") {
    f.Pass(f.options.silent_dead_ms - f.options.suspect_ms - 1, {1, 51});
    CHECK(f.ends.empty());
    f.Pass(1, {1, 51});
    REQUIRE(f.ends.size() == 1);
    CHECK(f.ends[0].message() == "worker 1 (host:102) is dead: no heartbeat for 60 s");
    CHECK(f.Ended(2));  // it may wake up, and learns it
  }
}

TEST_CASE("a server that restarted ends the job with DATA_LOSS and waits for the next one",
          "[scheduler][death]") {
  SchedulerFixture f(1, 2);
  f.FormJob();
  f.Down(52);
  f.Register(60, ServerRegister(209, 9001));
  REQUIRE(f.ends.size() == 1);
  CHECK(EndCode(f.Ended(1)) == StatusCode::kDataLoss);
  CHECK(f.Ended(1)->message() ==
        "server 1 (127.0.0.1:9001) restarted and lost its 512 slots of 1024; the values in them "
        "are gone");
  CHECK(EndCode(f.Ended(51)) == StatusCode::kDataLoss);
  CHECK_THAT(f.State(), Contains("failed: server 1"));

  // It is in the next one, as a new life of its rank.
  CHECK(f.Registered(60).rank() == 1);
  CHECK(f.Registered(60).incarnation() == 4);
  CHECK(f.Registered(60).job() == 2);
  CHECK_FALSE(f.Ended(60));
  CHECK_THAT(f.State(), Contains("failed: server 1"));
  f.Register(2, WorkerRegister(105));
  CHECK(f.State() == "running");
  CHECK(f.Status().job() == 2);
}

TEST_CASE("a second server at the address of a connected one is put off", "[scheduler][death]") {
  SchedulerFixture f(1, 1);
  f.FormJob();
  f.Register(60, ServerRegister(209, 9000));
  CHECK(f.RefusedCode(60) == StatusCode::kUnavailable);
  CHECK(f.State() == "running");
}

TEST_CASE("servers that died with a job free their ranks for the next", "[scheduler][death]") {
  SchedulerFixture f(1, 2);
  f.FormJob();
  f.Down(51);
  f.Down(52);
  f.Pass(f.options.lost_dead_ms, {1});
  REQUIRE(f.ends.size() == 1);
  f.Register(61, ServerRegister(211, 9011));
  f.Pass(1);
  f.Register(62, ServerRegister(212, 9012));
  f.Register(2, WorkerRegister(102));
  CHECK(f.State() == "running");
  CHECK(f.Status().nodes_size() == 3);
}

TEST_CASE("the status shows nodes, slots and state", "[scheduler][status]") {
  SchedulerFixture f(1, 3);
  f.FormJob();
  f.Down(1);
  f.now += 40;
  const v1::ClusterStatus& status = f.Status();
  CHECK(status.cluster() == 77);
  CHECK(status.term() == 1);
  CHECK(status.epoch() == 1);
  CHECK(status.job() == 1);
  CHECK(status.state() == "running");
  CHECK(status.store_type() == "dist_sync");
  REQUIRE(status.nodes_size() == 4);
  CHECK(status.nodes(0).role() == v1::ROLE_WORKER);
  CHECK_FALSE(status.nodes(0).connected());
  CHECK(status.nodes(0).silent_ms() == 40);
  CHECK(status.nodes(1).slots() == 342);
  CHECK(status.nodes(2).slots() == 341);
  CHECK(status.nodes(3).slots() == 341);
}

}  // namespace
}  // namespace kvstore
