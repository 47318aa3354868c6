// A node's side of its session with the scheduler (M1 to M8).
#include "common/membership/core/membership_core.h"

#include <catch2/catch.hpp>
#include <functional>

namespace kvstore {
namespace {

class Node {
 public:
  explicit Node(v1::Role role = v1::ROLE_WORKER) : core(Options(role)) {
    Do([&] { core.Start(now, &out); });
  }
  static MembershipOptions Options(v1::Role role) {
    MembershipOptions options;
    options.registration.set_role(role);
    options.registration.set_nonce(5);
    options.registration.set_address("host:1");
    return options;
  }
  void Do(const std::function<void()>& what) {
    out = {};
    what();
  }
  void Up() {
    Do([&] { core.OnSessionUp(now, &out); });
  }
  void Down() {
    Do([&] { core.OnSessionDown(now, &out); });
  }
  void Get(const v1::SchedulerMessage& message) {
    Do([&] { core.OnMessage(now, message, &out); });
  }
  // The timer, when it is next due.
  void Tick() {
    REQUIRE(core.NextTimerMs() != INT64_MAX);
    now = std::max(now, core.NextTimerMs());
    Do([&] { core.OnTimer(now, &out); });
  }
  void GetRegistered(JobId job = 1, Incarnation incarnation = 9, ClusterId cluster = 4) {
    v1::SchedulerMessage message;
    message.mutable_registered()->set_cluster(cluster);
    message.mutable_registered()->set_rank(2);
    message.mutable_registered()->set_incarnation(incarnation);
    message.mutable_registered()->set_job(job);
    message.mutable_registered()->set_heartbeat_ms(1000);
    Get(message);
  }
  void GetRouting(Epoch epoch, JobId job) {
    RoutingTable table;
    table.epoch = epoch;
    table.job = job;
    table.servers = {{"h:1", 1, 1}};
    table.workers = {{2, "w"}};
    table.SpreadSlots();
    v1::SchedulerMessage message;
    table.ToProto(message.mutable_routing());
    Get(message);
  }
  void GetBarrier(uint64_t generation, absl::StatusCode code = absl::StatusCode::kOk) {
    v1::SchedulerMessage message;
    message.mutable_barrier()->set_generation(generation);
    message.mutable_barrier()->set_code(static_cast<uint32_t>(code));
    Get(message);
  }
  void GetLeave() {
    v1::SchedulerMessage message;
    message.mutable_leave();
    Get(message);
  }
  void GetRefused(absl::StatusCode code) {
    v1::SchedulerMessage message;
    message.mutable_refused()->set_code(static_cast<uint32_t>(code));
    message.mutable_refused()->set_message("reason");
    Get(message);
  }
  void GetEnded(JobId job, absl::StatusCode code = absl::StatusCode::kOk) {
    v1::SchedulerMessage message;
    message.mutable_job_ended()->set_job(job);
    message.mutable_job_ended()->set_code(static_cast<uint32_t>(code));
    Get(message);
  }
  void Connect() {
    Up();
    GetRegistered();
  }
  uint64_t Barrier(uint64_t deadline_ms = 100) {
    uint64_t generation = 0;
    Do([&] { generation = core.Barrier(now, deadline_ms, &out); });
    return generation;
  }

  int64_t now = 1000;
  MembershipOutbox out;
  MembershipCore core;
};

TEST_CASE("a node dials at once and registers first thing", "[cluster][membership]") {
  Node node;
  CHECK(node.out.dial);
  CHECK(node.core.disconnected_since_ms() == 1000);
  node.Up();
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].register_().nonce() == 5);
  CHECK(node.out.messages[0].register_().incarnation() == 0);
  CHECK_FALSE(node.core.connected());
  node.GetRegistered();
  REQUIRE(node.out.registered);
  CHECK(node.core.identity()->rank() == 2);
  CHECK(node.core.connected());
  CHECK(node.core.disconnected_since_ms() == INT64_MAX);
}

TEST_CASE("heartbeats go out as often as the scheduler asked", "[cluster][membership]") {
  Node node;
  node.Connect();
  for (int i = 1; i <= 3; ++i) {
    node.Tick();
    CHECK(node.now == 1000 + 1000 * i);
    REQUIRE(node.out.messages.size() == 1);
    CHECK(node.out.messages[0].has_heartbeat());
  }
}

TEST_CASE("a lost session is dialled again with growing pauses and resumed by its incarnation",
          "[cluster][membership]") {
  Node node;
  node.Connect();
  node.Down();
  CHECK(node.core.disconnected_since_ms() == 1000);
  std::vector<int64_t> pauses;
  for (int i = 0; i < 6; ++i) {
    const int64_t before = node.now;
    node.Tick();
    CHECK(node.out.dial);
    CHECK_FALSE(node.out.close);
    pauses.push_back(node.now - before);
    node.Down();
  }
  CHECK(pauses == std::vector<int64_t>{100, 200, 400, 800, 1000, 1000});
  CHECK(node.core.disconnected_since_ms() == 1000);
  node.Tick();
  node.Up();
  CHECK(node.out.messages[0].register_().incarnation() == 9);
  node.GetRegistered();
  CHECK(node.out.registered);
  // A session that worked starts the pauses anew.
  node.Down();
  CHECK(node.core.NextTimerMs() == node.now + 100);
}

TEST_CASE("a session without an answer to Register is closed and dialled again",
          "[cluster][membership]") {
  Node node;
  node.Up();
  node.Tick();
  CHECK(node.now == 1000 + 3000);
  CHECK(node.out.close);
  CHECK_FALSE(node.out.dial);
  node.Tick();
  CHECK(node.out.dial);
}

TEST_CASE("a refusal ends the node unless it says to come again", "[cluster][membership]") {
  Node node;
  node.Up();
  SECTION("definite") {
    node.GetRefused(absl::StatusCode::kAlreadyExists);
    REQUIRE(node.out.refused);
    CHECK(*node.out.refused == absl::AlreadyExistsError("reason"));
    CHECK(node.out.close);
    CHECK(node.core.NextTimerMs() == INT64_MAX);
    node.GetRegistered();
    CHECK_FALSE(node.out.registered);
  }
  SECTION("a refusal that says OK is no success") {
    node.GetRefused(absl::StatusCode::kOk);
    REQUIRE(node.out.refused);
    CHECK_FALSE(node.out.refused->ok());
  }
  SECTION("come again") {
    node.GetRefused(absl::StatusCode::kUnavailable);
    CHECK_FALSE(node.out.refused);
    CHECK(node.out.close);
    CHECK(node.core.last_put_off() == "reason");
    node.Tick();
    CHECK(node.out.dial);
    node.Connect();
    CHECK(node.core.last_put_off().empty());
  }
}

TEST_CASE("a scheduler that takes the node for another is not obeyed", "[cluster][membership]") {
  Node node;
  node.Connect();
  node.Down();
  node.Tick();
  node.Up();
  SECTION("another cluster") {
    node.GetRegistered(1, 9, 123);
    REQUIRE(node.out.refused);
    CHECK(node.out.refused->code() == absl::StatusCode::kFailedPrecondition);
    CHECK_THAT(std::string(node.out.refused->message()),
               Catch::Contains("cluster 000000000000007b") && Catch::Contains("0000000000000004"));
  }
  SECTION("another incarnation") {
    node.GetRegistered(1, 10);
    REQUIRE(node.out.refused);
    CHECK(node.out.refused->code() == absl::StatusCode::kAborted);
  }
  CHECK_FALSE(node.out.registered);
  CHECK(node.core.identity()->incarnation() == 9);
}

TEST_CASE("only a newer routing table counts", "[cluster][membership]") {
  Node node;
  node.Up();
  node.GetRouting(1, 1);  // before Registered: not for this life of the node
  CHECK(node.out.routing == nullptr);
  node.GetRegistered();
  node.GetRouting(4, 1);
  REQUIRE(node.out.routing != nullptr);
  for (const Epoch epoch : {3, 4}) {
    node.GetRouting(epoch, 1);
    CHECK(node.out.routing == nullptr);
  }
  node.GetRouting(5, 1);
  CHECK(node.core.routing()->epoch == 5);
}

TEST_CASE("a routing table that is not whole stops the node", "[cluster][membership]") {
  Node node;
  node.Connect();
  v1::SchedulerMessage message;
  message.mutable_routing()->set_epoch(2);
  node.Get(message);
  REQUIRE(node.out.refused);
  CHECK(node.out.refused->code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("an open barrier is asked for again on every session", "[cluster][membership]") {
  Node node;
  CHECK(node.Barrier() == 1);
  CHECK(node.out.messages.empty());  // no session yet
  node.Up();
  CHECK(node.out.messages.size() == 1);
  node.GetRegistered();
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].barrier().generation() == 1);
  CHECK(node.out.messages[0].barrier().deadline_ms() == 100);
  node.Down();
  node.Tick();
  node.Up();
  node.GetRegistered();
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].barrier().generation() == 1);
  node.GetBarrier(1);
  REQUIRE(node.out.barriers.size() == 1);
  node.GetBarrier(1);  // a repeated answer
  CHECK(node.out.barriers.empty());
  CHECK(node.Barrier() == 2);
  node.GetBarrier(1);  // a late answer
  CHECK(node.out.barriers.empty());
}

TEST_CASE("a barrier whose deadline passed is waited for again, not followed by another",
          "[cluster][membership]") {
  Node node;
  node.Connect();
  REQUIRE(node.Barrier() == 1);
  node.GetBarrier(1, absl::StatusCode::kDeadlineExceeded);
  REQUIRE(node.out.barriers.size() == 1);
  SECTION("the others arrive before it asks again") {
    node.GetBarrier(1);
    CHECK(node.out.barriers.empty());  // nobody waits
  }
  SECTION("a new session announces it without a deadline") {
    node.Down();
    node.Tick();
    node.Up();
    node.GetRegistered();
    REQUIRE(node.out.messages.size() == 1);
    CHECK(node.out.messages[0].barrier().deadline_ms() == 0);
  }
  CHECK(node.Barrier() == 1);
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].barrier().generation() == 1);
  node.GetBarrier(1);
  CHECK(node.out.barriers.size() == 1);
  CHECK(node.Barrier() == 2);
}

TEST_CASE("a node that is not ready says why as often as it likes, and may confirm then",
          "[cluster][membership]") {
  Node node;
  node.Connect();
  const auto propose = [&](uint64_t attempt) {
    v1::SchedulerMessage message;
    message.mutable_proposal()->set_attempt(attempt);
    node.Get(message);
  };
  const auto not_ready = [&](uint64_t attempt, const std::string& why) {
    node.Do([&] { node.core.NotReady(node.now, attempt, why, &node.out); });
    return node.out.messages.size();
  };
  CHECK(not_ready(7, "nothing is proposed") == 0);
  propose(7);
  for (const char* why : {"no way", "still no way"}) {
    REQUIRE(not_ready(7, why) == 1);
    CHECK(node.out.messages[0].not_ready().attempt() == 7);
    CHECK(node.out.messages[0].not_ready().message() == why);
  }
  CHECK(not_ready(6, "an attempt before") == 0);
  node.Do([&] { node.core.Confirm(node.now, 7, &node.out); });
  CHECK(node.out.messages.size() == 1);
  CHECK(not_ready(7, "it is confirmed") == 0);
  propose(8);
  node.Down();
  CHECK(not_ready(8, "its session is gone") == 0);
}

TEST_CASE("a proposal is confirmed once, on the session that it came on", "[cluster][membership]") {
  Node node;
  node.Connect();
  const auto propose = [&](uint64_t attempt) {
    v1::SchedulerMessage message;
    message.mutable_proposal()->set_attempt(attempt);
    node.Get(message);
    REQUIRE(node.out.proposal);
    CHECK(node.out.proposal->attempt() == attempt);
  };
  const auto confirm = [&](uint64_t attempt) {
    node.Do([&] { node.core.Confirm(node.now, attempt, &node.out); });
    return node.out.messages.size();
  };
  propose(7);
  REQUIRE(confirm(7) == 1);
  CHECK(node.out.messages[0].confirm().attempt() == 7);
  CHECK(confirm(7) == 0);
  // Only the last one is of interest.
  propose(8);
  propose(9);
  CHECK(confirm(8) == 0);
  CHECK(confirm(9) == 1);
  // And none of a session that is gone: the scheduler has given that attempt up.
  propose(10);
  node.Down();
  CHECK(confirm(10) == 0);
  node.Tick();
  node.Connect();
  CHECK(confirm(10) == 0);
}

TEST_CASE("begin is asked for on every session until it is answered", "[cluster][membership]") {
  Node node;
  node.Do([&] { node.core.Begin(node.now, &node.out); });
  CHECK(node.out.messages.empty());  // there is no session
  node.Up();
  node.GetRegistered();
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].has_begin());
  node.Do([&] { node.core.Begin(node.now, &node.out); });
  CHECK(node.out.messages.empty());
  CHECK_FALSE(node.core.begun());
  v1::SchedulerMessage begun;
  begun.mutable_begun();
  node.Get(begun);
  CHECK(node.out.begun);
  CHECK(node.core.begun());
  node.Get(begun);
  CHECK_FALSE(node.out.begun);
  node.Down();
  node.Tick();
  node.Up();
  node.GetRegistered();
  CHECK(node.out.messages.empty());
}

TEST_CASE("nobody is let begin who has not asked", "[cluster][membership]") {
  Node node;
  node.Connect();
  v1::SchedulerMessage begun;
  begun.mutable_begun();
  node.Get(begun);
  CHECK_FALSE(node.out.begun);
  CHECK_FALSE(node.core.begun());
}

TEST_CASE("leaving is asked for until it is answered", "[cluster][membership]") {
  Node node;
  node.Connect();
  node.GetLeave();  // not asked for
  CHECK_FALSE(node.out.left);
  node.Do([&] { node.core.Leave(node.now, &node.out); });
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].has_leave());
  node.Down();
  node.Tick();
  node.Up();
  node.GetRegistered();
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].has_leave());
  node.GetLeave();
  CHECK(node.out.left);
  CHECK(node.out.close);
  CHECK(node.core.NextTimerMs() == INT64_MAX);
}

TEST_CASE("nobody waits for an answer to Leave when the job is over", "[cluster][membership]") {
  Node node;
  node.Connect();
  node.GetRouting(1, 1);
  SECTION("the end comes first") {
    node.GetEnded(1);
    CHECK(node.out.job_ended);
    node.Do([&] { node.core.Leave(node.now, &node.out); });
  }
  SECTION("the end comes meanwhile") {
    node.Do([&] { node.core.Leave(node.now, &node.out); });
    node.GetEnded(1);
    CHECK(node.out.job_ended);
  }
  CHECK(node.out.left);
}

TEST_CASE("a failure is reported on every session until the job ends", "[cluster][membership]") {
  Node node;
  node.Connect();
  node.Do([&] { node.core.ReportFailure(node.now, "oops", &node.out); });
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].failed().message() == "oops");
  node.Down();
  node.Tick();
  node.Up();
  node.GetRegistered();
  REQUIRE(node.out.messages.size() == 1);
  CHECK(node.out.messages[0].has_failed());
  node.GetEnded(1, absl::StatusCode::kFailedPrecondition);
  node.Down();
  node.Tick();
  node.Up();
  node.GetRegistered();
  CHECK(node.out.messages.empty());
}

TEST_CASE("the end of each job is told once, and only of the node's own jobs",
          "[cluster][membership]") {
  Node node(v1::ROLE_SERVER);
  node.Connect();
  node.GetRouting(3, 2);
  node.GetEnded(1);  // before its time
  CHECK_FALSE(node.out.job_ended);
  node.GetEnded(2);
  CHECK(node.out.job_ended);
  node.Down();
  node.Tick();
  node.Up();
  node.GetRegistered(3);
  node.GetEnded(2);  // again, on the new session
  CHECK_FALSE(node.out.job_ended);
  node.GetRouting(4, 3);
  CHECK(node.core.routing()->job == 3);
  node.GetEnded(3);
  CHECK(node.out.job_ended);
}

TEST_CASE("health is remembered for the session and the job", "[cluster][membership]") {
  Node node;
  node.Connect();
  v1::SchedulerMessage message;
  message.mutable_node_health()->set_role(v1::ROLE_SERVER);
  message.mutable_node_health()->set_rank(1);
  message.mutable_node_health()->set_health(v1::HEALTH_DEAD);
  node.Get(message);
  REQUIRE(node.out.health.size() == 1);
  CHECK(node.core.health().at({v1::ROLE_SERVER, 1}) == v1::HEALTH_DEAD);
  node.Down();
  node.Tick();
  node.Up();
  node.GetRegistered();  // the scheduler tells anew whoever is unwell
  CHECK(node.core.health().empty());
}

TEST_CASE("messages of a kind that is not known yet are ignored", "[cluster][membership]") {
  Node node;
  node.Connect();
  node.Get(v1::SchedulerMessage());
  CHECK_FALSE(node.out.refused);
  CHECK(node.core.connected());
}

TEST_CASE("a reader begins with its routing table, and says whose it has when it comes back",
          "[membership]") {
  Node node(v1::ROLE_READER);
  node.Up();
  CHECK(node.out.messages[0].register_().role() == v1::ROLE_READER);
  CHECK(node.out.messages[0].register_().job() == 0);
  node.GetRegistered(3);
  node.Do([&] { node.core.Begin(node.now, &node.out); });
  CHECK(node.out.messages.empty());  // there is nothing to ask
  node.Down();
  node.Tick();
  node.Up();
  CHECK(node.out.messages[0].register_().job() == 0);
  node.GetRegistered(4);
  node.GetRouting(7, 4);
  CHECK(node.out.routing != nullptr);
  CHECK(node.core.begun());
  node.Down();
  node.Tick();
  node.Up();
  CHECK(node.out.messages[0].register_().job() == 4);
  CHECK(node.out.messages[0].register_().incarnation() == 9);
}

}  // namespace
}  // namespace kvstore
