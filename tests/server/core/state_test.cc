// READ_STATE and WRITE_STATE at one shard.
#include <catch2/catch.hpp>

#include "tests/server/core/shard_under_test.h"

namespace kvstore::testing {
namespace {

using Catch::Matchers::Contains;

RequestEntry Noted(Op op, RequestId request, Payload note, uint64_t life = 0) {
  RequestEntry entry = Shard::EntryOf(op, request);
  entry.piece.data = std::move(note);
  entry.life = life;
  return entry;
}

ReplyEntry Only(const std::vector<std::pair<WorkerRank, ReplyEntry>>& replies) {
  REQUIRE(replies.size() == 1);
  return replies[0].second;
}

ReplyEntry Write(Shard& s, RequestId request, const StatePage& page, WorkerRank rank = 0,
                 uint64_t life = 0) {
  return Only(
      s.Send(Shard::FrameOf(rank, Noted(Op::kWriteState, request, EncodeStatePage(page), life))));
}

StatePage OrderOf(StateVerb verb) {
  StatePage page;
  page.verb = verb;
  return page;
}

// Both pages of a state that is this number.
void Bring(Shard& s, RequestId request, uint64_t state) {
  for (const uint64_t from : {0, 4}) {
    const ReplyEntry reply = Write(s, request + from, NumberValue::PageOf(state, from));
    CHECK(reply.code == absl::StatusCode::kOk);
    CHECK(reply.progress == Progress::kDone);
  }
}

uint64_t StateOf(Shard& s, uint64_t life = 0) {
  std::string bytes;
  for (const uint64_t from : {0, 4}) {
    const ReplyEntry reply = Only(s.Send(
        Shard::FrameOf(1, Noted(Op::kReadState, 900, EncodeStateCursor({0, from, false}), life))));
    REQUIRE(reply.code == absl::StatusCode::kOk);
    CHECK(reply.progress == Progress::kDone);
    const absl::StatusOr<StatePage> page = DecodeStatePage(reply.data);
    REQUIRE(page.ok());
    bytes += page->data.ToString();
  }
  return NumberOf(Payload::CopyOf(bytes));
}

}  // namespace

TEST_CASE("a state is read by every rank, with the version of its part", "[core][states]") {
  Shard s(2);
  s.Init(0, 5, 1);
  Bring(s, 10, 77);
  REQUIRE(Write(s, 20, OrderOf(StateVerb::kCommit)).code == absl::StatusCode::kOk);
  CHECK(StateOf(s) == 77);
  s.Push(0, 1, 3);
  s.Push(1, 1, 4);
  const ReplyEntry reply =
      Only(s.Send(Shard::FrameOf(1, Noted(Op::kReadState, 901, EncodeStateCursor({})))));
  CHECK(reply.version == 1);
  const ReplyEntry wrong =
      Only(s.Send(Shard::FrameOf(1, Noted(Op::kReadState, 902, EncodeStateCursor({7, 0, false})))));
  CHECK(wrong.code == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("what is brought takes its place with the commit, as a whole", "[core][states]") {
  Shard s(2);
  s.Init(0, 5, 1);
  const uint64_t bytes = s.core.Status().value_bytes;
  Bring(s, 10, 77);
  CHECK(StateOf(s) == 0);
  REQUIRE(Write(s, 20, OrderOf(StateVerb::kDrop)).code == absl::StatusCode::kOk);
  CHECK(Write(s, 21, OrderOf(StateVerb::kCommit)).code == absl::StatusCode::kFailedPrecondition);
  CHECK(StateOf(s) == 0);
  // Half of one, and then another one.
  CHECK(Write(s, 30, NumberValue::PageOf(88, 0)).code == absl::StatusCode::kOk);
  CHECK(Write(s, 31, OrderOf(StateVerb::kCommit)).code == absl::StatusCode::kFailedPrecondition);
  Bring(s, 40, 99);
  REQUIRE(Write(s, 50, OrderOf(StateVerb::kCommit)).code == absl::StatusCode::kOk);
  CHECK(StateOf(s) == 99);
  CHECK(s.core.Status().value_bytes == bytes);
}

TEST_CASE("a WRITE_STATE that comes again, however late, changes nothing", "[core][states]") {
  const std::string type = GENERATE("dist_sync", "dist_async");
  CAPTURE(type);
  Shard s(2, {}, type);
  s.Init(0, 5, 1);
  s.SetOptimizer(0, "sum", 2);
  Bring(s, 10, 77);
  Write(s, 20, OrderOf(StateVerb::kCommit));
  Bring(s, 30, 88);
  Write(s, 40, OrderOf(StateVerb::kCommit));
  Bring(s, 10, 77);
  CHECK(Write(s, 20, OrderOf(StateVerb::kCommit)).progress == Progress::kDone);
  CHECK(StateOf(s) == 88);
  // Not even to what is being brought.
  CHECK(Write(s, 50, NumberValue::PageOf(99, 0)).code == absl::StatusCode::kOk);
  CHECK(Write(s, 30, NumberValue::PageOf(88, 0)).code == absl::StatusCode::kOk);
  CHECK(Write(s, 51, NumberValue::PageOf(99, 4)).code == absl::StatusCode::kOk);
  CHECK(Write(s, 52, OrderOf(StateVerb::kCommit)).code == absl::StatusCode::kOk);
  CHECK(StateOf(s) == 99);
  // Who asks after one is told to send it again, and then that it was done.
  CHECK(Only(s.Probe(0, Op::kWriteState, 0, 52)).progress == Progress::kUnknown);
  CHECK(Write(s, 52, OrderOf(StateVerb::kCommit)).progress == Progress::kDone);
}

TEST_CASE("a state is brought by rank 0, while no push waits for its round", "[core][states]") {
  Shard s(2);
  s.Init(0, 5, 1);
  const ReplyEntry other = Write(s, 10, NumberValue::PageOf(1, 0), /*rank=*/1);
  CHECK(other.code == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(other.message, Contains("WRITE_STATE comes from rank 0"));
  s.Push(1, 1, 3);
  const ReplyEntry open = Write(s, 11, NumberValue::PageOf(1, 0));
  CHECK(open.code == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(open.message, Contains("key 17 part 0: no push under way expected, one waits for its "
                                    "round at version 0: meet in a Barrier() before"));
  s.Push(0, 1, 3);
  CHECK(Write(s, 12, NumberValue::PageOf(1, 0)).code == absl::StatusCode::kOk);
}

TEST_CASE("states are of a life", "[core][states]") {
  Shard s(2);
  s.Init(0, 5, 1);
  Bring(s, 10, 77);
  RequestEntry reset = Shard::EntryOf(Op::kReset, 20);
  s.Send(Shard::FrameOf(0, reset));
  CHECK(Write(s, 30, OrderOf(StateVerb::kCommit)).code == absl::StatusCode::kNotFound);
  CHECK(Write(s, 31, OrderOf(StateVerb::kCommit), 0, 1).code ==
        absl::StatusCode::kFailedPrecondition);
  CHECK(StateOf(s, 1) == 0);
  CHECK(Only(s.Send(Shard::FrameOf(1, Noted(Op::kReadState, 901, EncodeStateCursor({}))))).code ==
        absl::StatusCode::kNotFound);
}

TEST_CASE("pages that wait to be sent to a worker are bounded", "[core][states]") {
  ServerCoreOptions options;
  options.reply_bytes_max = 10;
  Shard s(1, options);
  s.Init(0, 5, 1);
  RequestFrame frame = Shard::FrameOf(0, Noted(Op::kReadState, 10, EncodeStateCursor({})));
  frame.entries.push_back(Noted(Op::kReadState, 11, EncodeStateCursor({})));
  const auto replies = s.Send(frame);
  REQUIRE(replies.size() == 2);
  CHECK(replies[0].second.code == absl::StatusCode::kOk);
  CHECK(replies[1].second.code == absl::StatusCode::kResourceExhausted);
  CHECK(replies[1].second.retry_after_ms > 0);
}

}  // namespace kvstore::testing
