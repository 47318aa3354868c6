// Resetting a key: its value goes on, and everything else begins anew.
#include <catch2/catch.hpp>

#include "tests/server/core/shard_under_test.h"

namespace kvstore::testing {
namespace {

using Ranks = std::vector<WorkerRank>;
using Catch::Matchers::Contains;

RequestEntry InLife(RequestEntry entry, uint64_t life, Round round = 0) {
  entry.life = life;
  entry.round = round;
  return entry;
}

auto End(Shard& s, Op op, WorkerRank rank, uint64_t life, RequestId request = 700) {
  return s.Send(Shard::FrameOf(rank, InLife(Shard::EntryOf(op, request), life)));
}
auto Reset(Shard& s, WorkerRank rank, uint64_t life, RequestId request = 700) {
  return End(s, Op::kReset, rank, life, request);
}

auto PushInLife(Shard& s, WorkerRank rank, uint64_t life, Round round, uint64_t value) {
  RequestEntry entry = InLife(Shard::EntryOf(Op::kPush, 800 + round), life, round);
  entry.piece.data = NumberPayload(value);
  return s.Send(Shard::FrameOf(rank, entry));
}

ReplyEntry PullInLife(Shard& s, uint64_t life, Round round = 0) {
  const auto pulled =
      s.Send(Shard::FrameOf(0, InLife(Shard::EntryOf(Op::kPull, 950), life, round)));
  REQUIRE(pulled.size() == 1);
  return pulled[0].second;
}

TEST_CASE("a reset ends a life, and the next one has the value", "[core][reset]") {
  const std::string type = GENERATE("dist_sync", "dist_async");
  CAPTURE(type);
  Shard s(2, {}, type);
  s.Init(0, 5, 1);
  s.SetOptimizer(0, "sum", 2);
  PushInLife(s, 0, 0, 1, 10);
  PushInLife(s, 1, 0, 1, 20);
  const uint64_t value = NumberOf(PullInLife(s, 0).data);
  CHECK(value != 5);
  // Of what is open nothing is left.
  const auto parked = PushInLife(s, 1, 0, 3, 40);
  REQUIRE(parked.size() == 1);
  CHECK(parked[0].second.progress == Progress::kReceived);
  CHECK(s.core.Status().parked_bytes > 0);
  const auto answers = Reset(s, 0, 0);
  REQUIRE(answers.size() == 2);
  for (const auto& [rank, entry] : answers) {
    if (rank == 0) {
      CHECK(entry.progress == Progress::kDone);
      CHECK(entry.life == 1);
    } else {
      CHECK(entry.op == Op::kPush);
      CHECK(entry.code == absl::StatusCode::kNotFound);
      CHECK_THAT(entry.message, Contains("key 17 was reset: call Reset, or Delete"));
    }
  }
  const ShardStatus status = s.core.Status();
  CHECK(status.keys == 1);
  CHECK(status.parked_bytes == 0);
  CHECK(status.open_rounds.empty());
  const ReplyEntry pulled = PullInLife(s, 1);
  CHECK(NumberOf(pulled.data) == value);
  CHECK(pulled.version == 0);
  CHECK(PullInLife(s, 0).code == absl::StatusCode::kNotFound);
  // Rounds begin with 1.
  PushInLife(s, 0, 1, 1, 3);
  PushInLife(s, 1, 1, 1, 4);
  CHECK(PullInLife(s, 1, 1).version == (type == "dist_sync" ? 1 : 2));
}

TEST_CASE("a RESET that comes again resets nothing", "[core][reset]") {
  Shard s(2);
  s.Init(0, 5, 1);
  Reset(s, 0, 0);
  PushInLife(s, 0, 1, 1, 3);
  PushInLife(s, 1, 1, 1, 4);
  const uint64_t value = NumberOf(PullInLife(s, 1, 1).data);
  PushInLife(s, 0, 1, 2, 3);
  const auto again = Reset(s, 0, 0);
  REQUIRE(again.size() == 1);
  CHECK(again[0].second.progress == Progress::kDone);
  CHECK(again[0].second.life == 1);
  CHECK(PullInLife(s, 1).version == 1);
  CHECK(PushInLife(s, 1, 1, 2, 4).size() == 2);  // the round that was open goes on
  CHECK(NumberOf(PullInLife(s, 1, 2).data) != value);
}

TEST_CASE("another worker's RESET waits for rank 0's, and each is answered by one",
          "[core][reset]") {
  Shard s(2);
  s.Init(0, 5, 1);
  CHECK(Reset(s, 1, 0).empty());
  const auto probed = s.Probe(1, Op::kReset, 0, 700);
  REQUIRE(probed.size() == 1);
  CHECK(probed[0].second.progress == Progress::kReceived);
  CHECK(probed[0].second.missing_ranks == Ranks{0});
  const auto answers = Reset(s, 0, 0);
  REQUIRE(answers.size() == 2);
  for (const auto& [rank, entry] : answers) {
    CHECK(entry.progress == Progress::kDone);
    CHECK(entry.life == 1);
  }
  // Rank 0 is two lives ahead: rank 1 goes through both.
  Reset(s, 0, 1, 701);
  Reset(s, 0, 2, 702);
  for (const uint64_t life : {1, 2}) {
    const auto late = Reset(s, 1, life, 800 + life);
    REQUIRE(late.size() == 1);
    CHECK(late[0].second.life == life + 1);
  }
  CHECK(Reset(s, 1, 3, 810).empty());
}

TEST_CASE("a RESET of what there is not, or not yet, is refused", "[core][reset]") {
  Shard s(2);
  CHECK(Reset(s, 0, 0)[0].second.code == absl::StatusCode::kNotFound);
  s.Init(0, 5, 1);
  CHECK(Reset(s, 0, 3)[0].second.code == absl::StatusCode::kInvalidArgument);
  CHECK(Reset(s, 1, 0).empty());
  const auto deleted = End(s, Op::kDelete, 0, 0, 710);
  REQUIRE(deleted.size() == 2);
  for (const auto& [rank, entry] : deleted) {
    const bool reset = entry.op == Op::kReset;
    CHECK(entry.code == (reset ? absl::StatusCode::kNotFound : absl::StatusCode::kOk));
  }
  s.Init(0, 6, 720);
  const auto late = Reset(s, 0, 0);
  CHECK(late[0].second.code == absl::StatusCode::kNotFound);
  CHECK_THAT(late[0].second.message, Contains("was deleted, and made anew"));
  CHECK(NumberOf(PullInLife(s, 1).data) == 6);
}

TEST_CASE("a DELETE of any life of a value that was reset deletes it", "[core][reset]") {
  Shard s(2);
  s.Init(0, 5, 1);
  CHECK(End(s, Op::kDelete, 1, 0, 600).empty());
  CHECK(Reset(s, 0, 0).size() == 1);  // the DELETE waits on
  const auto answers = End(s, Op::kDelete, 0, 0, 710);
  REQUIRE(answers.size() == 2);
  for (const auto& [rank, entry] : answers) CHECK(entry.progress == Progress::kDone);
  CHECK(s.core.Status().keys == 0);
  CHECK(End(s, Op::kDelete, 1, 1, 601)[0].second.progress == Progress::kDone);
  s.Init(0, 6, 720);
  CHECK(End(s, Op::kDelete, 0, 1, 711)[0].second.progress == Progress::kDone);  // late
  CHECK(NumberOf(PullInLife(s, 2).data) == 6);
}

TEST_CASE("an operator resets keys, and those that wait are told", "[core][reset]") {
  Shard s(2);
  s.Init(0, 5, 1);
  PushInLife(s, 1, 0, 1, 7);
  ServerOutbox out;
  CHECK(s.core.ResetKeys("17", false, true, &out).size() == 1);
  CHECK(out.empty());
  CHECK(s.core.ResetKeys("1", false, false, &out).empty());
  const std::vector<DeletedKey> reset = s.core.ResetKeys("1", true, false, &out);
  REQUIRE(reset.size() == 1);
  CHECK(reset[0].parts == 1);
  REQUIRE(out.size() == 1);
  CHECK(out[0].frame.entries.at(0).code == absl::StatusCode::kNotFound);
  CHECK(s.core.Status().keys == 1);
  CHECK(NumberOf(PullInLife(s, 1).data) == 5);
  CHECK(Reset(s, 1, 0)[0].second.life == 1);  // no worker waits for rank 0's
}

TEST_CASE("an operator reads parts one by one, and changes nothing", "[core][read]") {
  Shard s(2);
  KeySpec spec = SpecOf(kKey);
  for (PartIndex part = 0; part < 3; ++part) {
    RequestEntry entry = Shard::EntryOf(Op::kInit, 1 + part);
    entry.part = 2 * part;
    entry.piece.data = NumberPayload(5);
    RequestFrame frame = Shard::FrameOf(0, entry);
    frame.keys.push_back(spec);
    s.Send(frame);
  }
  PushInLife(s, 0, 0, 1, 7);
  PartRange range;
  range.key = kKey;
  range.part_begin = 1;
  range.part_end = 4;
  const ReadPart read = s.core.Read(range, 1, 0, 100);
  CHECK(read.found);
  CHECK(read.part == 2);
  CHECK(read.version == 0);
  CHECK_FALSE(read.more);  // part 4 is not asked for
  range.part_end = 5;
  CHECK(s.core.Read(range, 1, 0, 100).more);
  CHECK(s.core.Read(range, 1, 0, 100).next_part == 4);
  CHECK_FALSE(s.core.Read(range, 5, 0, 100).found);
  range.key = 99;
  CHECK_FALSE(s.core.Read(range, 0, 0, 100).found);
  CHECK(PushInLife(s, 1, 0, 1, 8).size() == 2);
}

}  // namespace
}  // namespace kvstore::testing
