// Readers at the scheduler (S10): in no job, and told of the one that they read.
#include "tests/server/scheduler/core/scheduler_fixture.h"

namespace kvstore {
namespace {

using Kind = v1::SchedulerMessage;

v1::Register ReaderRegister(uint64_t nonce, const std::string& type = "dist_sync") {
  v1::Register request = WorkerRegister(nonce, type);
  request.set_role(v1::ROLE_READER);
  return request;
}

// As a reader registers again that has heard what session `session` was told.
v1::Register Again(SchedulerFixture& cluster, SessionId session, uint64_t nonce) {
  v1::Register request = ReaderRegister(nonce);
  request.set_incarnation(cluster.Registered(session).incarnation());
  const auto tables = cluster.Got(session, Kind::kRouting);
  if (!tables.empty()) request.set_job(tables.back().routing().job());
  return request;
}

}  // namespace

TEST_CASE("a reader takes no place and waits until the job has begun", "[scheduler][reader]") {
  SchedulerFixture cluster(2, 1);
  cluster.Register(90, ReaderRegister(901));
  CHECK(cluster.Registered(90).rank() == kReaderRank);
  CHECK(cluster.Registered(90).workers() == 2);
  CHECK(cluster.State() == "forming");
  cluster.StartJob();
  CHECK(cluster.Got(90, Kind::kProposal).empty());
  CHECK(cluster.Got(90, Kind::kRouting).empty());
  cluster.Register(91, ReaderRegister(902));
  CHECK(cluster.Got(91, Kind::kRouting).empty());
  cluster.Begin(1);
  for (const SessionId reader : {90, 91}) {
    REQUIRE(cluster.Got(reader, Kind::kRouting).size() == 1);
    CHECK(cluster.Got(reader, Kind::kRouting)[0].routing().workers_size() == 2);
    CHECK(cluster.Got(reader, Kind::kBegun).empty());
  }
  cluster.Register(92, ReaderRegister(903));  // one that comes later is told at once
  CHECK(cluster.Got(92, Kind::kRouting).size() == 1);
  CHECK(cluster.Registered(92).incarnation() != cluster.Registered(91).incarnation());
}

TEST_CASE("a job with readers passes barriers and finishes without them", "[scheduler][reader]") {
  SchedulerFixture cluster(2, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  cluster.Barrier(1, 1);
  cluster.Barrier(2, 1);
  CHECK(cluster.Barriers(1).size() == 1);
  CHECK_FALSE(cluster.Ended(90).has_value());
  cluster.Leave(1);
  cluster.Leave(2);
  CHECK(cluster.State() == "finished");
  REQUIRE(cluster.Ended(90).has_value());
  CHECK(cluster.Ended(90)->job() == 1);
  CHECK(cluster.Ended(90)->code() == 0);
}

TEST_CASE("a reader of a job that is over is told nothing of the next one", "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  cluster.Leave(1);
  cluster.Register(91, ReaderRegister(902));  // it waits for the next one
  cluster.Register(5, WorkerRegister(105));
  cluster.Begin(5);
  CHECK(cluster.Got(90, Kind::kRouting).size() == 1);
  REQUIRE(cluster.Got(91, Kind::kRouting).size() == 1);
  CHECK(cluster.Got(91, Kind::kRouting)[0].routing().job() == 2);
}

TEST_CASE("a lost reader is forgotten, and nobody hears of it", "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  CHECK(cluster.Status().nodes_size() == 3);
  CHECK(cluster.NodeStatus(v1::ROLE_READER, kReaderRank).address() == "host:901");
  const size_t heard = cluster.inbox[1].size();
  cluster.Down(90);
  cluster.Pass(70000, {1, 51});
  CHECK(cluster.State() == "running");
  CHECK(cluster.Status().nodes_size() == 2);
  CHECK(cluster.inbox[1].size() == heard);
}

TEST_CASE("a reader that says nothing is suspect, then gone", "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  cluster.Pass(4000, {1, 51});
  CHECK(cluster.NodeStatus(v1::ROLE_READER, kReaderRank).health() == v1::HEALTH_SUSPECT);
  cluster.Heartbeat(90);
  CHECK(cluster.NodeStatus(v1::ROLE_READER, kReaderRank).health() == v1::HEALTH_ALIVE);
  cluster.Pass(61000, {1, 51});
  CHECK(cluster.closed.count(90) == 1);
  CHECK(cluster.State() == "running");
}

TEST_CASE("a restarted scheduler takes readers back as they say that they are",
          "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  const v1::Register again = Again(cluster, 90, 901);
  const Incarnation incarnation = cluster.Registered(90).incarnation();
  const auto before = cluster.disk->SerializeAsString();
  cluster.Restart();
  cluster.Register(95, again);
  CHECK(cluster.Registered(95).incarnation() == incarnation);
  CHECK(cluster.Got(95, Kind::kRouting).size() == 1);
  cluster.Register(96, ReaderRegister(902));
  CHECK(cluster.Registered(96).incarnation() != incarnation);
  // Nothing of readers is on disk.
  v1::SchedulerState state = *cluster.disk;
  state.set_term(state.term() - 1);
  CHECK(state.SerializeAsString() == before);
}

TEST_CASE("a reader that comes back after the end is told how its job ended",
          "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  const v1::Register again = Again(cluster, 90, 901);
  cluster.Down(90);
  cluster.Fail(1, "out of luck");
  cluster.Register(91, again);
  REQUIRE(cluster.Ended(91).has_value());
  CHECK(cluster.Ended(91)->message().find("out of luck") != std::string::npos);
  CHECK(cluster.Got(91, Kind::kRouting).empty());
  // After a whole job more nobody knows that.
  cluster.Down(91);
  cluster.Register(5, WorkerRegister(105));
  cluster.Begin(5);
  cluster.Leave(5);
  cluster.Register(92, again);
  CHECK(cluster.RefusedCode(92) == absl::StatusCode::kAborted);
  CHECK(cluster.Refused(92).message() ==
        "job 1 is not one of those that are known here, at job 3; a new process may register");
}

TEST_CASE("a reader names the type of the job", "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.Register(90, ReaderRegister(901, "dist_async"));  // nobody knows yet
  cluster.FormJob();
  CHECK(cluster.RefusedCode(90) == absl::StatusCode::kFailedPrecondition);
  CHECK(cluster.Refused(90).message() ==
        "store type 'dist_async': job 1 is of type 'dist_sync', and a reader must agree");
  cluster.Register(91, ReaderRegister(902, "dist_async"));
  CHECK(cluster.RefusedCode(91) == absl::StatusCode::kFailedPrecondition);
  CHECK(cluster.State() == "running");
}

TEST_CASE("a reader leaves, and may do nothing else", "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  cluster.Leave(90);
  CHECK(cluster.Got(90, Kind::kLeave).size() == 1);
  CHECK(cluster.Status().nodes_size() == 2);
  CHECK(cluster.State() == "running");
  cluster.Register(91, ReaderRegister(902));
  cluster.Barrier(91, 1);
  CHECK(cluster.Refused(91).message() ==
        "reader (host:902): it is in no job; a heartbeat or a leave expected, got message 3");
  cluster.Register(92, ReaderRegister(903));
  cluster.Fail(92, "out of luck");
  CHECK(cluster.RefusedCode(92) == absl::StatusCode::kInvalidArgument);
  CHECK(cluster.State() == "running");
}

TEST_CASE("a reader's session is one reader's", "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  cluster.FormJob();
  cluster.Register(90, ReaderRegister(901));
  const Incarnation incarnation = cluster.Registered(90).incarnation();
  cluster.Register(90, ReaderRegister(901));  // a repeat
  CHECK(cluster.Registered(90).incarnation() == incarnation);
  CHECK(cluster.Status().nodes_size() == 3);
  // On another session: the old one is closed.
  cluster.Register(91, Again(cluster, 90, 901));
  CHECK(cluster.closed.count(90) == 1);
  CHECK(cluster.Status().nodes_size() == 3);
  // Another process cannot be it.
  v1::Register impostor = ReaderRegister(902);
  impostor.set_incarnation(incarnation);
  cluster.Register(92, impostor);
  CHECK(cluster.RefusedCode(92) == absl::StatusCode::kAborted);
  cluster.Register(91, ReaderRegister(903));
  CHECK(cluster.RefusedCode(91) == absl::StatusCode::kInvalidArgument);
  cluster.Register(93, Wanting(ReaderRegister(904), 2));
  CHECK(cluster.Refused(93).message() == "reader: no rank expected, it asks for 2");
}

TEST_CASE("there are so many readers at a time at most", "[scheduler][reader]") {
  SchedulerFixture cluster(1, 1);
  for (uint64_t i = 0; i < kReadersMax; ++i) cluster.Register(1000 + i, ReaderRegister(5000 + i));
  cluster.Register(90, ReaderRegister(901));
  CHECK(cluster.RefusedCode(90) == absl::StatusCode::kResourceExhausted);
  cluster.Down(1000);
  cluster.Register(91, ReaderRegister(902));
  CHECK(cluster.Registered(91).rank() == kReaderRank);
}

}  // namespace kvstore
