#include <algorithm>
#include <string>
#include <utility>

#include "tests/client/core/client_core_fixture.h"

namespace kvstore {

TEST_CASE("pushes are numbered, and a pull names the last push before it", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  client.Submit(Op::kPush, 2, "bbbb");
  client.Submit(Op::kPull, 3);
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 3);
  CHECK(sent[0].round == 1);
  CHECK(sent[1].round == 2);
  CHECK(sent[2].op == Op::kPull);
  CHECK(sent[2].round == 2);
}

TEST_CASE("a push is held until the earlier pull of its part is answered", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  client.Submit(Op::kPull, 2);
  client.Submit(Op::kPush, 3, "bbbb");
  client.Submit(Op::kPush, 4, "cccc", {18, 0});  // another part is free to go
  auto sent = client.Sent();
  REQUIRE(sent.size() == 3);
  CHECK(sent[2].key == 18);
  ReplyEntry pull(sent[1]);
  pull.version = 1;
  pull.data = Payload::CopyOf("value");
  client.Reply(pull, Progress::kDone);
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].data.ToString() == "value");
  CHECK(client.out.done[0].round == 1);
  sent = client.Sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].round == 2);
}

TEST_CASE("an Init of unknown shape ends with the description that the server sent", "[core]") {
  Client client;
  PartRequest request;
  request.op = Op::kInit;
  request.id = {17, 0};
  request.ticket = 1;
  KeySpec key;
  key.key = 17;
  key.shape_unknown = true;
  request.key = std::make_shared<KeySpec>(key);
  client.core.Submit(0, {request}, &client.out);
  RequestEntry entry = client.Sent().at(0);
  RequestEntry probe = entry;
  probe.op = Op::kProbe;
  client.Reply(probe, Progress::kDone);  // a word without the description: not the answer
  CHECK(client.Done().empty());
  ReplyFrame frame;
  frame.header.cluster = kCluster;
  frame.header.rank = kRank;
  frame.header.incarnation = kIncarnation;
  frame.entries.emplace_back(entry).progress = Progress::kDone;
  frame.keys.push_back({17, "", DType::kFloat32, {2, 3}, Storage::kDense, false});
  client.core.OnFrame(0, {0, 0}, frame, &client.out);
  REQUIRE(client.out.done.size() == 1);
  REQUIRE(client.out.done[0].key != nullptr);
  CHECK(client.out.done[0].key->shape == Shape{2, 3});
}

TEST_CASE("everything of a part waits for its Init", "[core]") {
  Client client;
  client.Submit(Op::kInit, 1, "aaaa");
  client.Submit(Op::kPush, 2, "bbbb");
  client.Submit(Op::kPull, 3);
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 1);
  client.Reply(sent[0], Progress::kDone);
  CHECK(client.Sent().size() == 2);
  CHECK(client.Done() == std::vector<Ticket>{1});
}

TEST_CASE("a take-back names the Init that it takes back, and what follows waits for it",
          "[core]") {
  Client client;
  client.Submit(Op::kPull, 1, {}, {18, 0});
  client.Submit(Op::kInit, 2, "aaaa");
  const RequestEntry init = client.Sent().at(1);
  client.Refuse(init, absl::StatusCode::kResourceExhausted);
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].request == init.request);

  PartRequest take_back;
  take_back.op = Op::kTakeBack;
  take_back.id = kPart;
  take_back.ticket = 3;
  take_back.takes_back = init.request;
  client.core.Submit(0, {take_back}, &client.out);
  client.Submit(Op::kInit, 4, "bbbb");
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].op == Op::kTakeBack);
  CHECK(sent[0].takes_back == init.request);
  CHECK(sent[0].request > init.request);
  CHECK(sent[0].piece.data.empty());

  // Nothing is lost by sending it again: over a new stream it goes as it was.
  client.core.OnStreamDown(0, {0, 0});
  client.RunTimers(2000);
  client.core.OnStreamUp(client.now_ms, {0, 0}, &client.out);
  const auto again = client.Sent();
  REQUIRE(!again.empty());
  const auto same = std::find_if(again.begin(), again.end(),
                                 [&](const auto& entry) { return entry.op == Op::kTakeBack; });
  REQUIRE(same != again.end());
  CHECK(same->takes_back == init.request);
  CHECK(same->request == sent[0].request);

  // An answer to a question of Wait() is not its end.
  client.core.Probe({3}, &client.out);
  RequestEntry probe = client.Sent().at(0);
  CHECK(probe.probed_op == Op::kTakeBack);
  client.Reply(probe, Progress::kUnknown);
  const auto third = client.Sent();
  REQUIRE(third.size() == 1);
  CHECK(third[0].op == Op::kTakeBack);

  client.out.done.clear();
  client.Reply(third[0], Progress::kDone);
  CHECK(client.Done() == std::vector<Ticket>{3});
  CHECK(client.Sent().at(0).op == Op::kInit);
}

TEST_CASE("a completion is told once, and late replies are ignored", "[core]") {
  Client client;
  client.Submit(Op::kPull, 1);
  const auto sent = client.Sent();
  client.Reply(sent[0], Progress::kDone);
  CHECK(client.Done() == std::vector<Ticket>{1});
  client.Reply(sent[0], Progress::kDone);
  CHECK(client.Done().empty());
  CHECK(client.core.open_requests() == 0);
}

TEST_CASE("replies to another rank, life or cluster are nobody's", "[core]") {
  Client client;
  client.Submit(Op::kPull, 1);
  ReplyFrame frame;
  for (const RequestEntry& sent : client.Sent()) frame.entries.emplace_back(sent);
  frame.entries[0].progress = Progress::kDone;
  frame.header = {};
  frame.header.cluster = kCluster;
  frame.header.rank = kRank;
  frame.header.incarnation = kIncarnation;
  const int which = GENERATE(0, 1, 2);
  if (which == 0) frame.header.cluster = 1;
  if (which == 1) frame.header.rank = 0;
  if (which == 2) frame.header.incarnation = 8;
  client.core.OnFrame(0, {0, 0}, frame, &client.out);
  CHECK(client.Done().empty());
}

TEST_CASE("after a broken stream a push is asked after, and sent again only if unknown", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  client.Submit(Op::kPull, 2);
  const auto first = client.Sent();
  const bool received = GENERATE(false, true);
  if (received) client.Reply(first[0], Progress::kReceived);
  client.core.OnStreamDown(client.now_ms, {0, 0});
  CHECK(client.Sent().empty());
  client.RunTimers(150);
  CHECK(client.out.dial == std::vector<ShardAddress>{{0, 0}});
  client.core.OnStreamUp(client.now_ms, {0, 0}, &client.out);
  const auto again = client.Sent();
  REQUIRE(again.size() == 2);
  CHECK(again[0].op == Op::kProbe);
  CHECK(again[0].probed_op == Op::kPush);
  CHECK(again[0].request == first[0].request);
  CHECK(again[0].piece.data.empty());
  CHECK(again[1].op == Op::kPull);  // has no payload: simply asked again
  CHECK(again[1].request == first[1].request);

  SECTION("unknown") {
    client.Reply(again[0], Progress::kUnknown);
    const auto resent = client.Sent();
    REQUIRE(resent.size() == 1);
    CHECK(resent[0].op == Op::kPush);
    CHECK(resent[0].round == first[0].round);
    CHECK(resent[0].request == first[0].request);
    CHECK(resent[0].piece.data.ToString() == "aaaa");
  }
  SECTION("received") {
    client.Reply(again[0], Progress::kReceived);
    CHECK(client.Sent().empty());
  }
  SECTION("done") {
    client.Reply(again[0], Progress::kDone);
    CHECK(client.Done() == std::vector<Ticket>{1});
  }
}

TEST_CASE("redials back off, and a working stream resets that", "[core]") {
  Client client;
  std::vector<int64_t> dials;
  for (int i = 0; i < 6; ++i) {
    const int64_t down_ms = client.now_ms;
    client.core.OnStreamDown(down_ms, {0, 0});
    client.now_ms = client.core.NextTimerMs();
    client.core.OnTimer(client.now_ms, &client.out);
    dials.push_back(client.now_ms - down_ms);
  }
  CHECK(dials == std::vector<int64_t>{100, 200, 400, 800, 1000, 1000});
  client.core.OnStreamUp(client.now_ms, {0, 0}, &client.out);
  client.Submit(Op::kPull, 1);
  client.Reply(client.Sent().at(0), Progress::kDone);
  client.core.OnStreamDown(client.now_ms, {0, 0});
  CHECK(client.core.NextTimerMs() == client.now_ms + 100);
}

TEST_CASE("without an answer a request is tried again", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  client.Submit(Op::kPull, 2);
  client.Sent();
  CHECK(client.core.NextTimerMs() == 10000);
  client.RunTimers(10000);
  const auto again = client.Sent();
  REQUIRE(again.size() == 2);
  CHECK(again[0].op == Op::kProbe);
  CHECK(again[1].op == Op::kPull);
}

TEST_CASE("a refusal with retry-after keeps the request, another one ends it", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  const RequestEntry push = client.Sent().at(0);
  client.Refuse(push, absl::StatusCode::kResourceExhausted, 20);
  CHECK(client.Done().empty());
  CHECK(client.core.NextTimerMs() == 20);
  client.RunTimers(20);
  const auto again = client.Sent();
  REQUIRE(again.size() == 1);
  CHECK(again[0].piece.data.ToString() == "aaaa");
  client.Refuse(push, absl::StatusCode::kResourceExhausted, 20);
  CHECK(client.core.NextTimerMs() == client.now_ms + 40);  // backs off
  client.Refuse(push, absl::StatusCode::kInvalidArgument);
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].status == absl::InvalidArgumentError("refused"));
  client.Sent();
  client.RunTimers(60000);
  CHECK(client.Sent().empty());
}

TEST_CASE("what comes after a push that is put off waits until that is taken", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  client.Submit(Op::kPush, 2, "bbbb");
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 2);
  client.Refuse(sent[0], absl::StatusCode::kResourceExhausted, 20);
  client.Refuse(sent[1], absl::StatusCode::kResourceExhausted, 20);
  client.Submit(Op::kPush, 3, "cccc");
  for (int64_t wait_ms = 20; wait_ms <= 160; wait_ms *= 2) {
    client.RunTimers(client.now_ms + wait_ms);
    const auto again = client.Sent();
    REQUIRE(again.size() == 1);
    CHECK(again[0].round == 1);
    client.Refuse(again[0], absl::StatusCode::kResourceExhausted, 20);
  }
  client.RunTimers(client.now_ms + 320);
  client.Reply(client.Sent().at(0), Progress::kReceived);
  const auto rest = client.Sent();  // at once
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].round == 2);
  CHECK(rest[1].round == 3);
}

TEST_CASE("the fragments of a contribution are one push", "[core]") {
  ClientCoreOptions options;
  options.rounds_ahead_max = 1;
  Client client(1, options);
  const auto push = [&](Ticket first, std::vector<std::string> pieces) {
    std::vector<PartRequest> requests(pieces.size());
    for (uint32_t i = 0; i < pieces.size(); ++i) {
      requests[i].op = Op::kPush;
      requests[i].id = kPart;
      requests[i].ticket = first + i;
      requests[i].piece.data = Payload::CopyOf(pieces[i]);
      requests[i].piece.rows = 1 + i;
      requests[i].piece.fragment = i;
      requests[i].piece.fragments = static_cast<uint32_t>(pieces.size());
    }
    client.core.Submit(client.now_ms, std::move(requests), &client.out);
  };
  push(1, {"aaaa", "bbbb", "cccc"});
  push(4, {"dddd"});
  client.Submit(Op::kPull, 5);
  auto sent = client.Sent();
  REQUIRE(sent.size() == 3);  // a second round would be one too many, and the pull names that
  for (uint32_t i = 0; i < 3; ++i) {
    CHECK(sent[i].round == 1);
    CHECK(sent[i].piece.fragment == i);
    CHECK(sent[i].piece.fragments == 3);
    CHECK(sent[i].piece.rows == 1 + i);
  }

  SECTION("each is answered by itself, the next round follows the last of them") {
    for (const uint32_t i : {2u, 0u}) client.Reply(sent[i], Progress::kDone);
    CHECK(client.Done() == std::vector<Ticket>{3, 1});
    CHECK(client.Sent().empty());
    client.Reply(sent[1], Progress::kDone);
    sent = client.Sent();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].round == 2);
    CHECK(sent[0].piece.fragments == 1);  // a whole one
    CHECK(sent[1].op == Op::kPull);
    CHECK(sent[1].round == 2);
  }
  SECTION("a refused one is sent before the ones behind it") {
    client.Reply(sent[0], Progress::kReceived);
    client.Refuse(sent[1], absl::StatusCode::kResourceExhausted, 20);
    client.Refuse(sent[2], absl::StatusCode::kResourceExhausted, 20);
    client.RunTimers(30);
    sent = client.Sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].piece.fragment == 1);
    client.Reply(sent[0], Progress::kReceived);
    sent = client.Sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].piece.fragment == 2);
  }
}

TEST_CASE("the fragments of an Init go one after the other", "[core]") {
  Client client;
  std::vector<PartRequest> requests(2);
  for (uint32_t i = 0; i < 2; ++i) {
    requests[i].op = Op::kInit;
    requests[i].id = kPart;
    requests[i].ticket = 1 + i;
    requests[i].key = std::make_shared<KeySpec>();
    requests[i].piece.create = true;
    requests[i].piece.fragment = i;
    requests[i].piece.fragments = 2;
  }
  client.core.Submit(0, std::move(requests), &client.out);
  for (uint32_t i = 0; i < 2; ++i) {
    const auto sent = client.Sent();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].piece.fragment == i);
    CHECK(sent[0].piece.create);
    client.Reply(sent[0], Progress::kDone);
    CHECK(client.Done() == std::vector<Ticket>{1 + i});
  }
}

TEST_CASE("a pull with ids leaves the window when the server has parked it", "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 8;
  Client client(1, options);
  client.Submit(Op::kPull, 1, "one id..");
  client.Submit(Op::kPush, 2, "aaaa", {18, 0});
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 1);
  client.Reply(sent[0], Progress::kReceived);
  CHECK(client.Sent().size() == 1);
  client.Reply(sent[0], Progress::kDone);
  CHECK(client.Done() == std::vector<Ticket>{1});
}

TEST_CASE("parts go to the servers that own their slots", "[core]") {
  Client client(3);
  REQUIRE(client.dialled.size() == 3);
  const RoutingPtr routing = RoutingOf(3);
  for (PartIndex part = 0; part < 6; ++part) client.Submit(Op::kPush, part + 1, "a", {17, part});
  REQUIRE(client.out.frames.size() == 6);
  for (PartIndex part = 0; part < 6; ++part) {
    CHECK(client.out.frames[part].to == routing->OwnerOf({17, part}));
  }
}

TEST_CASE("a request to all shards is done when all of them answered", "[core]") {
  Client client(2);
  ShardRequest request;
  request.op = Op::kSetOptimizer;
  request.ticket = 5;
  request.optimizer.name = "sgd";
  client.core.Submit(0, request, &client.out);
  REQUIRE(client.out.frames.size() == 2);
  CHECK(client.out.frames[0].frame.optimizer->name == "sgd");
  const auto sent = client.Sent();
  client.Reply(sent[0], Progress::kDone, {0, 0});
  CHECK(client.Done().empty());
  ReplyEntry refusal(sent[1]);
  refusal.code = absl::StatusCode::kInvalidArgument;
  refusal.message = "no such optimizer";
  client.Reply(refusal, Progress::kDone, {1, 0});
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].status ==
        absl::InvalidArgumentError("server 1 (h:1): no such optimizer"));
}

TEST_CASE("when the job ended every open and later request fails with its status", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  client.Submit(Op::kPull, 2);
  client.Submit(Op::kPush, 3, "bbbb");
  ShardRequest optimizer;
  optimizer.op = Op::kSetOptimizer;
  optimizer.ticket = 4;
  client.core.Submit(0, optimizer, &client.out);
  const absl::Status ended = absl::DataLossError("server 0 (h:1) died");
  client.core.OnJobEnded(ended, &client.out);
  REQUIRE(client.out.done.size() == 4);
  for (const Completion& done : client.out.done) CHECK(done.status == ended);
  CHECK(client.core.open_requests() == 0);
  client.Done();
  client.Submit(Op::kPull, 5);
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].status == ended);
}

TEST_CASE("a probe tells who is waited for", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  const RequestEntry push = client.Sent().at(0);
  client.Reply(push, Progress::kReceived);
  client.core.Probe({1, 99}, &client.out);
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 1);
  CHECK_FALSE(client.core.WaitingFor({1}).at(0).answered);
  ReplyEntry answer(sent[0]);
  answer.missing_ranks = {0};
  client.Reply(answer, Progress::kReceived);
  const WaitInfo info = client.core.WaitingFor({1}).at(0);
  CHECK(info.answered);
  CHECK(info.connected);
  CHECK(info.missing == std::vector<WorkerRank>{0});
  CHECK(info.round == 1);
  CHECK(info.held.empty());
  answer.missing_ranks.clear();
  answer.message = "held by a change of the optimizer's numbers at step 7";
  client.Reply(answer, Progress::kReceived);
  CHECK(client.core.WaitingFor({1}).at(0).held == answer.message);
  client.core.Probe({1}, &client.out);  // what was held may not be any more
  CHECK(client.core.WaitingFor({1}).at(0).held.empty());
}

TEST_CASE("why a server puts a request off is known until the server takes it", "[core]") {
  Client client;
  client.Submit(Op::kPush, 1, "aaaa");
  client.Refuse(client.Sent().at(0), absl::StatusCode::kResourceExhausted, /*retry_after_ms=*/20);
  CHECK(client.core.WaitingFor({1}).at(0).put_off == absl::StatusCode::kResourceExhausted);
  client.RunTimers(20);
  const RequestEntry again = client.Sent().at(0);
  CHECK(client.core.WaitingFor({1}).at(0).put_off == absl::StatusCode::kResourceExhausted);
  client.Reply(again, Progress::kReceived);
  CHECK(client.core.WaitingFor({1}).at(0).put_off == absl::StatusCode::kOk);
}

}  // namespace kvstore
