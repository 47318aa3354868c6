// Deleting a key, and making it anew: what becomes of everybody who has to do with it.
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

auto Delete(Shard& s, WorkerRank rank, uint64_t life, RequestId request = 700) {
  return s.Send(Shard::FrameOf(rank, InLife(Shard::EntryOf(Op::kDelete, request), life)));
}

auto PushInLife(Shard& s, WorkerRank rank, uint64_t life, Round round, uint64_t value) {
  RequestEntry entry = InLife(Shard::EntryOf(Op::kPush, 800 + round), life, round);
  entry.piece.data = NumberPayload(value);
  return s.Send(Shard::FrameOf(rank, entry));
}

TEST_CASE("an Init that was refused, and comes once more after the deletion, makes no key",
          "[core][delete]") {
  Shard s(1);
  s.Init(0, 5, 1);
  CHECK(s.Init(0, 6, 2)[0].second.code == absl::StatusCode::kAlreadyExists);
  Delete(s, 0, 0);
  s.Init(0, 6, 2);  // sent again, or late
  CHECK(s.core.Status().keys == 0);
  CHECK(s.Init(0, 7, 3)[0].second.code == absl::StatusCode::kOk);
  CHECK(s.core.Status().keys == 1);
}

TEST_CASE("rank 0 deletes a key, and whoever waits at it is told", "[core][delete]") {
  const std::string type = GENERATE("dist_sync", "dist_ssp:0");
  CAPTURE(type);
  ServerCoreOptions options;
  Shard s(2, options, type);
  KeySpec spec = SpecOf(KeyIdOf(std::string_view("w")));
  spec.name = "w";
  const auto of_key = [&](RequestEntry entry) {
    entry.key = spec.key;
    return entry;
  };
  s.Init(0, 5, 1, spec);
  s.SetOptimizer(0, "sum", 2);
  RequestEntry push = of_key(Shard::EntryOf(Op::kPush, 10));
  push.round = 1;
  push.piece.data = NumberPayload(7);
  s.Send(Shard::FrameOf(1, push));
  RequestEntry later = push;
  later.request = 11;
  later.round = 3;  // parked
  s.Send(Shard::FrameOf(1, later));
  CHECK(s.core.Status().parked_bytes > 0);
  RequestEntry pull = of_key(Shard::EntryOf(Op::kPull, 12));
  pull.round = 1;
  CHECK(s.Send(Shard::FrameOf(1, pull)).empty());

  const auto answers = s.Send(Shard::FrameOf(0, of_key(Shard::EntryOf(Op::kDelete, 20))));
  size_t told = 0;
  for (const auto& [rank, entry] : answers) {
    if (rank == 0) {
      CHECK(entry.op == Op::kDelete);
      CHECK(entry.progress == Progress::kDone);
      CHECK(entry.code == absl::StatusCode::kOk);
      continue;
    }
    ++told;
    CHECK(entry.code == absl::StatusCode::kNotFound);
    CHECK_THAT(entry.message, Contains("key 'w' was deleted"));
  }
  CHECK(told == (type == "dist_sync" ? 3 : 2));  // with a bound the first push was over
  const ShardStatus status = s.core.Status();
  CHECK(status.keys == 0);
  CHECK(status.value_bytes == 0);
  CHECK(status.parked_bytes == 0);
  CHECK(status.open_rounds.empty());
  for (const RequestEntry& entry : {push, pull}) {
    const auto after = s.Send(Shard::FrameOf(1, entry));
    REQUIRE(after.size() == 1);
    CHECK(after[0].second.code == absl::StatusCode::kNotFound);
    CHECK_THAT(after[0].second.message, Contains("key 'w' was deleted"));
  }
}

TEST_CASE("another worker's DELETE waits for rank 0's", "[core][delete]") {
  Shard s(2);
  s.Init(0, 5, 1);
  CHECK(Delete(s, 1, 0).empty());
  const auto probed = s.Probe(1, Op::kDelete, 0, 700);
  REQUIRE(probed.size() == 1);
  CHECK(probed[0].second.progress == Progress::kReceived);
  CHECK(probed[0].second.missing_ranks == Ranks{0});
  CHECK(NumberOf(s.Pull(0, 0)[0].second.data) == 5);  // nothing is deleted yet
  const auto answers = Delete(s, 0, 0);
  REQUIRE(answers.size() == 2);
  for (const auto& [rank, entry] : answers) CHECK(entry.progress == Progress::kDone);
  CHECK(Delete(s, 1, 0)[0].second.progress == Progress::kDone);  // a repeat, or one that comes late
}

TEST_CASE("a key that was deleted is made anew, and counts from the beginning", "[core][delete]") {
  Shard s(2);
  s.Init(0, 5, 1);
  s.Push(0, 1, 10);
  s.Push(1, 1, 20);
  CHECK(Delete(s, 0, 0)[0].second.progress == Progress::kDone);
  CHECK(s.Init(0, 5, 1)[0].second.code == absl::StatusCode::kOk);  // late: it makes nothing
  CHECK(s.Pull(0, 0)[0].second.code == absl::StatusCode::kNotFound);
  KeySpec other = SpecOf(kKey);
  other.dtype = DType::kInt64;
  const auto awaits = s.Init(1, std::nullopt, 30, other);
  CHECK(awaits.empty());
  const auto made = s.Init(0, 6, 31, other);
  REQUIRE(made.size() == 2);
  for (const auto& [rank, entry] : made) {
    CHECK(entry.progress == Progress::kDone);
    CHECK(entry.life == 1);
  }
  // What belongs to the life before changes nothing.
  CHECK(PushInLife(s, 1, 0, 1, 99)[0].second.code == absl::StatusCode::kNotFound);
  CHECK(Delete(s, 0, 0)[0].second.progress == Progress::kDone);
  CHECK(Delete(s, 1, 0)[0].second.progress == Progress::kDone);
  CHECK(s.Probe(1, Op::kPush, 1, 900)[0].second.code == absl::StatusCode::kNotFound);
  CHECK_THAT(s.Pull(1, 0)[0].second.message, Contains("was deleted, and made anew"));
  CHECK(PushInLife(s, 0, 1, 1, 3)[0].second.progress == Progress::kReceived);
  CHECK(PushInLife(s, 1, 1, 1, 4).size() == 2);
  RequestEntry pull = InLife(Shard::EntryOf(Op::kPull, 950), 1, 1);
  const auto value = s.Send(Shard::FrameOf(0, pull));
  REQUIRE(value.size() == 1);
  CHECK(value[0].second.version == 1);
  CHECK(value[0].second.life == 1);
}

TEST_CASE("a DELETE of what there is not, or not yet, is refused", "[core][delete]") {
  Shard s(2);
  CHECK(Delete(s, 0, 0)[0].second.code == absl::StatusCode::kNotFound);
  CHECK(Delete(s, 0, 3)[0].second.code == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("an operator deletes keys by name or by prefix, or asks what would be",
          "[core][delete]") {
  Shard s(1);
  KeySpec named = SpecOf(KeyIdOf(std::string_view("17w")));
  named.name = "17w";
  s.Init(0, 5, 1);
  s.Init(0, 6, 2, named);
  ServerOutbox out;
  CHECK(s.core.DeleteKeys("1", false, false, &out).empty());
  CHECK(s.core.DeleteKeys("17", true, true, &out).size() == 2);
  CHECK(s.core.Status().keys == 2);
  const std::vector<DeletedKey> one = s.core.DeleteKeys("17", false, false, &out);
  REQUIRE(one.size() == 1);
  CHECK(one[0].key == kKey);
  CHECK(one[0].parts == 1);
  CHECK(s.core.DeleteKeys("17", false, false, &out).empty());
  CHECK(s.core.DeleteKeys("17", true, false, &out).size() == 1);
  CHECK(s.core.Status().keys == 0);
  CHECK(out.empty());  // nobody waited
  // The worker hears of it, and may make the key anew.
  CHECK(s.Pull(0, 0)[0].second.code == absl::StatusCode::kNotFound);
  CHECK(Delete(s, 0, 0)[0].second.progress == Progress::kDone);
  CHECK(s.Init(0, 8, 9)[0].second.life == 1);
}

}  // namespace
}  // namespace kvstore::testing
