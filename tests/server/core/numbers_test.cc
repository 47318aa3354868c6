// Numbers of the optimizer that change at a step: by rank 0, and by an operator.
#include <catch2/catch.hpp>

#include "tests/server/core/shard_under_test.h"

namespace kvstore::testing {
namespace {

using Catch::Matchers::Contains;

auto SetNumbers(Shard& s, uint64_t from_step, double number, RequestId request, WorkerRank rank = 0,
                const std::string& optimizer = "sum") {
  RequestEntry entry = Shard::EntryOf(Op::kSetNumbers, request);
  entry.key = 0;
  entry.step = from_step;
  RequestFrame frame = Shard::FrameOf(rank, entry);
  frame.optimizer = OptimizerConfig{optimizer, {{"number", number}}};
  return s.Send(frame);
}

auto PushAt(Shard& s, WorkerRank rank, Round round, uint64_t step) {
  RequestEntry entry = Shard::EntryOf(Op::kPush, 1000 + round);
  entry.round = round;
  entry.step = step;
  entry.piece.data = NumberPayload(10 * round + rank);
  return s.Send(Shard::FrameOf(rank, entry));
}

// A shard of two workers with a key and an optimizer.
struct TwoWorkers : Shard {
  explicit TwoWorkers(const std::string& type = "dist_sync") : Shard(2, {}, type) {
    Init(0, 5, 1);
    SetOptimizer(0, "sum", 2);
  }
  void MakeRound(uint64_t round, uint64_t step) {
    PushAt(*this, 1, round, step + 3);
    PushAt(*this, 0, round, step);
  }
  absl::Status Order(NumbersVerb verb, uint64_t from_step, double number = 1) {
    ServerOutbox out;
    absl::Status status =
        core.OrderNumbers(0, verb, "sum", {from_step, {{"number", number}}}, &out);
    answers = 0;
    for (const ServerFrame& frame : out) answers += frame.frame.entries.size();
    return status;
  }
  size_t answers = 0;  // to workers, by the last order
};

TEST_CASE("an update is of the step of its lowest-ranked contribution, whoever came first",
          "[core][numbers]") {
  TwoWorkers s;
  PushAt(s, 1, 1, 40);
  PushAt(s, 0, 1, 7);
  CHECK(s.values.steps == std::vector<uint64_t>{7});
  PushAt(s, 0, 2, 8);
  PushAt(s, 1, 2, 3);
  CHECK(s.values.steps == std::vector<uint64_t>{7, 8});
  s.Leave(0);
  PushAt(s, 1, 3, 50);
  CHECK(s.values.steps == std::vector<uint64_t>{7, 8, 50});
}

TEST_CASE("on an asynchronous store each push is an update of its own step", "[core][numbers]") {
  TwoWorkers s("dist_async");
  PushAt(s, 1, 1, 40);
  PushAt(s, 0, 1, 7);
  CHECK(s.values.steps == std::vector<uint64_t>{40, 7});
  // What is to come has the change, whatever was made before.
  CHECK(SetNumbers(s, 8, 1, 30)[0].second.code == absl::StatusCode::kOk);
}

TEST_CASE("a repeat of SET_NUMBERS changes nothing, behind a later one or an optimizer",
          "[core][numbers]") {
  TwoWorkers s;
  for (int times = 0; times < 2; ++times) {
    const auto replies = SetNumbers(s, 5, 1, 30);
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].second.progress == Progress::kDone);
    CHECK(replies[0].second.code == absl::StatusCode::kOk);
  }
  REQUIRE(s.values.changes.size() == 1);
  CHECK(s.values.changes[0] == NumbersChange{5, {{"number", 1}}});
  SetNumbers(s, 5, 2, 31);
  CHECK(SetNumbers(s, 5, 1, 30)[0].second.code == absl::StatusCode::kOk);
  CHECK(s.values.changes.size() == 2);
  s.SetOptimizer(0, "sum", 40);
  SetNumbers(s, 5, 2, 31);
  CHECK(s.values.changes.size() == 2);
  CHECK(s.core.Optimizer().changes.empty());
}

TEST_CASE("SET_NUMBERS that comes too late, from another rank or of another optimizer is refused",
          "[core][numbers]") {
  TwoWorkers s;
  const auto refused = [](const auto& replies, absl::StatusCode code, const std::string& message) {
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].second.code == code);
    CHECK(replies[0].second.retry_after_ms == 0);
    CHECK_THAT(replies[0].second.message, Contains(message));
  };
  s.MakeRound(1, 4);
  refused(SetNumbers(s, 4, 1, 30), absl::StatusCode::kFailedPrecondition,
          "a step above 4 expected");
  refused(SetNumbers(s, 5, 1, 31, 1), absl::StatusCode::kInvalidArgument,
          "SET_NUMBERS comes from rank 0");
  refused(SetNumbers(s, 5, 1, 32, 0, "adam"), absl::StatusCode::kFailedPrecondition,
          "numbers of optimizer 'sum' expected, which is set here, got those of 'adam'");
  s.values.own_updater = true;
  refused(SetNumbers(s, 5, 1, 33), absl::StatusCode::kFailedPrecondition,
          "this server runs the updater of its program");
  CHECK(s.values.changes.empty());
}

TEST_CASE("SET_NUMBERS waits for a measured update of its step, on an asynchronous store",
          "[core][numbers]") {
  TwoWorkers s("dist_async");
  s.values.measurings = 1;
  PushAt(s, 1, 1, 9);  // waits for norms
  const auto put_off = SetNumbers(s, 9, 1, 30);
  REQUIRE(put_off.size() == 1);
  CHECK(put_off[0].second.code == absl::StatusCode::kUnavailable);
  CHECK(put_off[0].second.retry_after_ms > 0);
  CHECK(s.values.changes.empty());
  CHECK(SetNumbers(s, 10, 1, 31)[0].second.code == absl::StatusCode::kOk);
}

TEST_CASE("what an operator holds is made when it is set, with the new numbers",
          "[core][numbers]") {
  TwoWorkers s;
  s.MakeRound(1, 4);
  REQUIRE(s.Order(NumbersVerb::kHold, 6).ok());
  s.MakeRound(2, 5);
  CHECK(s.values.steps == std::vector<uint64_t>{4, 5});
  s.MakeRound(3, 6);
  s.MakeRound(4, 7);
  CHECK(s.values.steps.size() == 2);
  // Whoever asks is told what holds it.
  const auto told = s.Probe(0, Op::kPush, 3, 1003);
  REQUIRE(told.size() == 1);
  CHECK(told[0].second.code == absl::StatusCode::kOk);
  CHECK(told[0].second.progress == Progress::kReceived);
  CHECK(told[0].second.missing_ranks.empty());
  CHECK(told[0].second.message == "held by a change of the optimizer's numbers at step 6");
  REQUIRE(s.core.Status().open_rounds.size() == 1);
  CHECK(s.core.Status().open_rounds[0].held_from == 6);
  CHECK(s.core.Optimizer().held == NumbersChange{6, {{"number", 1}}});

  REQUIRE(s.Order(NumbersVerb::kSet, 6).ok());
  CHECK(s.answers == 4);
  CHECK(s.values.steps == std::vector<uint64_t>{4, 5, 6, 7});
  CHECK(s.values.changes.size() == 1);
  CHECK(s.core.Status().open_rounds.empty());
  // The same command once more, from its beginning.
  CHECK(s.Order(NumbersVerb::kHold, 6).ok());
  CHECK(s.Order(NumbersVerb::kSet, 6).ok());
  CHECK(s.values.changes.size() == 1);
  CHECK(!s.core.Optimizer().held.has_value());
}

TEST_CASE("what an operator drops goes on with the old numbers", "[core][numbers]") {
  TwoWorkers s;
  REQUIRE(s.Order(NumbersVerb::kHold, 1).ok());
  REQUIRE(s.Order(NumbersVerb::kHold, 1).ok());
  s.MakeRound(1, 1);
  CHECK(s.values.steps.empty());
  CHECK(s.Order(NumbersVerb::kDrop, 2).ok());  // of another one
  CHECK(s.values.steps.empty());
  CHECK(s.Order(NumbersVerb::kDrop, 1).ok());
  CHECK(s.answers == 2);
  CHECK(s.values.steps == std::vector<uint64_t>{1});
  CHECK(s.values.changes.empty());
  CHECK(s.Order(NumbersVerb::kDrop, 1).ok());
}

TEST_CASE("an operator's change is refused too late, beside another one and without a hold",
          "[core][numbers]") {
  TwoWorkers s;
  const auto refused = [](const absl::Status& status, const std::string& message,
                          absl::StatusCode code = absl::StatusCode::kFailedPrecondition) {
    CHECK(status.code() == code);
    CHECK_THAT(std::string(status.message()), Contains(message));
  };
  s.MakeRound(1, 4);
  refused(s.Order(NumbersVerb::kHold, 4), "a step above 4 expected");
  refused(s.Order(NumbersVerb::kSet, 9), "a hold at step 9 for these numbers expected");
  REQUIRE(s.Order(NumbersVerb::kHold, 9).ok());
  refused(s.Order(NumbersVerb::kHold, 8), "no other change under way expected, got one held");
  refused(s.Order(NumbersVerb::kHold, 9, 2), "no other change under way expected");
  refused(s.Order(NumbersVerb::kSet, 9, 2), "there is another one");
  ServerOutbox out;
  refused(s.core.OrderNumbers(0, NumbersVerb::kHold, "adam", {20, {{"number", 1}}}, &out),
          "numbers of optimizer 'sum' expected");
  refused(s.core.OrderNumbers(0, NumbersVerb::kHold, "sum", {20, {{"bad", 1}}}, &out),
          "no such number", absl::StatusCode::kInvalidArgument);
  CHECK(s.values.changes.empty());
  HashValues values;
  ServerCore idle({}, ShardAddress{0, 0}, &values);
  refused(idle.OrderNumbers(0, NumbersVerb::kHold, "sum", {1, {{"number", 1}}}, &out),
          "a job expected");
}

TEST_CASE("a new optimizer and a new job end a hold", "[core][numbers]") {
  TwoWorkers s;
  REQUIRE(s.Order(NumbersVerb::kHold, 2).ok());
  s.MakeRound(1, 2);
  CHECK(s.values.steps.empty());
  s.SetOptimizer(0, "adam", 50);
  CHECK(s.values.steps == std::vector<uint64_t>{2});
  CHECK(!s.core.Optimizer().held.has_value());
  CHECK(s.core.Optimizer().times_set == 2);
  ServerOutbox out;
  REQUIRE(s.core.OrderNumbers(0, NumbersVerb::kHold, "adam", {5, {{"number", 1}}}, &out).ok());
  s.core.OnRouting(kCluster, kServerIncarnation, RoutingOf(2, 2, 2));
  CHECK(!s.core.Optimizer().held.has_value());
  CHECK(s.core.Optimizer().times_set == 0);
}

TEST_CASE("an asynchronous shard holds nothing, and sets at once", "[core][numbers]") {
  TwoWorkers s("dist_async");
  PushAt(s, 1, 1, 40);
  REQUIRE(s.Order(NumbersVerb::kHold, 5).ok());
  PushAt(s, 0, 1, 5);
  CHECK(s.values.steps == std::vector<uint64_t>{40, 5});
  CHECK(s.Order(NumbersVerb::kSet, 5).ok());
  CHECK(s.values.changes.size() == 1);
}

}  // namespace
}  // namespace kvstore::testing
