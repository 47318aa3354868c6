// Who may take which rank, before, during and after a job (S2, S3).
#include <catch2/catch.hpp>
#include <functional>

#include "tests/server/scheduler/core/scheduler_fixture.h"

namespace kvstore {
namespace {

using absl::StatusCode;
using Catch::Contains;

TEST_CASE("ranks are given first come, first served, and the job starts when all are there",
          "[scheduler][registration]") {
  SchedulerFixture f(2, 2);
  f.Register(1, WorkerRegister(101));
  f.Register(51, ServerRegister(201, 9000, 2));
  f.Register(2, WorkerRegister(102));
  CHECK(f.Registered(1).rank() == 0);
  CHECK(f.Registered(2).rank() == 1);
  CHECK(f.Registered(51).rank() == 0);
  CHECK(f.Registered(1).job() == 1);
  CHECK(f.Registered(1).term() == 1);
  CHECK(f.Registered(1).cluster() == 77);
  CHECK(f.Registered(1).workers() == 2);
  CHECK(f.Registered(1).servers() == 2);
  CHECK(f.State() == "forming");
  CHECK(f.Got(1, v1::SchedulerMessage::kRouting).empty());

  f.Register(52, ServerRegister(202, 9001, 3));
  CHECK(f.State() == "running");
  REQUIRE(f.out.persist);  // S1: the table goes to disk before it goes to anybody
  CHECK(f.out.persist->routing().epoch() == 1);
  for (const SessionId session : {1, 2, 51, 52}) {
    const auto routing = f.Got(session, v1::SchedulerMessage::kRouting);
    REQUIRE(routing.size() == 1);
    const auto table = RoutingTable::FromProto(routing[0].routing());
    REQUIRE(table.ok());
    CHECK(table->epoch == 1);
    CHECK(table->job == 1);
    CHECK(table->store_type == "dist_sync");
    CHECK(table->slot_owner[3] == ShardAddress{1, 1});
    CHECK(table->WorkerName(1) == "worker 1 (host:102)");
    CHECK(table->ServerName(1) == "server 1 (127.0.0.1:9001)");
  }
}

TEST_CASE("incarnations are issued in order and never twice", "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.Register(1, WorkerRegister(101));
  f.Register(2, WorkerRegister(102));
  f.Register(51, ServerRegister(201, 9000));
  CHECK(f.Registered(1).incarnation() == 1);
  CHECK(f.Registered(2).incarnation() == 2);
  CHECK(f.Registered(51).incarnation() == 3);
}

TEST_CASE("a wanted rank is honoured and the others fill the gaps", "[scheduler][registration]") {
  SchedulerFixture f(3, 1);
  f.Register(1, Wanting(WorkerRegister(101), 1));
  f.Register(2, WorkerRegister(102));
  f.Register(3, WorkerRegister(103));
  CHECK(f.Registered(1).rank() == 1);
  CHECK(f.Registered(2).rank() == 0);
  CHECK(f.Registered(3).rank() == 2);
}

TEST_CASE("a registration that cannot be is refused with what was expected",
          "[scheduler][registration]") {
  struct Case {
    std::string name;
    std::function<void(v1::Register*)> change;
    StatusCode code;
    std::string message;
  };
  const Case c = GENERATE(values<Case>({
      {"protocol 99", [](v1::Register* r) { r->set_protocol(99); }, StatusCode::kFailedPrecondition,
       "protocol 99: this scheduler speaks 1 to 1"},
      {"protocol absent", [](v1::Register* r) { r->set_protocol(0); },
       StatusCode::kFailedPrecondition, "protocol 0"},
      {"role unknown", [](v1::Register* r) { r->set_role(static_cast<v1::Role>(9)); },
       StatusCode::kInvalidArgument, "role 9"},
      {"role scheduler", [](v1::Register* r) { r->set_role(v1::ROLE_SCHEDULER); },
       StatusCode::kInvalidArgument, "role 1"},
      {"nonce absent", [](v1::Register* r) { r->set_nonce(0); }, StatusCode::kInvalidArgument,
       "nonce 0"},
      {"address absent", [](v1::Register* r) { r->clear_address(); }, StatusCode::kInvalidArgument,
       "address: expected 1 to 255 bytes, got 0"},
      {"address too long", [](v1::Register* r) { r->set_address(std::string(256, 'a')); },
       StatusCode::kInvalidArgument, "got 256"},
      {"escape in address", [](v1::Register* r) { r->set_address("a\x1b[2J:1"); },
       StatusCode::kInvalidArgument, "control characters"},
      {"rank out of range", [](v1::Register* r) { r->set_wanted_rank_plus_one(3); },
       StatusCode::kInvalidArgument, "worker rank 2: expected 0 to 1"},
      {"rank far out of range", [](v1::Register* r) { r->set_wanted_rank_plus_one(UINT32_MAX); },
       StatusCode::kInvalidArgument, "worker rank 4294967294"},
      {"type absent", [](v1::Register* r) { r->clear_store_type(); }, StatusCode::kInvalidArgument,
       "store type"},
      {"bound that is no number", [](v1::Register* r) { r->set_store_type("dist_ssp:-1"); },
       StatusCode::kInvalidArgument, "dist_ssp:<s> expected"},
      {"server without shards", [](v1::Register* r) { *r = ServerRegister(300, 9000, 0); },
       StatusCode::kInvalidArgument, "shards 0: expected 1 to 1024"},
      {"server with a million shards",
       [](v1::Register* r) { *r = ServerRegister(300, 9000, 1000000); },
       StatusCode::kInvalidArgument, "shards 1000000"},
      {"server without port",
       [](v1::Register* r) {
         *r = ServerRegister(300, 9000);
         r->set_address("localhost");
       },
       StatusCode::kInvalidArgument, "expected HOST:PORT"},
      {"server with port 0", [](v1::Register* r) { *r = ServerRegister(300, 0); },
       StatusCode::kInvalidArgument, "expected HOST:PORT"},
      {"server with port 70000", [](v1::Register* r) { *r = ServerRegister(300, 70000); },
       StatusCode::kInvalidArgument, "expected HOST:PORT"},
      {"life that nobody knows", [](v1::Register* r) { r->set_incarnation(5); },
       StatusCode::kAborted, "incarnation 5"},
  }));
  CAPTURE(c.name);
  SchedulerFixture f(2, 1);
  v1::Register request = WorkerRegister(101);
  c.change(&request);
  f.Register(1, request);
  CHECK(f.RefusedCode(1) == c.code);
  CHECK_THAT(f.Refused(1).message(), Contains(c.message));
  CHECK(!f.out.persist);
  CHECK(f.Status().nodes_size() == 0);
  // The session is gone; a sane registration finds every place free.
  f.Register(2, WorkerRegister(102));
  CHECK(f.Registered(2).rank() == 0);
}

TEST_CASE("workers that name different bounds on staleness are refused naming both",
          "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.Register(1, WorkerRegister(101, "dist_ssp:2"));
  f.Register(2, WorkerRegister(102, "dist_ssp:3"));
  CHECK(f.RefusedCode(2) == StatusCode::kFailedPrecondition);
  CHECK_THAT(f.Refused(2).message(), Contains("'dist_ssp:3'") && Contains("'dist_ssp:2'"));
}

TEST_CASE("workers that name different types of store are refused naming both",
          "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.Register(1, WorkerRegister(101, "dist_sync"));
  f.Register(2, WorkerRegister(102, "dist_async"));
  CHECK(f.RefusedCode(2) == StatusCode::kFailedPrecondition);
  CHECK_THAT(f.Refused(2).message(),
             Contains("'dist_async'") && Contains("worker 0 (host:101) has created 'dist_sync'"));

  SECTION("but the type goes when nobody holds to it any more") {
    f.Down(1);
    f.Pass(f.options.lost_dead_ms);
    f.Register(3, WorkerRegister(103, "dist_async"));
    CHECK(f.Registered(3).rank() == 1);
    CHECK(f.Status().store_type() == "dist_async");
    // The first one comes back to a job of another type.
    v1::Register request = WorkerRegister(101, "dist_sync");
    request.set_incarnation(1);
    f.Register(4, request);
    CHECK(f.RefusedCode(4) == StatusCode::kFailedPrecondition);
  }
}

TEST_CASE("servers with different updater plugins are refused naming both",
          "[scheduler][registration]") {
  const auto with = [](v1::Register request, const std::string& plugin) {
    request.set_updater_plugin(plugin);
    return request;
  };
  SchedulerFixture f(1, 2);
  f.Register(1, with(ServerRegister(101, 7001), "'lion' with options 'wd=0.5'"));
  f.Register(2, with(ServerRegister(102, 7002), "'lion'"));
  CHECK(f.RefusedCode(2) == StatusCode::kFailedPrecondition);
  CHECK_THAT(f.Refused(2).message(),
             Contains("updater plugin: 'lion' with options 'wd=0.5' expected, as server 0 "
                      "(127.0.0.1:7001) has it, got 'lion'"));
  f.Register(3, ServerRegister(103, 7003));
  CHECK_THAT(f.Refused(3).message(), Contains("got none"));
  // A worker has none to compare.
  f.Register(4, WorkerRegister(104));
  CHECK(f.Registered(4).rank() == 0);

  SECTION("also by a scheduler that was restarted") {
    f.Restart();
    f.Register(5, ServerRegister(105, 7005));
    CHECK(f.RefusedCode(5) == StatusCode::kFailedPrecondition);
  }
  SECTION("but a server that is begun anew is compared with the others alone") {
    f.Down(1);
    f.Pass(f.options.lost_dead_ms);
    f.Register(5, with(ServerRegister(105, 7001), "'lion'"));
    CHECK(f.Registered(5).rank() == 0);
    f.Register(6, with(ServerRegister(106, 7002), "'lion'"));
    CHECK(f.Registered(6).rank() == 1);
  }
  SECTION("what is no line is refused") {
    f.Register(5, with(ServerRegister(105, 7005), "two\nlines"));
    CHECK(f.RefusedCode(5) == StatusCode::kInvalidArgument);
    f.Register(6, with(ServerRegister(106, 7006), std::string(256, 'x')));
    CHECK_THAT(f.Refused(6).message(), Contains("at most 255 printable bytes, got 256"));
  }
}

TEST_CASE("the same nonce gets the same rank and incarnation on another session",
          "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.Register(1, WorkerRegister(101));
  f.Register(2, WorkerRegister(102));
  SECTION("the old session is closed if it was there still") {
    f.Register(3, WorkerRegister(102));
    CHECK(f.closed == std::set<SessionId>{2});
  }
  SECTION("after it was lost") {
    f.Down(2);
    f.Register(3, WorkerRegister(102));
    CHECK(f.closed.empty());
  }
  SECTION("with the incarnation issued") {
    v1::Register request = WorkerRegister(102);
    request.set_incarnation(2);
    f.Register(3, request);
  }
  SECTION("after it was given up, as nobody took the rank") {
    f.Down(2);
    f.Pass(10000, {1});
    CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).health() == v1::HEALTH_DEAD);
    f.Register(3, WorkerRegister(102));
    CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).health() == v1::HEALTH_ALIVE);
  }
  CHECK(f.Registered(3).rank() == 1);
  CHECK(f.Registered(3).incarnation() == 2);
  // A late end of the old session changes nothing.
  f.Down(2);
  f.Register(51, ServerRegister(201, 9000));
  CHECK(f.State() == "running");
}

TEST_CASE("a repeated registration on one session changes nothing", "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.Register(1, WorkerRegister(101));
  f.Register(1, WorkerRegister(101));
  CHECK(f.closed.empty());
  CHECK(f.Registered(1).incarnation() == 1);
  CHECK(f.Status().nodes_size() == 1);

  f.Register(1, WorkerRegister(102));  // one session speaks for one node
  CHECK(f.RefusedCode(1) == StatusCode::kInvalidArgument);
  CHECK(f.Status().nodes_size() == 1);
}

TEST_CASE("whatever comes before Register is refused", "[scheduler][registration]") {
  SchedulerFixture f(1, 1);
  SECTION("heartbeat") { f.Heartbeat(1); }
  SECTION("barrier") { f.Barrier(1, 1); }
  SECTION("leave") { f.Leave(1); }
  SECTION("empty message") { f.Send(1, v1::NodeMessage()); }
  CHECK(f.RefusedCode(1) == StatusCode::kInvalidArgument);
}

TEST_CASE("while a job forms the rank of a process is put off, of a dead one given",
          "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.Register(1, Wanting(WorkerRegister(101), 1));
  f.Register(2, Wanting(WorkerRegister(102), 1));
  // It may be the same one, started again, before anybody knows that the first has died.
  CHECK(f.RefusedCode(2) == StatusCode::kUnavailable);
  CHECK_THAT(f.Refused(2).message(), Contains("worker 1 (host:101), which is connected"));

  f.Down(1);
  f.Register(3, Wanting(WorkerRegister(102), 1));
  CHECK(f.RefusedCode(3) == StatusCode::kUnavailable);
  CHECK_THAT(f.Refused(3).message(), Contains("given up in 5 s"));

  f.Pass(f.options.lost_dead_ms);
  f.Register(4, Wanting(WorkerRegister(102), 1));
  CHECK(f.Registered(4).rank() == 1);
  CHECK(f.Registered(4).incarnation() == 2);

  // S3: the one that was given up is fenced.
  v1::Register old = WorkerRegister(101);
  old.set_incarnation(1);
  f.Register(5, old);
  CHECK(f.RefusedCode(5) == StatusCode::kAborted);
}

TEST_CASE("a million registrations find no place and leave no trace", "[scheduler][registration]") {
  SchedulerFixture f(1, 2);
  f.Register(1, WorkerRegister(101));
  f.out = {};
  for (uint64_t i = 0; i < 1000000; ++i) {
    v1::NodeMessage message;
    *message.mutable_register_() = WorkerRegister(1000 + i);
    SchedulerOutbox out;
    f.core->OnMessage(f.now, 1000 + i, message, &out);
    if (out.persist || out.messages.size() != 1 || out.close.size() != 1 ||
        out.messages[0].message.refused().code() !=
            static_cast<uint32_t>(StatusCode::kUnavailable)) {
      CAPTURE(i);
      FAIL("expected a refusal and nothing else");
    }
  }
  CHECK(f.Status().nodes_size() == 1);
}

TEST_CASE("too many servers are put off, a restarted one gets its rank back while the job forms",
          "[scheduler][registration]") {
  SchedulerFixture f(1, 2);
  f.Register(51, ServerRegister(201, 9000));
  f.Register(52, ServerRegister(202, 9001));
  f.Register(53, ServerRegister(203, 9002));
  CHECK(f.RefusedCode(53) == StatusCode::kUnavailable);
  CHECK_THAT(f.Refused(53).message(), Contains("job 1 has its 2 servers, but has not begun"));

  f.Register(54, ServerRegister(204, 9000));  // its connection may be half open
  CHECK(f.RefusedCode(54) == StatusCode::kUnavailable);
  f.Down(51);
  f.Register(55, ServerRegister(204, 9000));
  CHECK(f.Registered(55).rank() == 0);
  CHECK(f.Registered(55).incarnation() == 3);
}

TEST_CASE("a worker begun anew is put off while its old life may have died unnoticed",
          "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.now += f.options.lost_dead_ms - 1;
  f.Register(9, WorkerRegister(109));
  CHECK(f.RefusedCode(9) == StatusCode::kUnavailable);
  CHECK_THAT(f.Refused(9).message(), Contains("job 1 has its 2 workers, but began just now"));
  f.Register(10, Wanting(WorkerRegister(110), 1));
  CHECK(f.RefusedCode(10) == StatusCode::kUnavailable);
  f.now += 1;
  f.Register(11, WorkerRegister(111));
  CHECK(f.RefusedCode(11) == StatusCode::kResourceExhausted);
  f.Register(12, Wanting(WorkerRegister(112), 1));
  CHECK(f.RefusedCode(12) == StatusCode::kAlreadyExists);
}

TEST_CASE("while a job runs a new worker is refused", "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.now += f.options.lost_dead_ms;
  SECTION("for want of a place") {
    f.Register(9, WorkerRegister(109));
    CHECK(f.RefusedCode(9) == StatusCode::kResourceExhausted);
    CHECK_THAT(f.Refused(9).message(), Contains("job 1 has its 2 workers already"));
  }
  SECTION("for its rank is held by a live one") {
    f.Register(9, Wanting(WorkerRegister(109), 1));
    CHECK(f.RefusedCode(9) == StatusCode::kAlreadyExists);
  }
  SECTION("to come again, when one is lost") {
    f.Down(2);
    f.Register(9, WorkerRegister(109));
    CHECK(f.RefusedCode(9) == StatusCode::kUnavailable);
    f.Register(10, Wanting(WorkerRegister(110), 1));
    CHECK(f.RefusedCode(10) == StatusCode::kUnavailable);
    f.Register(11, Wanting(WorkerRegister(111), 0));
    CHECK(f.RefusedCode(11) == StatusCode::kAlreadyExists);
  }
  SECTION("to come again, when the first have left") {
    f.Leave(1);
    f.Register(9, WorkerRegister(109));
    CHECK(f.RefusedCode(9) == StatusCode::kUnavailable);
  }
  CHECK(f.State() == "running");
}

TEST_CASE("the job does not start with a node that is lost", "[scheduler][registration]") {
  SchedulerFixture f(2, 1);
  f.Register(1, WorkerRegister(101));
  f.Register(51, ServerRegister(201, 9000));
  f.Down(1);
  f.Register(2, WorkerRegister(102));
  CHECK(f.State() == "forming");
  f.Register(3, WorkerRegister(101));
  CHECK(f.State() == "running");
  CHECK(f.Got(3, v1::SchedulerMessage::kRouting).size() == 1);
}

}  // namespace
}  // namespace kvstore
