// Readers at a shard (I14): they get last versions, wait for parts to exist, and change nothing.
#include <catch2/catch.hpp>

#include "tests/server/core/shard_under_test.h"

namespace kvstore {
namespace {

using testing::kCluster;
using testing::kKey;
using testing::kServerIncarnation;
using testing::RoutingOf;
using testing::Shard;
using testing::SpecOf;

constexpr Incarnation kReader = Incarnation{1} << 32;

// What a reader asks on its stream `peer`, and the replies to everybody.
std::vector<ServerFrame> Ask(Shard& shard, PeerId peer, const RequestEntry& entry,
                             Incarnation incarnation = kReader, JobId job = 1) {
  RequestFrame frame = Shard::FrameOf(kReaderRank, entry);
  frame.header.incarnation = incarnation;
  frame.header.job = job;
  if (entry.op == Op::kInit) {
    KeySpec spec;
    spec.key = entry.key;
    spec.shape_unknown = true;
    spec.nan_policy = NanPolicy::kReject;  // a reader's own is nobody's business
    frame.keys.push_back(spec);
  }
  ServerOutbox out;
  shard.core.OnFrame(shard.now_ms, peer, frame, &out);
  return out;
}

RequestEntry Question(RequestId request, KeyId key = kKey) {
  RequestEntry entry = Shard::EntryOf(Op::kInit, request);
  entry.key = key;
  return entry;
}

RequestEntry ProbeOf(RequestId request) {
  RequestEntry entry = Shard::EntryOf(Op::kProbe, request);
  entry.probed_op = Op::kInit;
  return entry;
}

ReplyEntry Only(const std::vector<ServerFrame>& out) {
  REQUIRE(out.size() == 1);
  REQUIRE(out[0].frame.entries.size() == 1);
  CHECK(out[0].frame.header.rank == kReaderRank);
  return out[0].frame.entries[0];
}

}  // namespace

TEST_CASE("a reader is told what a key is, and gets its last version", "[server_core][reader]") {
  for (const char* const type : {"dist_sync", "dist_async", "dist_ssp:1"}) {
    CAPTURE(type);
    Shard shard(2, {}, type);
    shard.SetOptimizer(0, "hash", 1);
    shard.Init(0, 7, 2);
    const auto described = Ask(shard, 9, Question(1));
    CHECK(Only(described).progress == Progress::kDone);
    REQUIRE(described[0].frame.keys.size() == 1);
    CHECK(described[0].frame.keys[0].shape == SpecOf(kKey).shape);
    shard.Push(0, 1, 5);
    shard.Push(1, 1, 6);
    shard.Push(0, 2, 5);  // an open round, where there are rounds
    const ReplyEntry reply = Only(Ask(shard, 9, Shard::EntryOf(Op::kPull, 2)));
    CHECK(reply.code == absl::StatusCode::kOk);
    CHECK(reply.version == (type == std::string("dist_sync") ? 1u : 3u));
    CHECK(reply.staleness == 0);
    CHECK(reply.data.size() == 8);
  }
}

TEST_CASE("a reader waits for a key that is not there, and is answered when it is",
          "[server_core][reader]") {
  Shard shard(2);
  CHECK(Ask(shard, 9, Question(1)).empty());
  CHECK(Ask(shard, 10, Question(1), kReader + 1).empty());  // another reader's first request
  const ReplyEntry waits = Only(Ask(shard, 9, ProbeOf(1)));
  CHECK(waits.progress == Progress::kReceived);
  CHECK(waits.missing_ranks == std::vector<WorkerRank>{0});
  RequestEntry entry = Shard::EntryOf(Op::kInit, 1);
  entry.piece.data = NumberPayload(7);
  RequestFrame init = Shard::FrameOf(0, entry);
  init.keys.push_back(SpecOf(kKey));
  ServerOutbox out;
  shard.core.OnFrame(0, 1, init, &out);
  REQUIRE(out.size() == 3);  // rank 0 and both readers
  CHECK(out[1].peer + out[2].peer == 19);
  for (const ServerFrame& told : {out[1], out[2]}) {
    CHECK(told.frame.header.rank == kReaderRank);
    CHECK(told.frame.header.incarnation == kReader + (told.peer == 10 ? 1 : 0));
    CHECK(told.frame.entries[0].code == absl::StatusCode::kOk);
    CHECK(told.frame.keys.size() == 1);
  }
}

TEST_CASE("what waits for a reader ends with its stream, a worker's does not",
          "[server_core][reader]") {
  ServerCoreOptions options;
  options.readers_waiting_max = 1;
  Shard shard(2, options);
  CHECK(shard.Init(1, std::nullopt, 4).empty());  // rank 1 waits on peer 2
  CHECK(Ask(shard, 9, Question(1)).empty());
  CHECK(Ask(shard, 9, Question(1)).empty());  // a repeat
  const ReplyEntry full = Only(Ask(shard, 10, Question(5, 18), kReader + 1));
  CHECK(full.code == absl::StatusCode::kResourceExhausted);
  CHECK(full.retry_after_ms > 0);
  CHECK(full.message == "key 18: at most 1 requests of readers may wait");
  shard.core.OnPeerDown(9);
  shard.core.OnPeerDown(2);
  CHECK(Ask(shard, 10, Question(5, 18), kReader + 1).empty());  // there is room
  const auto replies = shard.Init(0, 7, 1);
  REQUIRE(replies.size() == 2);
  CHECK(replies[0].first == 0);
  CHECK(replies[1].first == 1);
}

TEST_CASE("a reader that asks on another stream is answered there", "[server_core][reader]") {
  Shard shard(1);
  CHECK(Ask(shard, 9, Question(1)).empty());
  CHECK(Ask(shard, 11, Question(1)).empty());
  shard.core.OnPeerDown(9);  // the old one, of which it heard late
  RequestEntry entry = Shard::EntryOf(Op::kInit, 1);
  entry.piece.data = NumberPayload(7);
  RequestFrame init = Shard::FrameOf(0, entry);
  init.keys.push_back(SpecOf(kKey));
  ServerOutbox out;
  shard.core.OnFrame(0, 1, init, &out);
  REQUIRE(out.size() == 2);
  CHECK(out[1].peer == 11);
}

TEST_CASE("a reader holds up no round, and its pulls count", "[server_core][reader]") {
  Shard shard(1);
  shard.Init(0, 7, 1);
  Ask(shard, 9, Question(1));
  Only(Ask(shard, 9, Shard::EntryOf(Op::kPull, 2)));
  shard.Push(0, 1, 5);
  CHECK(Only(Ask(shard, 9, Shard::EntryOf(Op::kPull, 3))).version == 1);
  CHECK(shard.core.Status().open_rounds.empty());
  uint64_t keys = 0;
  CHECK(shard.core.StatsOf({"", 10, false, {}}, &keys).at(0).pulled.pulls == 2);
}

TEST_CASE("a reader's pull that names a version waits until that is there, or takes a later one",
          "[server_core][reader]") {
  Shard shard(2);
  shard.Init(0, 7, 1);
  Ask(shard, 9, Question(1));
  RequestEntry pull = Shard::EntryOf(Op::kPull, 2);
  pull.round = 2;
  CHECK(Ask(shard, 9, pull).empty());
  shard.Push(0, 1, 5);
  shard.Push(0, 2, 5);
  CHECK(shard.Push(1, 1, 5).size() == 2);  // both workers' pushes, and nothing to the reader
  RequestEntry probe = ProbeOf(2);
  probe.probed_op = Op::kPull;
  probe.round = 2;
  const ReplyEntry waits = Only(Ask(shard, 9, probe));
  CHECK(waits.progress == Progress::kReceived);
  CHECK(waits.missing_ranks == std::vector<WorkerRank>{1});
  RequestEntry entry = Shard::EntryOf(Op::kPush, 1002);
  entry.round = 2;
  entry.piece.data = NumberPayload(6);
  ServerOutbox out;
  shard.core.OnFrame(0, 2, Shard::FrameOf(1, entry), &out);
  bool told = false;
  for (const ServerFrame& frame : out) {
    if (frame.peer != 9) continue;
    told = true;
    CHECK(frame.frame.entries.at(0).version == 2);
    CHECK(frame.frame.entries.at(0).data.size() == 8);
  }
  CHECK(told);
  pull.request = 3;
  pull.round = 1;  // which is over
  const ReplyEntry later = Only(Ask(shard, 9, pull));
  CHECK(later.code == absl::StatusCode::kOk);
  CHECK(later.version == 2);
  pull.request = 4;
  pull.round = 3;
  CHECK(Ask(shard, 9, pull).empty());
  shard.core.OnPeerDown(9);
  CHECK(shard.core.Status().parked_bytes == 0);
}

TEST_CASE("a reader's pull that names a version is refused where there are no rounds",
          "[server_core][reader]") {
  for (const char* const type : {"dist_async", "dist_ssp:1"}) {
    CAPTURE(type);
    Shard shard(2, {}, type);
    shard.Init(0, 7, 1);
    RequestEntry pull = Shard::EntryOf(Op::kPull, 2);
    pull.round = 1;
    const ReplyEntry reply = Only(Ask(shard, 9, pull));
    CHECK(reply.code == absl::StatusCode::kFailedPrecondition);
    CHECK(reply.message ==
          "key 17: a reader's pull without a round expected, as there are none here, got 1");
  }
}

TEST_CASE("a reader reads one job: of another one it is refused, or put off",
          "[server_core][reader]") {
  Shard shard(1);
  shard.Init(0, 7, 1);
  const ReplyEntry ahead = Only(Ask(shard, 9, Shard::EntryOf(Op::kPull, 2), kReader, 2));
  CHECK(ahead.code == absl::StatusCode::kUnavailable);
  CHECK(ahead.retry_after_ms > 0);
  shard.core.OnRouting(kCluster, kServerIncarnation, RoutingOf(1, 2, 2));
  const ReplyEntry over = Only(Ask(shard, 9, Shard::EntryOf(Op::kPull, 3)));
  CHECK(over.code == absl::StatusCode::kAborted);
  CHECK(over.retry_after_ms == 0);
}

TEST_CASE("a reader's pull of a life that is over finds nothing", "[server_core][reader]") {
  Shard shard(1);
  shard.Init(0, 7, 1);
  Ask(shard, 9, Question(1));
  ServerOutbox out;
  shard.core.DeleteKeys("17", false, false, &out);
  const ReplyEntry reply = Only(Ask(shard, 9, Shard::EntryOf(Op::kPull, 2)));
  CHECK(reply.code == absl::StatusCode::kNotFound);
  CHECK(reply.message == "key 17 was deleted");
}

}  // namespace kvstore
