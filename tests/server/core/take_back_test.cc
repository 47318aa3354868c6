// An Init that rank 0 takes back.
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/core/shard_under_test.h"

namespace kvstore {
namespace {

using testing::kKey;
using testing::Shard;
using testing::SpecOf;

constexpr uint64_t kPartBytes = 16;  // what HashValues charges

KeySpec ShapeOf(Shape shape) {
  KeySpec spec = SpecOf(kKey);
  spec.shape = std::move(shape);
  return spec;
}

// The reply to rank 0's TAKE_BACK of what the Init with this request number brought.
ReplyEntry TakeBack(Shard& shard, RequestId init, RequestId request, WorkerRank rank = 0,
                    PartIndex part = 0) {
  RequestEntry entry = Shard::EntryOf(Op::kTakeBack, request);
  entry.takes_back = init;
  entry.part = part;
  const auto replies = shard.Send(Shard::FrameOf(rank, entry));
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].second.op == Op::kTakeBack);
  CHECK(replies[0].second.request == request);
  CHECK(replies[0].second.progress == (rank == 0 ? Progress::kDone : Progress::kUnspecified));
  return replies[0].second;
}

RequestFrame InitPart(PartIndex part, RequestId request, const KeySpec& spec) {
  RequestEntry entry = Shard::EntryOf(Op::kInit, request);
  entry.part = part;
  entry.piece.data = NumberPayload(7);
  RequestFrame frame = Shard::FrameOf(0, entry);
  frame.keys.push_back(spec);
  return frame;
}

TEST_CASE("what is taken back gives its memory back, and another shape may come",
          "[core][take_back]") {
  ServerCoreOptions options;
  options.value_bytes_max = kPartBytes;
  Shard shard(1, options);
  CHECK(shard.Init(0, 7, 1)[0].second.code == absl::StatusCode::kOk);
  CHECK(TakeBack(shard, 1, 2).code == absl::StatusCode::kOk);
  CHECK(shard.core.Status().value_bytes == 0);
  CHECK(shard.core.Status().keys == 0);
  CHECK(shard.Pull(0, 0)[0].second.code == absl::StatusCode::kNotFound);
  CHECK(shard.Init(0, 8, 3, ShapeOf({2, 3}))[0].second.code == absl::StatusCode::kOk);
  CHECK(shard.core.Status().value_bytes == kPartBytes);
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == 8);
}

TEST_CASE("a key is known until its last part is taken back", "[core][take_back]") {
  Shard shard(1);
  shard.Send(InitPart(0, 1, ShapeOf({1 << 20})));
  shard.Send(InitPart(1, 2, ShapeOf({1 << 20})));
  TakeBack(shard, 1, 3);
  CHECK(shard.core.Status().keys == 1);
  CHECK(shard.Send(InitPart(0, 4, ShapeOf({2})))[0].second.code ==
        absl::StatusCode::kInvalidArgument);
  TakeBack(shard, 2, 5, 0, 1);
  CHECK(shard.core.Status().keys == 0);
  CHECK(shard.Send(InitPart(0, 6, ShapeOf({2})))[0].second.code == absl::StatusCode::kOk);
}

TEST_CASE("a late repeat of an Init that was taken back creates nothing", "[core][take_back]") {
  ServerCoreOptions options;
  options.value_bytes_max = kPartBytes;
  Shard shard(1, options);
  SECTION("of one that was taken") { CHECK(shard.Init(0, 7, 2).size() == 1); }
  SECTION("of one that was refused") {
    CHECK(shard.Init(0, 7, 1, SpecOf(18))[0].second.code == absl::StatusCode::kOk);
    CHECK(shard.Init(0, 7, 2)[0].second.code == absl::StatusCode::kResourceExhausted);
    RequestEntry other = Shard::EntryOf(Op::kTakeBack, 3);
    other.key = 18;
    other.takes_back = 1;
    CHECK(shard.Send(Shard::FrameOf(0, other))[0].second.code == absl::StatusCode::kOk);
  }
  CHECK(TakeBack(shard, 2, 4).code == absl::StatusCode::kOk);
  const auto late = shard.Init(0, 7, 2);
  REQUIRE(late.size() == 1);
  CHECK(late[0].second.code == absl::StatusCode::kOk);  // nobody waits for it
  CHECK(shard.core.Status().value_bytes == 0);
  CHECK(shard.core.Status().keys == 0);
  CHECK(shard.Init(0, 9, 5)[0].second.code == absl::StatusCode::kOk);
  shard.Init(0, 7, 2);
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == 9);
}

TEST_CASE("a take-back repeats harmlessly, and one of an absent part is nothing",
          "[core][take_back]") {
  Shard shard(1);
  CHECK(TakeBack(shard, 1, 2).code == absl::StatusCode::kOk);
  shard.Init(0, 7, 3);
  CHECK(TakeBack(shard, 3, 4).code == absl::StatusCode::kOk);
  CHECK(TakeBack(shard, 3, 4).code == absl::StatusCode::kOk);
  CHECK(shard.core.Status().value_bytes == 0);
  shard.Init(0, 8, 5);
  CHECK(TakeBack(shard, 3, 4).code == absl::StatusCode::kOk);  // late: it means the former value
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == 8);
}

TEST_CASE("a take-back never takes what another Init brought", "[core][take_back]") {
  Shard shard(1);
  shard.Init(0, 7, 1);
  CHECK(shard.Init(0, 9, 2)[0].second.code == absl::StatusCode::kAlreadyExists);
  CHECK(shard.Init(0, 9, 3, ShapeOf({5}))[0].second.code == absl::StatusCode::kInvalidArgument);
  CHECK(TakeBack(shard, 2, 4).code == absl::StatusCode::kOk);
  CHECK(TakeBack(shard, 3, 5).code == absl::StatusCode::kOk);
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == 7);
  CHECK(shard.core.Status().value_bytes == kPartBytes);
}

TEST_CASE("a part that was pushed to is not taken back", "[core][take_back]") {
  const std::string type = GENERATE("dist_sync", "dist_async");
  CAPTURE(type);
  Shard shard(2, {}, type);
  shard.Init(0, 7, 1);
  shard.SetOptimizer(0, "sum", 2);
  shard.Push(1, 1, 5);  // synchronous: open, asynchronous: applied
  const ReplyEntry refused = TakeBack(shard, 1, 3);
  CHECK(refused.code == absl::StatusCode::kFailedPrecondition);
  CHECK(refused.message ==
        "key 17 part 0: a value as Init brought it expected, it was pushed to: at version " +
            std::string(type == "dist_sync" ? "0" : "1"));
  CHECK(shard.core.Status().value_bytes == kPartBytes);
}

TEST_CASE("only rank 0 takes back what it brought", "[core][take_back]") {
  Shard shard(2);
  shard.Init(0, 7, 1);
  const ReplyEntry refused = TakeBack(shard, 1, 3, 1);
  CHECK(refused.code == absl::StatusCode::kInvalidArgument);
  CHECK(refused.message == "key 17: TAKE_BACK comes from rank 0, got it from rank 1");
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == 7);
}

TEST_CASE("Inits that wait outlast a take-back", "[core][take_back]") {
  Shard shard(2);
  KeySpec rows = SpecOf(kKey);
  rows.storage = Storage::kRowSparse;
  RequestFrame first = InitPart(0, 1, rows);
  first.entries[0].piece.fragments = 2;
  first.entries[0].piece.create = true;
  CHECK(shard.Send(first)[0].second.code == absl::StatusCode::kOk);
  CHECK(shard.Init(1, std::nullopt, 1, rows).empty());
  CHECK(shard.core.Status().value_bytes == kPartBytes);
  CHECK(TakeBack(shard, 1, 3).code == absl::StatusCode::kOk);  // half a value
  CHECK(shard.core.Status().value_bytes == 0);
  CHECK(shard.core.Status().keys == 0);
  CHECK(shard.Probe(1, Op::kInit, 0, 1)[0].second.progress == Progress::kReceived);
  const auto answers = shard.Init(0, 8, 4, rows);
  REQUIRE(answers.size() == 2);
  for (const auto& [rank, reply] : answers) CHECK(reply.code == absl::StatusCode::kOk);
}

TEST_CASE("a probe of a take-back has it sent again", "[core][take_back]") {
  Shard shard(1);
  shard.Init(0, 7, 1);
  CHECK(shard.Probe(0, Op::kTakeBack, 1, 2)[0].second.progress == Progress::kUnknown);
  CHECK(shard.core.Status().keys == 1);
}

}  // namespace
}  // namespace kvstore
