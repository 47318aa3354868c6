#include "server/core/server_core.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "tests/server/core/shard_under_test.h"
#include "tests/support/number_values.h"

namespace kvstore {
namespace {

using testing::kCluster;
using testing::kKey;
using testing::kServerIncarnation;
using testing::RoutingOf;
using testing::Shard;
using testing::SpecOf;

using Described = decltype(Shard::described);

TEST_CASE("a round commits when every worker contributed, and tells all of them", "[core]") {
  Shard shard(3);
  shard.Init(0, 1, 1);
  for (const WorkerRank rank : {2u, 0u}) {
    const auto replies = shard.Push(rank, 1, 10 + rank);
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].first == rank);
    CHECK(replies[0].second.progress == Progress::kReceived);
  }
  const auto replies = shard.Push(1, 1, 11);
  REQUIRE(replies.size() == 3);
  for (const auto& [rank, reply] : replies) {
    CAPTURE(rank);
    CHECK(reply.progress == Progress::kDone);
    CHECK(reply.code == absl::StatusCode::kOk);
  }
  const auto pulled = shard.Pull(0, 1);
  REQUIRE(pulled.size() == 1);
  CHECK(pulled[0].second.version == 1);
  CHECK(NumberOf(pulled[0].second.data) == HashValues::Expected(1, {10, 11, 12}));
}

TEST_CASE("any order and repetition of contributions gives the same value", "[core]") {
  const uint64_t seed = GENERATE(take(50, random<uint64_t>(1, 1u << 30)));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  constexpr uint32_t kWorkers = 4;
  constexpr Round kRounds = 3;
  ServerCoreOptions options;
  options.parked_bytes_max = 8 * (random() % 8);
  Shard shard(kWorkers, options);
  shard.Init(0, 1, 1);

  // What still has to be sent. Rounds of one worker may overtake each other here.
  std::vector<std::pair<WorkerRank, Round>> todo;
  for (WorkerRank rank = 0; rank < kWorkers; ++rank) {
    for (Round round = 1; round <= kRounds; ++round) todo.emplace_back(rank, round);
  }
  uint64_t expected = 1;
  for (Round round = 1; round <= kRounds; ++round) {
    std::vector<uint64_t> contributions;
    for (WorkerRank rank = 0; rank < kWorkers; ++rank) contributions.push_back(100 * round + rank);
    expected = HashValues::Expected(expected, contributions);
  }
  int steps = 0;
  while (!todo.empty()) {
    REQUIRE(++steps < 10000);  // a refused contribution is sent again; there is always progress
    const size_t pick = random() % todo.size();
    const auto [rank, round] = todo[pick];
    bool taken = true;
    for (uint64_t repeat = 0; repeat <= random() % 3; ++repeat) {
      for (const auto& [to, reply] : shard.Push(rank, round, 100 * round + rank)) {
        if (to == rank && reply.retry_after_ms > 0) taken = false;
      }
      CHECK(shard.core.Status().parked_bytes <= options.parked_bytes_max);
      if (!taken) break;
    }
    if (taken) todo.erase(todo.begin() + static_cast<ptrdiff_t>(pick));
  }
  const auto pulled = shard.Pull(2, kRounds);
  REQUIRE(pulled.size() == 1);
  CHECK(NumberOf(pulled[0].second.data) == expected);
  CHECK(shard.core.Status().parked_bytes == 0);
  CHECK(shard.core.Status().committed_rounds == kRounds);
}

TEST_CASE("without room to park, the next rank in order is still taken", "[core]") {
  ServerCoreOptions options;
  options.parked_bytes_max = 0;
  Shard shard(3, options);
  shard.Init(0, 1, 1);
  CHECK(shard.Push(2, 1, 12)[0].second.retry_after_ms > 0);
  CHECK(shard.Push(1, 1, 11)[0].second.retry_after_ms > 0);
  CHECK(shard.core.Status().open_rounds.empty());  // a refusal leaves nothing behind
  CHECK(shard.Push(0, 1, 10)[0].second.progress == Progress::kReceived);
  CHECK(shard.Push(2, 1, 12)[0].second.retry_after_ms > 0);
  CHECK(shard.Push(1, 1, 11)[0].second.progress == Progress::kReceived);
  CHECK(shard.Push(2, 1, 12).size() == 3);
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == HashValues::Expected(1, {10, 11, 12}));
}

TEST_CASE("a pull waits for the version it names, and gets exactly that one", "[core]") {
  Shard shard(2);
  shard.Init(0, 1, 1);
  CHECK(NumberOf(shard.Pull(1, 0)[0].second.data) == 1);  // never pushed: the committed one
  shard.Push(0, 1, 10);
  CHECK(shard.Pull(0, 1).empty());  // parked
  const auto replies = shard.Push(1, 1, 11);
  const auto pulled = std::find_if(replies.begin(), replies.end(),
                                   [](const auto& reply) { return reply.second.op == Op::kPull; });
  REQUIRE(pulled != replies.end());
  CHECK(pulled->first == 0);
  CHECK(NumberOf(pulled->second.data) == HashValues::Expected(1, {10, 11}));
}

TEST_CASE("a pull asked again over a new stream is answered there", "[core]") {
  Shard shard(2);
  shard.Init(0, 1, 1);
  shard.Push(0, 1, 10);
  shard.Pull(0, 1);
  const auto probed = shard.Probe(0, Op::kPull, 1, 5000, /*peer=*/42);
  REQUIRE(probed.size() == 1);
  CHECK(probed[0].second.progress == Progress::kReceived);
  CHECK(probed[0].second.missing_ranks == std::vector<WorkerRank>{1});
  shard.Push(1, 1, 11);
  CHECK(shard.last_peer[1] == 2);
  CHECK(shard.last_peer[0] == 42);
}

TEST_CASE("a probe tells unknown, received and done apart", "[core]") {
  Shard shard(2);
  shard.Init(0, 1, 1);
  CHECK(shard.Probe(0, Op::kPush, 1, 1001)[0].second.progress == Progress::kUnknown);
  shard.Push(0, 1, 10);
  CHECK(shard.Probe(0, Op::kPush, 1, 1001)[0].second.progress == Progress::kReceived);
  shard.Push(1, 1, 11);
  CHECK(shard.Probe(0, Op::kPush, 1, 1001)[0].second.progress == Progress::kDone);
}

TEST_CASE("Init of other ranks waits for rank 0", "[core]") {
  Shard shard(2);
  CHECK(shard.Init(1, std::nullopt, 1).empty());
  CHECK(shard.Probe(1, Op::kInit, 0, 1)[0].second.missing_ranks == std::vector<WorkerRank>{0});
  const auto replies = shard.Init(0, 7, 1);
  REQUIRE(replies.size() == 2);
  CHECK(shard.Init(1, std::nullopt, 2)[0].second.progress == Progress::kDone);
}

TEST_CASE("Init again is refused, a repeated message is not", "[core]") {
  Shard shard(1);
  shard.Init(0, 7, 1);
  CHECK(shard.Init(0, 7, 1)[0].second.code == absl::StatusCode::kOk);
  const auto again = shard.Init(0, 8, 2);
  CHECK(again[0].second.code == absl::StatusCode::kAlreadyExists);
  CHECK(NumberOf(shard.Pull(0, 0)[0].second.data) == 7);
}

TEST_CASE("Init that does not fit the key is refused and names both", "[core]") {
  Shard shard(2);
  shard.Init(0, 7, 1);
  KeySpec other = SpecOf(kKey);
  other.shape = {2};
  const auto reply = shard.Init(1, std::nullopt, 1, other)[0].second;
  CHECK(reply.code == absl::StatusCode::kInvalidArgument);
  CHECK(reply.message == "key 17: shape [1] of f64 expected, got shape [2] of f64");
  other.shape_unknown = true;
  CHECK(shard.described.empty());
  CHECK(shard.Init(1, std::nullopt, 2, other)[0].second.code == absl::StatusCode::kOk);
  CHECK(shard.described == Described{{1, {"[1]"}}});
  other.name = "weight";
  CHECK(shard.Init(1, std::nullopt, 3, other)[0].second.code == absl::StatusCode::kAlreadyExists);
}

TEST_CASE("a worker that does not know the shape is told it when the key exists", "[core]") {
  Shard shard(3);
  KeySpec unknown;
  unknown.key = kKey;
  unknown.shape_unknown = true;
  CHECK(shard.Init(1, std::nullopt, 1, unknown).empty());
  CHECK(shard.Init(2, std::nullopt, 1).empty());  // knows
  CHECK(shard.Init(0, 7, 1).size() == 3);
  CHECK(shard.described == Described{{1, {"[1]"}}});
}

TEST_CASE("Init over the memory budget is refused", "[core]") {
  ServerCoreOptions options;
  options.value_bytes_max = 16;  // one value and its accumulator
  Shard shard(1, options);
  CHECK(shard.Init(0, 7, 1)[0].second.code == absl::StatusCode::kOk);
  CHECK(shard.Init(0, 7, 2, SpecOf(18))[0].second.code == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("an optimizer whose states go over the memory budget is refused, the old one stays",
          "[core]") {
  ServerCoreOptions options;
  options.value_bytes_max = 32;
  Shard shard(1, options);
  shard.Init(0, 7, 1);
  CHECK(shard.SetOptimizer(0, "adam", 2)[0].second.code == absl::StatusCode::kOk);
  CHECK(shard.core.Status().value_bytes == 32);
  CHECK(shard.Init(0, 7, 3, SpecOf(18))[0].second.code == absl::StatusCode::kResourceExhausted);
  CHECK(shard.SetOptimizer(0, "sum", 4)[0].second.code == absl::StatusCode::kOk);
  CHECK(shard.Init(0, 7, 5, SpecOf(18))[0].second.code == absl::StatusCode::kOk);
  const ReplyEntry refused = shard.SetOptimizer(0, "adam", 6)[0].second;
  CHECK(refused.code == absl::StatusCode::kResourceExhausted);
  CHECK(refused.message ==
        "optimizer 'adam': 64 bytes needed for values and states, at most 32 expected");
  CHECK(shard.values.optimizers.back() == "sum");
  CHECK(shard.core.Status().value_bytes == 32);
}

TEST_CASE("a check refuses an optimizer for whose states the system has no memory", "[core]") {
  Shard shard(1);
  shard.Init(0, 7, 1);
  const auto check = [&](uint64_t memory_bytes, const std::string& name, RequestId request) {
    shard.values.memory_bytes = memory_bytes;
    const ReplyEntry reply = shard.SetOptimizer(0, name, request, Op::kCheckOptimizer)[0].second;
    return absl::Status(reply.code, reply.message);
  };
  CHECK(check(15, "adam", 2) == absl::ResourceExhaustedError("optimizer 'adam': no memory"));
  CHECK(shard.values.optimizers.empty());
  CHECK(check(16, "adam", 3).ok());
  CHECK(check(0, "sum", 4).ok());  // it keeps nothing
  KeySpec rows = SpecOf(18);
  rows.storage = Storage::kRowSparse;
  REQUIRE(shard.Init(0, 7, 5, rows)[0].second.code == absl::StatusCode::kOk);
  CHECK(check(16, "adam", 6).ok());  // rows take theirs as they come
  // What was checked is set, whatever the system has by then.
  shard.values.memory_bytes = 0;
  CHECK(shard.SetOptimizer(0, "adam", 7)[0].second.code == absl::StatusCode::kOk);
  CHECK(check(0, "adam", 8).ok());  // counted already
}

TEST_CASE("a check says what SetOptimizer would say, and changes nothing", "[core]") {
  ServerCoreOptions options;
  options.value_bytes_max = 32;
  Shard shard(2, options);
  const auto check = [&](const std::string& name, RequestId request) {
    const ReplyEntry reply = shard.SetOptimizer(0, name, request, Op::kCheckOptimizer)[0].second;
    CHECK(reply.op == Op::kCheckOptimizer);
    CHECK(reply.progress == Progress::kDone);
    return absl::Status(reply.code, reply.message);
  };
  shard.Init(0, 7, 1);
  shard.SetOptimizer(0, "sum", 2);
  CHECK(check("adam", 3).ok());
  CHECK(shard.core.Status().value_bytes == 16);  // not with adam's states
  shard.Init(0, 7, 4, SpecOf(18));
  CHECK(check("adam", 5) ==
        absl::ResourceExhaustedError(
            "optimizer 'adam': 64 bytes needed for values and states, at most 32 expected"));
  CHECK(check("bad", 6) == absl::InvalidArgumentError("no such optimizer: bad"));
  CHECK(check("test", 7).ok());
  CHECK(shard.values.optimizers.back() == "sum");
  // The late repeat of a check is one, whatever was set since.
  CHECK(shard.SetOptimizer(0, "test", 8)[0].second.code == absl::StatusCode::kOk);
  CHECK(check("sum", 7).ok());
  CHECK(shard.values.optimizers.back() == "test");
  CHECK(shard.SetOptimizer(1, "sum", 9, Op::kCheckOptimizer)[0].second.code ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("while the program has an updater, no other is taken", "[core]") {
  Shard shard(1);
  CHECK(shard.SetOptimizer(0, "sum", 1)[0].second.code == absl::StatusCode::kOk);
  shard.values.own_updater = true;
  const Op op = GENERATE(Op::kSetOptimizer, Op::kCheckOptimizer);
  const ReplyEntry refused = shard.SetOptimizer(0, "test", 2, op)[0].second;
  CHECK(refused.code == absl::StatusCode::kFailedPrecondition);
  CHECK(refused.message == "SetOptimizer 'test': this server runs the updater of its program");
  CHECK(shard.values.optimizers.back() == "sum");
  CHECK(shard.SetOptimizer(0, "assign", 3, op)[0].second.code == absl::StatusCode::kOk);
}

TEST_CASE("requests that wait are bounded, those of a known one are not counted twice", "[core]") {
  ServerCoreOptions options;
  options.waiting_max = 2;
  Shard s(2, options);
  CHECK(s.Init(1, std::nullopt, 1).empty());
  CHECK(s.Init(1, std::nullopt, 1).empty());
  CHECK(s.Init(1, std::nullopt, 2, SpecOf(18)).empty());
  const auto refused = s.Init(1, std::nullopt, 3, SpecOf(19));
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].second.code == absl::StatusCode::kResourceExhausted);
  CHECK(refused[0].second.message == "key 19: at most 2 requests may wait here");
  CHECK(s.Init(0, 5, 1).size() == 2);  // rank 0's own answer, and the one that waited
  CHECK(s.Init(1, std::nullopt, 3, SpecOf(19)).empty());  // there is room again
}

TEST_CASE("a part of a slot that is another server's is sent back to be routed anew", "[core]") {
  HashValues values;
  ServerCore core({}, ShardAddress{1, 0}, &values);
  auto routing = std::make_shared<RoutingTable>(*RoutingOf(1));
  routing->servers.push_back({"h:2", kServerIncarnation, 1});
  core.OnRouting(kCluster, kServerIncarnation, routing);
  for (const Op op : {Op::kInit, Op::kPush, Op::kPull, Op::kProbe}) {
    RequestEntry entry;
    entry.op = op;
    entry.key = kKey;
    entry.request = 1;
    ServerOutbox out;
    core.OnFrame(0, 1, Shard::FrameOf(0, entry), &out);
    REQUIRE(out.size() == 1);
    const ReplyEntry& reply = out[0].frame.entries.at(0);
    CHECK(reply.code == absl::StatusCode::kUnavailable);
    CHECK(reply.retry_after_ms > 0);
    CHECK_THAT(reply.message, Catch::EndsWith("is not owned here"));
  }
}

TEST_CASE("a worker that left is not waited for", "[core]") {
  Shard shard(3);
  shard.Init(0, 1, 1);
  for (const WorkerRank rank : {0u, 1u, 2u}) shard.Push(rank, 1, 10 + rank);
  shard.Push(0, 2, 20);
  shard.Push(2, 2, 22);
  shard.Pull(0, 2);
  const auto replies = shard.Leave(1);  // closes round 2 with two contributions
  CHECK(replies.size() == 4);           // the leave itself, two pushes, one pull
  const uint64_t first = HashValues::Expected(1, {10, 11, 12});
  CHECK(NumberOf(shard.Pull(0, 2)[0].second.data) == HashValues::Expected(first, {20, 22}));
  CHECK(shard.Leave(1).size() == 1);
  CHECK(shard.Push(1, 3, 31)[0].second.code == absl::StatusCode::kFailedPrecondition);
  CHECK(shard.Push(1, 1, 11)[0].second.progress == Progress::kDone);  // a late repeat
}

TEST_CASE("a failed update closes the round, keeps the value and tells every contributor",
          "[core]") {
  Shard shard(2);
  shard.Init(0, 1, 1);
  shard.values.fail_updates = true;
  shard.Push(0, 1, 10);
  const auto replies = shard.Push(1, 1, 11);
  REQUIRE(replies.size() == 2);
  for (const auto& [rank, reply] : replies) {
    CHECK(reply.code == absl::StatusCode::kInternal);
    CHECK(reply.message == "the updater failed");
  }
  CHECK(shard.Probe(0, Op::kPush, 1, 1001)[0].second.code == absl::StatusCode::kInternal);
  const auto pulled = shard.Pull(0, 1)[0].second;
  CHECK(pulled.version == 1);
  CHECK(NumberOf(pulled.data) == 1);
  shard.values.fail_updates = false;
  shard.Push(0, 2, 20);
  CHECK(shard.Push(1, 2, 21)[0].second.code == absl::StatusCode::kOk);
  uint64_t keys = 0;
  const std::vector<KeyStats> stats = shard.core.StatsOf({"", 10, true, {}}, &keys);
  REQUIRE(stats.size() == 1);
  CHECK(stats[0].version == 2);
  CHECK(stats[0].pushes == 4);
  CHECK(stats[0].failures == 1);
}

TEST_CASE("how a push went is known for as many rounds as a worker may be ahead", "[core]") {
  const std::string store = GENERATE("dist_sync", "dist_async");
  CAPTURE(store);
  ServerCoreOptions options;
  options.rounds_ahead_max = 3;
  Shard shard(1, options, store);
  shard.Init(0, 1, 1);
  shard.SetOptimizer(0, "sum", 2);
  shard.values.fail_updates = true;
  for (Round round = 1; round <= 5; ++round) shard.Push(0, round, 10 * round);
  // Rounds 3 to 5 are the last three.
  for (Round round = 3; round <= 5; ++round) {
    CHECK(shard.Push(0, round, 10 * round)[0].second.code == absl::StatusCode::kInternal);
  }
  // Not OK, which nobody knows.
  const auto forgotten = shard.Push(0, 2, 20)[0].second;
  CHECK(forgotten.code == absl::StatusCode::kOutOfRange);
  CHECK(forgotten.message ==
        "key 17 part 0: how round 2 went is known until 3 later ones are over, and round 5 is");
  CHECK(shard.Probe(0, Op::kPush, 2, 1002)[0].second.code == absl::StatusCode::kOutOfRange);
}

TEST_CASE("a window of no rounds is refused", "[core]") {
  ServerCoreOptions options;
  CHECK(options.Check().ok());
  options.rounds_ahead_max = 0;
  CHECK(options.Check() ==
        absl::InvalidArgumentError("rounds_ahead_max: at least 1 expected, got 0"));
}

TEST_CASE("replies with long texts go in frames that can be sent", "[core]") {
  Shard shard(1);
  for (KeyId key = 1; key <= kEntriesPerFrameMax; ++key) shard.Init(0, 1, key, SpecOf(key));
  shard.values.fail_updates = true;
  shard.values.failure = std::string(5000, 'x');
  RequestFrame pushes = Shard::FrameOf(0, Shard::EntryOf(Op::kPush, 1));
  pushes.entries.resize(kEntriesPerFrameMax, pushes.entries[0]);
  for (KeyId key = 1; key <= kEntriesPerFrameMax; ++key) {
    RequestEntry& push = pushes.entries[key - 1];
    push.key = key;
    push.round = 1;
    push.request = 10000 + key;
    push.piece.data = NumberPayload(key);
  }
  ServerOutbox out;
  shard.core.OnFrame(0, 1, pushes, &out);
  size_t replies = 0;
  for (const ServerFrame& sent : out) {
    CHECK(EncodeFrame(sent.frame).size() <= kFrameBytesMax);
    replies += sent.frame.entries.size();
  }
  CHECK(replies == kEntriesPerFrameMax);
}

TEST_CASE("what cannot be is refused with the code that says what to do", "[core]") {
  Shard shard(2);
  shard.Init(0, 1, 1);
  const auto code_of = [&](const RequestFrame& frame) { return shard.Send(frame)[0].second.code; };
  RequestEntry push = Shard::EntryOf(Op::kPush, 1);
  push.round = 1;
  push.piece.data = NumberPayload(3);

  SECTION("push and pull of an unknown key") {
    push.key = 99;
    CHECK(code_of(Shard::FrameOf(0, push)) == absl::StatusCode::kNotFound);
    push.op = Op::kPull;
    CHECK(code_of(Shard::FrameOf(0, push)) == absl::StatusCode::kNotFound);
  }
  SECTION("a push of another size") {
    push.piece.data = Payload::CopyOf("four");
    CHECK(code_of(Shard::FrameOf(0, push)) == absl::StatusCode::kInvalidArgument);
  }
  SECTION("a push too far ahead") {
    push.round = 66;
    CHECK(code_of(Shard::FrameOf(0, push)) == absl::StatusCode::kFailedPrecondition);
  }
  SECTION("another cluster") {
    RequestFrame frame = Shard::FrameOf(0, push);
    frame.header.cluster = 1;
    CHECK(code_of(frame) == absl::StatusCode::kFailedPrecondition);
  }
  SECTION("a rank outside of the view") {
    CHECK(code_of(Shard::FrameOf(2, push)) == absl::StatusCode::kFailedPrecondition);
  }
  SECTION("an older life of the worker") {
    RequestFrame frame = Shard::FrameOf(0, push);
    frame.header.incarnation = 99;
    ServerOutbox out;
    shard.core.OnFrame(0, 1, frame, &out);
    CHECK(out.at(0).frame.entries.at(0).code == absl::StatusCode::kAborted);
  }
  SECTION("an epoch, a job or a server that is not known here: send it again") {
    RequestFrame frame = Shard::FrameOf(0, push);
    const int which = GENERATE(0, 1, 2);
    if (which == 0) frame.header.epoch = 2;
    if (which == 1) frame.header.job = 2;
    if (which == 2) frame.header.server_incarnation = 4;
    const ReplyEntry reply = shard.Send(frame)[0].second;
    CHECK(reply.code == absl::StatusCode::kUnavailable);
    CHECK(reply.retry_after_ms > 0);
  }
  SECTION("a job that is over") {
    shard.core.OnRouting(kCluster, kServerIncarnation, RoutingOf(2, /*job=*/2, /*epoch=*/2));
    CHECK(code_of(Shard::FrameOf(0, push)) == absl::StatusCode::kAborted);
    CHECK(shard.core.Status().keys == 0);
  }
  SECTION("an unknown op") {
    push.op = static_cast<Op>(33);
    CHECK(code_of(Shard::FrameOf(0, push)) == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("the optimizer comes from rank 0, once per request", "[core]") {
  Shard shard(2);
  RequestFrame frame = Shard::FrameOf(0, Shard::EntryOf(Op::kSetOptimizer, 3));
  frame.optimizer = OptimizerConfig{"sgd", {}};
  CHECK(shard.Send(frame)[0].second.progress == Progress::kDone);
  RequestFrame newer = frame;
  newer.entries[0].request = 4;
  newer.optimizer->name = "sum";
  shard.Send(newer);
  shard.Send(frame);  // a late repeat must not bring sgd back
  CHECK(shard.values.optimizers == std::vector<std::string>{"sgd", "sum"});

  RequestFrame other = frame;
  other.header.rank = 1;
  other.header.incarnation = 101;
  CHECK(shard.Send(other)[0].second.code == absl::StatusCode::kInvalidArgument);
  newer.entries[0].request = 5;
  newer.optimizer->name = "bad";
  CHECK(shard.Send(newer)[0].second.message == "no such optimizer: bad");
}

TEST_CASE("status names the open rounds, the oldest first, and who is missing", "[core]") {
  Shard shard(3);
  shard.Init(0, 1, 1);
  shard.Init(0, 1, 2, SpecOf(18));
  shard.now_ms = 100;
  shard.Push(1, 1, 11);
  shard.now_ms = 200;
  RequestEntry entry = Shard::EntryOf(Op::kPush, 7);
  entry.key = 18;
  entry.round = 1;
  entry.piece.data = NumberPayload(1);
  shard.Send(Shard::FrameOf(0, entry));
  const ShardStatus status = shard.core.Status();
  REQUIRE(status.open_rounds.size() == 2);
  CHECK(status.open_rounds[0].key == kKey);
  CHECK(status.open_rounds[0].since_ms == 100);
  CHECK(status.open_rounds[0].missing == std::vector<WorkerRank>{0, 2});
  CHECK(status.open_rounds[1].missing == std::vector<WorkerRank>{1, 2});
  CHECK(status.parked_bytes == 8);
}

TEST_CASE("an asynchronous push is applied at once and once, in its worker's order",
          "[core][async]") {
  ServerCoreOptions options;
  options.parked_bytes_max = 16;  // two early pushes
  Shard s(2, options, "dist_async");
  s.Init(0, 5, 1);
  const auto early = s.Push(0, 1, 10);
  REQUIRE(early.size() == 1);
  // No updater yet. The push is over, as an update that failed is: the next ones do not wait for
  // it.
  CHECK(early[0].second.code == absl::StatusCode::kFailedPrecondition);
  CHECK(early[0].second.progress == Progress::kDone);
  CHECK(NumberOf(s.Pull(0, 1)[0].second.data) == 5);
  s.SetOptimizer(0, "sum", 2);
  CHECK(s.Push(0, 1, 10)[0].second.code == absl::StatusCode::kFailedPrecondition);  // a repeat

  const auto done = s.Push(0, 2, 10, 12);
  REQUIRE(done.size() == 1);
  CHECK(done[0].second.progress == Progress::kDone);
  uint64_t value = HashValues::Expected(5, {10});
  CHECK(NumberOf(s.Pull(1, 0)[0].second.data) == value);
  CHECK(s.Push(0, 2, 10, 12)[0].second.progress == Progress::kDone);  // a repeat
  CHECK(NumberOf(s.Pull(1, 0)[0].second.data) == value);

  // Rounds 4 and 5 come before 3: they wait, and so does a pull that is to see them.
  CHECK(s.Push(0, 4, 30, 103)[0].second.progress == Progress::kReceived);
  CHECK(s.Push(0, 5, 40, 104)[0].second.progress == Progress::kReceived);
  CHECK(s.Push(0, 6, 50, 105)[0].second.retry_after_ms > 0);  // no room
  CHECK(s.Pull(0, 5, 200).empty());
  CHECK(s.core.Status().parked_bytes == 16);
  CHECK(s.Probe(0, Op::kPush, 4, 103)[0].second.progress == Progress::kReceived);
  value = HashValues::Expected(value, {70});
  CHECK(s.Push(1, 1, 70)[0].second.progress == Progress::kDone);  // another worker waits for nobody
  const auto all = s.Push(0, 3, 20, 102);
  for (const uint64_t next : {20, 30, 40}) value = HashValues::Expected(value, {next});
  std::map<RequestId, Progress> answers;
  for (const auto& [rank, entry] : all) {
    CHECK(rank == 0);
    answers[entry.request] = entry.progress;
    if (entry.request == 200) CHECK(NumberOf(entry.data) == value);
  }
  CHECK(answers == std::map<RequestId, Progress>{{102, Progress::kDone},
                                                 {103, Progress::kDone},
                                                 {104, Progress::kDone},
                                                 {200, Progress::kDone}});
  CHECK(s.core.Status().parked_bytes == 0);
  CHECK(s.core.Status().committed_rounds == 6);
}

TEST_CASE("an asynchronous update that fails is told to its worker and blocks nothing",
          "[core][async]") {
  Shard s(1, {}, "dist_async");
  s.Init(0, 5, 1);
  s.SetOptimizer(0, "sum", 2);
  s.values.fail_updates = true;
  CHECK(s.Push(0, 1, 10)[0].second.code == absl::StatusCode::kInternal);
  s.values.fail_updates = false;
  CHECK(s.Push(0, 1, 10)[0].second.code == absl::StatusCode::kInternal);  // a repeat hears the same
  CHECK(s.Push(0, 2, 20)[0].second.code == absl::StatusCode::kOk);
  CHECK(NumberOf(s.Pull(0, 2)[0].second.data) == HashValues::Expected(5, {20}));
}

}  // namespace
}  // namespace kvstore
