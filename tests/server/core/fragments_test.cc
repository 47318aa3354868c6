// Contributions and values in fragments, and pulls of rows.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/core/shard_under_test.h"

namespace kvstore {
namespace {

using testing::kKey;
using testing::Shard;
using testing::SpecOf;

// A row-sparse key: fragments may be many.
KeySpec RowsOf(KeyId key) {
  KeySpec spec = SpecOf(key);
  spec.storage = Storage::kRowSparse;
  return spec;
}

RequestEntry Fragment(Op op, RequestId request, uint32_t fragment, uint32_t fragments,
                      uint64_t value) {
  RequestEntry entry = Shard::EntryOf(op, request);
  entry.round = op == Op::kPush ? 1 : 0;
  entry.piece.fragment = fragment;
  entry.piece.fragments = fragments;
  entry.piece.data = NumberPayload(value);
  return entry;
}

RequestFrame InitFragment(RequestId request, uint32_t fragment, uint32_t fragments,
                          uint64_t value) {
  RequestFrame frame = Shard::FrameOf(0, Fragment(Op::kInit, request, fragment, fragments, value));
  frame.entries[0].piece.create = true;
  frame.keys.push_back(RowsOf(kKey));
  return frame;
}

TEST_CASE("a contribution counts when all its fragments came, in any order, each once", "[core]") {
  const uint64_t seed = GENERATE(take(50, random<uint64_t>(1, 1u << 30)));
  const std::string type = GENERATE("dist_sync", "dist_async");
  CAPTURE(seed, type);
  std::mt19937_64 random(seed);
  constexpr uint32_t kFragments = 3;
  ServerCoreOptions options;
  options.parked_bytes_max = 8 * (random() % 4);
  Shard shard(2, options, type);
  shard.Init(0, 1, 1, RowsOf(kKey));
  shard.SetOptimizer(0, "sum", 2);
  std::vector<std::pair<WorkerRank, uint32_t>> todo;
  for (const WorkerRank rank : {0u, 1u}) {
    for (uint32_t fragment = 0; fragment < kFragments; ++fragment)
      todo.emplace_back(rank, fragment);
  }
  int steps = 0;
  std::map<WorkerRank, std::set<RequestId>> done;
  std::vector<WorkerRank> order;  // asynchronous: of their last fragments
  std::map<WorkerRank, size_t> taken;
  while (!todo.empty()) {
    REQUIRE(++steps < 10000);
    const size_t pick = random() % todo.size();
    const auto [rank, fragment] = todo[pick];
    bool refused = false;
    for (uint64_t repeat = 0; repeat <= random() % 3 && !refused; ++repeat) {
      const RequestFrame frame = Shard::FrameOf(
          rank, Fragment(Op::kPush, 10 + fragment, fragment, kFragments, 100 * rank + fragment));
      for (const auto& [to, reply] : shard.Send(frame)) {
        refused |= to == rank && reply.retry_after_ms > 0;
        if (reply.progress == Progress::kDone) done[to].insert(reply.request);
      }
      CHECK(shard.core.Status().parked_bytes <= options.parked_bytes_max);
    }
    if (refused) continue;
    todo.erase(todo.begin() + static_cast<ptrdiff_t>(pick));
    if (++taken[rank] == kFragments) order.push_back(rank);
    const bool over = type == "dist_async" ? taken[rank] == kFragments : todo.empty();
    CHECK(done[rank].empty() == !over);
  }
  for (const WorkerRank rank : {0u, 1u}) CHECK(done[rank] == std::set<RequestId>{10, 11, 12});
  uint64_t expected = HashValues::Expected(1, {0, 1, 2, 100, 101, 102});
  if (type == "dist_async") {
    expected = 1;
    for (const uint64_t rank : order) {
      expected = HashValues::Expected(expected, {100 * rank, 100 * rank + 1, 100 * rank + 2});
    }
  }
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == expected);
  CHECK(shard.core.Status().parked_bytes == 0);
  CHECK(shard.core.Status().open_rounds.empty());
}

TEST_CASE("a worker of which fragments came is waited for, even when it left", "[core]") {
  Shard shard(2);
  shard.Init(0, 1, 1, RowsOf(kKey));
  shard.Send(Shard::FrameOf(1, Fragment(Op::kPush, 10, 0, 2, 5)));
  shard.Leave(1);
  shard.Push(0, 1, 7);
  CHECK(shard.core.Status().open_rounds.at(0).missing == std::vector<WorkerRank>{1});
  CHECK(shard.Send(Shard::FrameOf(1, Fragment(Op::kPush, 11, 1, 2, 6))).size() == 3);
  CHECK(NumberOf(shard.Pull(0, 1)[0].second.data) == HashValues::Expected(1, {7, 5, 6}));
}

TEST_CASE("fragments that cannot be are refused, and nothing of them is kept", "[core]") {
  Shard shard(2);
  shard.Init(0, 1, 1, RowsOf(kKey));
  const auto message_of = [&](RequestEntry entry) {
    const auto replies = shard.Send(Shard::FrameOf(0, std::move(entry)));
    CHECK(replies.at(0).second.code == absl::StatusCode::kInvalidArgument);
    return replies.at(0).second.message;
  };
  CHECK(message_of(Fragment(Op::kPush, 10, 2, 2, 5)) ==
        "key 17: a fragment of 2 expected, got 2 of 2");
  CHECK(shard.core.Status().open_rounds.empty());
  shard.Send(Shard::FrameOf(0, Fragment(Op::kPush, 10, 0, 2, 5)));
  CHECK(message_of(Fragment(Op::kPush, 11, 1, 3, 5)) ==
        "key 17: a fragment of 2 expected, got 1 of 3");
  shard.Send(Shard::FrameOf(0, Fragment(Op::kPush, 11, 1, 2, 6)));
  shard.Push(1, 1, 7);
  CHECK(NumberOf(shard.Pull(0, 1)[0].second.data) == HashValues::Expected(1, {5, 6, 7}));

  shard.Init(0, 1, 2, SpecOf(18));
  RequestEntry dense = Fragment(Op::kPush, 20, 0, 2, 5);
  dense.key = 18;
  CHECK(message_of(dense) == "key 18: a fragment of 1 (the key is dense) expected, got 0 of 2");
}

TEST_CASE("a refused fragment leaves its contribution as it was: a right one completes it",
          "[core]") {
  const std::string type = GENERATE("dist_sync", "dist_async");
  CAPTURE(type);
  Shard shard(1, {}, type);
  shard.Init(0, 1, 1, RowsOf(kKey));
  shard.SetOptimizer(0, "sum", 2);
  shard.Send(Shard::FrameOf(0, Fragment(Op::kPush, 10, 0, 3, 5)));
  shard.Send(Shard::FrameOf(0, Fragment(Op::kPush, 12, 2, 3, 7)));
  RequestEntry bad = Fragment(Op::kPush, 11, 1, 3, 6);
  bad.piece.data = Payload::CopyOf("four");
  const ReplyEntry refusal = shard.Send(Shard::FrameOf(0, bad)).at(0).second;
  CHECK(refusal.code == absl::StatusCode::kInvalidArgument);
  CHECK(refusal.retry_after_ms == 0);
  CHECK(shard.core.Status().open_rounds.at(0).missing == std::vector<WorkerRank>{0});
  CHECK(shard.Probe(0, Op::kPush, 1, 11)[0].second.progress == Progress::kUnknown);

  CHECK(shard.Send(Shard::FrameOf(0, Fragment(Op::kPush, 13, 1, 3, 6))).size() == 3);
  CHECK(NumberOf(shard.Pull(0, 1)[0].second.data) == HashValues::Expected(1, {5, 6, 7}));
  CHECK(shard.core.Status().open_rounds.empty());
  CHECK(shard.core.Status().parked_bytes == 0);
}

TEST_CASE("a value that is brought in fragments exists when all are in it", "[core]") {
  Shard shard(2);
  CHECK(shard.Init(1, std::nullopt, 1, RowsOf(kKey)).empty());
  REQUIRE(shard.Send(InitFragment(1, 0, 2, 5)).size() == 1);
  CHECK(shard.Pull(0, 0)[0].second.code == absl::StatusCode::kNotFound);
  CHECK(shard.core.Status().value_bytes == 16);

  SECTION("repeats change nothing") {
    CHECK(shard.Send(InitFragment(1, 0, 2, 9))[0].second.code == absl::StatusCode::kOk);
    REQUIRE(shard.Send(InitFragment(2, 1, 2, 6)).size() == 2);  // the one that waited, too
    CHECK(shard.Send(InitFragment(2, 1, 2, 9))[0].second.code == absl::StatusCode::kOk);
    CHECK(shard.Send(InitFragment(1, 0, 2, 9))[0].second.code == absl::StatusCode::kOk);
    CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == HashValues::Filled({5, 6}));
    CHECK(shard.Send(InitFragment(3, 0, 2, 5))[0].second.code == absl::StatusCode::kAlreadyExists);
    CHECK(shard.core.Status().value_bytes == 16);
  }
  SECTION("another Init meanwhile is refused") {
    CHECK(shard.Send(InitFragment(3, 0, 2, 5))[0].second.code == absl::StatusCode::kAlreadyExists);
  }
  SECTION("a fragment out of order is refused") {
    const ReplyEntry reply = shard.Send(InitFragment(2, 1, 3, 6))[0].second;
    CHECK(reply.code == absl::StatusCode::kInvalidArgument);
    CHECK(reply.message == "key 17 part 0: fragment 1 of 2 expected next, got 1 of 3");
  }
  SECTION("one that does not fit undoes the rest, and the value can be brought again") {
    RequestFrame bad = InitFragment(2, 1, 2, 6);
    bad.entries[0].piece.data = Payload::CopyOf("four");
    CHECK(shard.Send(bad)[0].second.code == absl::StatusCode::kInvalidArgument);
    CHECK(shard.core.Status().value_bytes == 0);
    CHECK(shard.Send(InitFragment(3, 1, 2, 6))[0].second.message ==
          "key 17 part 0: fragment 0 first expected, got 1 of 2");
    shard.Send(InitFragment(4, 0, 2, 7));
    CHECK(shard.Send(InitFragment(1, 0, 2, 5))[0].second.code == absl::StatusCode::kOk);  // late
    shard.Send(InitFragment(5, 1, 2, 8));
    CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == HashValues::Filled({7, 8}));
  }
}

TEST_CASE("Init without bytes creates if it says so", "[core]") {
  Shard shard(1);
  shard.values.empty_init = true;
  RequestEntry entry = Shard::EntryOf(Op::kInit, 1);
  entry.piece.create = true;
  RequestFrame frame = Shard::FrameOf(0, entry);
  frame.keys.push_back(RowsOf(kKey));
  CHECK(shard.Send(frame)[0].second.progress == Progress::kDone);
  CHECK(shard.Pull(0, 0)[0].second.code == absl::StatusCode::kOk);
  KeySpec dense = SpecOf(kKey);
  CHECK(shard.Init(0, std::nullopt, 2, dense)[0].second.message ==
        "key 17: row_sparse shape [1] of f64 expected, got shape [1] of f64");
}

TEST_CASE("a pull that asks for rows is told that it waits, and its ids are parked", "[core]") {
  ServerCoreOptions options;
  options.parked_bytes_max = 16;
  Shard shard(2, options);
  shard.Init(0, 1, 1, RowsOf(kKey));
  shard.Push(0, 1, 10);
  RequestEntry pull = Shard::EntryOf(Op::kPull, 20);
  pull.round = 1;
  pull.piece.rows = 1;
  pull.piece.data = NumberPayload(3);
  for (const RequestId request : {20u, 20u, 21u}) {
    pull.request = request;
    const auto replies = shard.Send(Shard::FrameOf(0, pull));
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].second.progress == Progress::kReceived);
  }
  CHECK(shard.core.Status().parked_bytes == 16);
  pull.request = 22;
  CHECK(shard.Send(Shard::FrameOf(0, pull))[0].second.retry_after_ms > 0);
  size_t answers = 0;
  for (const auto& [rank, reply] : shard.Push(1, 1, 11)) {
    if (reply.op != Op::kPull) continue;
    ++answers;
    CHECK(NumberOf(reply.data) == HashValues::Rows(HashValues::Expected(1, {10, 11}), 3));
  }
  CHECK(answers == 2);
  CHECK(shard.core.Status().parked_bytes == 0);
  CHECK(NumberOf(shard.Send(Shard::FrameOf(0, pull))[0].second.data) ==
        HashValues::Rows(HashValues::Expected(1, {10, 11}), 3));
}

TEST_CASE("rows over the bound of one event's replies are put off", "[core]") {
  ServerCoreOptions options;
  options.reply_bytes_max = 16;
  Shard shard(1, options);
  shard.Init(0, 1, 1, RowsOf(kKey));
  const bool waits = GENERATE(false, true);
  RequestFrame pulls = Shard::FrameOf(0, Shard::EntryOf(Op::kPull, 20));
  for (RequestId request = 20; request < 26; ++request) {
    pulls.entries.resize(request - 19, pulls.entries[0]);
    RequestEntry& pull = pulls.entries.back();
    pull.request = request;
    pull.round = waits ? 1 : 0;
    pull.piece.rows = 1;
    pull.piece.data = NumberPayload(request);
  }
  auto replies = shard.Send(pulls);
  if (waits) replies = shard.Push(0, 1, 7);
  std::set<RequestId> answered, put_off;
  for (const auto& [rank, reply] : replies) {
    if (reply.op != Op::kPull) continue;
    (reply.code == absl::StatusCode::kOk ? answered : put_off).insert(reply.request);
    if (reply.code == absl::StatusCode::kOk) continue;
    CHECK(reply.code == absl::StatusCode::kResourceExhausted);
    CHECK(reply.retry_after_ms == options.retry_after_ms);
    CHECK(reply.message == "key 17 part 0: over 16 bytes of values are on their way already");
  }
  CHECK(answered == std::set<RequestId>{20, 21, 22});
  CHECK(put_off == std::set<RequestId>{23, 24, 25});
  CHECK(shard.core.Status().parked_bytes == 0);
  pulls.entries.erase(pulls.entries.begin(), pulls.entries.begin() + 3);
  for (const auto& [rank, reply] : shard.Send(pulls)) {
    CHECK(NumberOf(reply.data) ==
          HashValues::Rows(waits ? HashValues::Expected(1, {7}) : 1, reply.request));
  }
}

}  // namespace
}  // namespace kvstore
