// Updates that need sums over a whole value: what a part says, what it takes, and when.
#include <catch2/catch.hpp>

#include "common/wire/norm_note.h"
#include "tests/server/core/shard_under_test.h"

namespace kvstore {
namespace {

using testing::Shard;

constexpr uint64_t kInitial = 5;

// A shard with one part of a value of two, whose updater measures so often.
std::unique_ptr<Shard> Measuring(uint32_t workers, uint32_t measurings,
                                 const std::string& type = "dist_sync") {
  auto shard = std::make_unique<Shard>(workers, ServerCoreOptions(), type);
  shard->values.measurings = measurings;
  shard->values.own_updater = true;  // what an asynchronous push needs
  shard->Init(0, kInitial, 1);
  return shard;
}

auto Tell(Shard& shard, WorkerRank rank, Round round, uint32_t known, double norm,
          bool abandoned = false) {
  NormNote note;
  note.parts = 2;
  note.known = known;
  note.norms.squares[0] = norm;
  note.abandoned = abandoned;
  RequestEntry entry = Shard::EntryOf(Op::kNorms, 7000 + round);
  entry.round = round;
  entry.piece.data = EncodeNormNote(note);
  return shard.Send(Shard::FrameOf(rank, entry));
}

NormNote NoteIn(const ReplyEntry& reply) {
  const auto note = DecodeNormNote(reply.data);
  REQUIRE(note.ok());
  return *note;
}

uint64_t Value(Shard& shard, WorkerRank rank) {
  const auto replies = shard.Pull(rank, 0);
  REQUIRE(replies.size() == 1);
  return NumberOf(replies[0].second.data);
}

}  // namespace

TEST_CASE("a complete round says what its part measured, and is updated when it is told the sums",
          "[core][norms]") {
  const auto shard = Measuring(2, 1);
  CHECK(shard->Push(0, 1, 10).at(0).second.data.empty());
  const auto told = shard->Push(1, 1, 20);
  REQUIRE(told.size() == 3);  // both wait for it; then the answer to the push itself
  const uint64_t sum = FoldOne(10, 20);
  for (const auto& [rank, reply] : told) {
    CAPTURE(rank);
    CHECK(reply.op == Op::kPush);
    CHECK(reply.progress == Progress::kReceived);
    const NormNote note = NoteIn(reply);
    CHECK(note.parts == 2);
    CHECK(note.known == 0);
    CHECK(note.measured);
    CHECK(note.own.squares[0] == static_cast<double>(sum));
  }
  CHECK(Value(*shard, 0) == kInitial);

  const auto done = Tell(*shard, 1, 1, 1, 100);
  REQUIRE(done.size() == 3);
  for (const auto& [rank, reply] : done) {
    CHECK(reply.progress == Progress::kDone);
    CHECK(reply.code == absl::StatusCode::kOk);
    if (reply.op != Op::kPush) continue;
    CHECK(NoteIn(reply).known == 1);  // for parts that were not told
    CHECK(NoteIn(reply).norms.squares[0] == 100);
  }
  CHECK(Value(*shard, 0) == HashValues::Expected(kInitial, {sum + 100}));
}

TEST_CASE("whoever asks after a push hears the norms again", "[core][norms]") {
  const auto shard = Measuring(1, 1);
  shard->Push(0, 1, 10);
  const auto probed = shard->Probe(0, Op::kPush, 1, 1001);
  REQUIRE(probed.size() == 1);
  CHECK(probed[0].second.progress == Progress::kReceived);
  CHECK(NoteIn(probed[0].second).own.squares[0] == 10);
  CHECK(NoteIn(shard->Push(0, 1, 10).at(0).second).own.squares[0] == 10);  // a repeat
  Tell(*shard, 0, 1, 1, 3);
  CHECK(NoteIn(shard->Probe(0, Op::kPush, 1, 1001).at(0).second).norms.squares[0] == 3);
  CHECK(NoteIn(shard->Push(0, 1, 10).at(0).second).norms.squares[0] == 3);
}

TEST_CASE("norms count once, for their round, and not before the part has measured",
          "[core][norms]") {
  const auto shard = Measuring(2, 1);
  const auto early = Tell(*shard, 0, 1, 1, 100);
  REQUIRE(early.size() == 1);
  CHECK(early[0].second.code == absl::StatusCode::kFailedPrecondition);
  shard->Push(0, 1, 10);
  CHECK(Tell(*shard, 0, 1, 1, 100).at(0).second.code == absl::StatusCode::kFailedPrecondition);
  shard->Push(1, 1, 20);
  Tell(*shard, 0, 1, 1, 100);
  const uint64_t value = Value(*shard, 0);
  shard->Push(0, 2, 30);
  shard->Push(1, 2, 40);
  // The other worker's, which come late.
  CHECK(Tell(*shard, 1, 1, 1, 100).at(0).second.code == absl::StatusCode::kOk);
  CHECK(Value(*shard, 0) == value);
  Tell(*shard, 1, 2, 1, 7);
  CHECK(Value(*shard, 0) == HashValues::Expected(value, {FoldOne(30, 40) + 7}));
}

TEST_CASE("a second measuring knows what the first one found", "[core][norms]") {
  const auto shard = Measuring(1, 2);
  shard->Push(0, 1, 10);
  const auto told = Tell(*shard, 0, 1, 1, 100);
  REQUIRE(told.size() == 2);
  const NormNote note = NoteIn(told[0].second);
  CHECK(note.known == 1);
  CHECK(note.own.squares == std::array<double, 4>{0, 110, 0, 0});
  CHECK(Tell(*shard, 0, 1, 1, 100).size() == 1);  // a repeat
  CHECK(Value(*shard, 0) == kInitial);
  Tell(*shard, 0, 1, 2, 100);
  CHECK(Value(*shard, 0) == HashValues::Expected(kInitial, {10 + 100}));
}

TEST_CASE("without the norms of the whole value a round fails, and the next one begins",
          "[core][norms]") {
  const auto shard = Measuring(1, 1);
  shard->Push(0, 1, 10);
  const auto done = Tell(*shard, 0, 1, 0, 0, /*abandoned=*/true);
  REQUIRE(done.size() == 2);
  CHECK(done[0].second.op == Op::kPush);
  CHECK(done[0].second.code == absl::StatusCode::kFailedPrecondition);
  CHECK(Value(*shard, 0) == kInitial);
  shard->Push(0, 2, 20);
  Tell(*shard, 0, 2, 1, 1);
  CHECK(Value(*shard, 0) == HashValues::Expected(kInitial, {21}));
}

TEST_CASE("a worker that leaves makes the round complete, and the others hear of norms",
          "[core][norms]") {
  const auto shard = Measuring(2, 1);
  shard->Push(0, 1, 10);
  const auto replies = shard->Leave(1);
  REQUIRE(replies.size() == 2);
  CHECK(replies[0].first == 0);
  CHECK(NoteIn(replies[0].second).own.squares[0] == 10);
}

TEST_CASE("nobody is waited for any more while a round waits for norms", "[core][norms]") {
  const auto shard = Measuring(2, 1);
  shard->now_ms = 100;
  shard->Push(0, 1, 10);
  shard->now_ms = 130;
  shard->Push(1, 1, 20);
  shard->now_ms = 500;
  Tell(*shard, 0, 1, 1, 1);
  CHECK(shard->core.Status().waited_for_ms == std::vector<int64_t>{0, 30});
}

TEST_CASE("no optimizer is set while an update waits for norms", "[core][norms]") {
  const auto shard = Measuring(1, 1);
  shard->values.own_updater = false;
  shard->Push(0, 1, 10);
  const auto put_off = shard->SetOptimizer(0, "adam", 2000);
  REQUIRE(put_off.size() == 1);
  CHECK(put_off[0].second.code == absl::StatusCode::kUnavailable);
  CHECK(put_off[0].second.retry_after_ms > 0);
  CHECK(shard->values.optimizers.empty());
  Tell(*shard, 0, 1, 1, 1);
  CHECK(shard->SetOptimizer(0, "adam", 2000).at(0).second.code == absl::StatusCode::kOk);
  CHECK(shard->values.optimizers == std::vector<std::string>{"adam"});
}

TEST_CASE("an asynchronous push waits for its own norms, and holds no other worker's",
          "[core][norms][async]") {
  const auto shard = Measuring(2, 1, "dist_async");
  const auto own = shard->Push(0, 1, 10);
  CHECK(NoteIn(own.at(0).second).own.squares[0] == 10);
  shard->Push(0, 2, 30);
  shard->Push(1, 1, 20);
  Tell(*shard, 1, 1, 1, 2);
  const uint64_t second = HashValues::Expected(kInitial, {20 + 2});
  CHECK(Value(*shard, 0) == second);
  const auto next = Tell(*shard, 0, 1, 1, 1);  // applied; the next push of rank 0 is measured
  CHECK(Value(*shard, 0) == HashValues::Expected(second, {10 + 1}));
  bool told = false;
  for (const auto& [rank, reply] : next) {
    told |= reply.round == 2 && reply.op == Op::kPush && NoteIn(reply).own.squares[0] == 30;
  }
  CHECK(told);
}

}  // namespace kvstore
