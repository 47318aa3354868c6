// Requests that are submitted as a group: sent together, answered one by one, and what becomes of
// one of which something else is to be said.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/client/core/client_core_fixture.h"

namespace kvstore {
namespace {

constexpr Ticket kGroup = 7;

// A group about part 0 of the keys, which are numbers; pushes bring four bytes of a letter each.
PartRequest GroupOf(Op op, const std::vector<KeyId>& keys, int priority = 0) {
  const auto group = std::make_shared<PartGroup>();
  std::string bytes;
  for (const KeyId key : keys) {
    const std::string data(op == Op::kPush ? 4 : 0, static_cast<char>('a' + key % 26));
    group->members.push_back(
        {{key, 0}, static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(data.size())});
    bytes += data;
  }
  if (op == Op::kPush) {
    const auto buffer = std::make_shared<Buffer>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), buffer->data());
    group->bytes = buffer;
  }
  PartRequest request;
  request.op = op;
  request.ticket = kGroup;
  request.priority = priority;
  request.group = group;
  return request;
}

std::vector<KeyId> KeysOf(const std::vector<RequestEntry>& entries) {
  std::vector<KeyId> keys;
  for (const RequestEntry& entry : entries) keys.push_back(entry.key);
  return keys;
}

using Keys = std::vector<KeyId>;

TEST_CASE("the requests of a group go in one frame, each with its number and its bytes",
          "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  const auto sent = client.Sent();
  CHECK(client.frames == 1);
  REQUIRE(KeysOf(sent) == Keys{1, 2, 3});
  CHECK(sent[1].request == sent[0].request + 1);
  CHECK(sent[2].request == sent[0].request + 2);
  CHECK(sent[2].round == 1);
  CHECK(sent[2].piece.data.ToString() == "dddd");
  CHECK(client.core.open_requests() == 3);
}

TEST_CASE("each request of a group ends by itself, in any order", "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  const auto sent = client.Sent();
  client.Reply(sent[2], Progress::kDone);
  client.Reply(sent[2], Progress::kDone);  // again: it is over
  client.Reply(sent[0], Progress::kReceived);
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].ticket == kGroup);
  CHECK(client.out.done[0].member == 2);
  CHECK(client.out.done[0].id == PartId{3, 0});
  CHECK(client.out.done[0].round == 1);
  CHECK(client.core.open_requests() == 2);
  client.Reply(sent[0], Progress::kDone);
  client.Reply(sent[1], Progress::kDone);
  CHECK(client.core.open_requests() == 0);
  CHECK(client.Done() == std::vector<Ticket>{kGroup, kGroup, kGroup});
}

TEST_CASE("what is refused of a group leaves the others alone", "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  const auto sent = client.Sent();
  client.Refuse(sent[1], absl::StatusCode::kInvalidArgument);
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].member == 1);
  CHECK(absl::IsInvalidArgument(client.out.done[0].status));
  client.Reply(sent[0], Progress::kDone);
  client.Reply(sent[2], Progress::kDone);
  REQUIRE(client.out.done.size() == 3);
  CHECK(client.out.done[1].status.ok());
  CHECK(client.out.done[2].status.ok());
}

TEST_CASE("one that is put off comes again by itself, with its number, round and bytes",
          "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  const auto sent = client.Sent();
  client.Refuse(sent[1], absl::StatusCode::kResourceExhausted, 20);
  client.Reply(sent[0], Progress::kDone);
  client.Reply(sent[2], Progress::kDone);
  CHECK(client.core.open_requests() == 1);
  client.RunTimers(20);
  const auto again = client.Sent();
  REQUIRE(KeysOf(again) == Keys{2});
  CHECK(again[0].op == Op::kPush);
  CHECK(again[0].request == sent[1].request);
  CHECK(again[0].round == 1);
  CHECK(again[0].piece.data.ToString() == "cccc");
  client.Reply(again[0], Progress::kDone);
  REQUIRE(client.out.done.size() == 3);
  CHECK(client.out.done[2].member == 1);
}

TEST_CASE("after a broken stream those that are open are asked after, and sent if they are unknown",
          "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  const auto sent = client.Sent();
  client.Reply(sent[0], Progress::kDone);
  client.core.OnStreamDown(client.now_ms, {0, 0});
  client.RunTimers(100);
  client.core.OnStreamUp(client.now_ms, {0, 0}, &client.out);
  const auto probes = client.Sent();
  REQUIRE(KeysOf(probes) == Keys{2, 3});
  CHECK(probes[0].op == Op::kProbe);
  CHECK(probes[0].probed_op == Op::kPush);
  CHECK(probes[0].request == sent[1].request);
  CHECK(probes[0].piece.data.empty());
  client.Reply(probes[0], Progress::kDone);
  client.Reply(probes[1], Progress::kUnknown);
  const auto again = client.Sent();
  REQUIRE(KeysOf(again) == Keys{3});
  CHECK(again[0].op == Op::kPush);
  CHECK(again[0].request == sent[2].request);
  CHECK(again[0].piece.data.ToString() == "dddd");
  client.Reply(again[0], Progress::kDone);
  CHECK(client.core.open_requests() == 0);
}

TEST_CASE("pulls of a group come with their values, and are sent again when nothing is heard",
          "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPull, {1, 2})}, &client.out);
  const auto sent = client.Sent();
  ReplyEntry value(sent[0]);
  value.data = Payload::CopyOf("value");
  value.version = 5;
  client.Reply(value, Progress::kDone);
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].data.ToString() == "value");
  CHECK(client.out.done[0].round == 5);
  client.RunTimers(ClientCoreOptions().try_ms);
  const auto again = client.Sent();
  REQUIRE(KeysOf(again) == Keys{2});
  CHECK(again[0].op == Op::kPull);
  CHECK(again[0].request == sent[1].request);
}

TEST_CASE("what an earlier request of its part holds goes by itself, when it may", "[groups]") {
  Client client;
  client.Submit(Op::kPull, 1, {}, {2, 0});
  const RequestEntry pull = client.Sent().at(0);
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  CHECK(KeysOf(client.Sent()) == Keys{1, 3});
  client.Reply(pull, Progress::kDone);
  const auto sent = client.Sent();
  REQUIRE(KeysOf(sent) == Keys{2});
  client.Reply(sent[0], Progress::kDone);
  REQUIRE(client.out.done.size() == 2);
  CHECK(client.out.done[1].ticket == kGroup);
  CHECK(client.out.done[1].member == 1);
}

TEST_CASE("pulls of a group name the pushes before them, those of the same submission, too",
          "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2}), GroupOf(Op::kPull, {1, 2})}, &client.out);
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 4);
  CHECK(sent[2].op == Op::kPull);
  CHECK(sent[2].round == 1);
  CHECK(sent[3].round == 1);
  // A push behind such a pull is held (C1).
  client.Submit(Op::kPush, 9, "zzzz", {1, 0});
  CHECK(client.Sent().empty());
  client.Reply(sent[2], Progress::kDone);
  CHECK(KeysOf(client.Sent()) == Keys{1});
}

TEST_CASE("pushes of two groups to the same parts have rounds of their own", "[groups]") {
  ClientCoreOptions options;
  options.rounds_ahead_max = 2;
  Client client(1, options);
  client.core.Submit(0, {GroupOf(Op::kPush, {1}), GroupOf(Op::kPush, {1}), GroupOf(Op::kPush, {1})},
                     &client.out);
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 2);  // C9
  CHECK(sent[0].round == 1);
  CHECK(sent[1].round == 2);
  client.Reply(sent[0], Progress::kDone);
  const auto next = client.Sent();
  REQUIRE(next.size() == 1);
  CHECK(next[0].round == 3);
}

TEST_CASE("a group that is larger than the window goes in several", "[groups]") {
  ClientCoreOptions options;
  options.window_bytes = 8;
  Client client(1, options);
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  const auto sent = client.Sent();
  REQUIRE(KeysOf(sent) == Keys{1, 2});
  client.Reply(sent[0], Progress::kReceived);
  CHECK(KeysOf(client.Sent()) == Keys{3});
}

TEST_CASE("of a key that has failed a group is told at once, and the others of it go", "[groups]") {
  Client client;
  PartRequest init;
  init.op = Op::kInit;
  init.id = {1, 0};
  init.ticket = 1;
  KeySpec key;
  key.key = 1;
  init.key = std::make_shared<KeySpec>(key);
  client.core.Submit(0, {init}, &client.out);
  client.Reply(client.Sent().at(0), Progress::kDone);
  client.Submit(Op::kPush, 2, "aaaa", {1, 0});
  client.Submit(Op::kPush, 3, "aaaa", {1, 1});
  const auto pushes = client.Sent();
  client.Refuse(pushes[0], absl::StatusCode::kInvalidArgument);
  client.out.done.clear();
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2})}, &client.out);
  client.Sent();
  client.Reply(pushes[1], Progress::kDone);  // now it has failed, with what is open of it
  REQUIRE(client.out.done.size() == 2);
  CHECK(client.out.done[1].ticket == kGroup);
  CHECK(client.out.done[1].member == 0);
  CHECK(client.out.done[1].key_failed);
  client.core.Submit(0, {GroupOf(Op::kPull, {1, 2})}, &client.out);
  CHECK(KeysOf(client.Sent()) == Keys{2});
  REQUIRE(client.out.done.size() == 3);
  CHECK(client.out.done[2].key_failed);
  CHECK(client.out.done[2].member == 0);
}

TEST_CASE("an urgent request makes a group before it urgent, with what is before that",
          "[groups]") {
  ClientCoreOptions options;
  options.window_bytes = 4;
  Client client(1, options);
  client.Submit(Op::kPush, 5, "wwww", {1, 0});
  client.Reply(client.Sent().at(0), Progress::kDone);
  client.Submit(Op::kPush, 1, "xxxx", {9, 0});  // the window is full
  const RequestEntry first = client.Sent().at(0);
  client.Submit(Op::kPush, 2, "yyyy", {8, 0});  // these wait
  client.Submit(Op::kPush, 3, "zzzz", {2, 0});
  client.core.Submit(0, {GroupOf(Op::kPull, {1, 2})}, &client.out);
  client.Submit(Op::kPull, 4, {}, {1, 0}, /*priority=*/5);
  CHECK(KeysOf(client.Sent()) == Keys{});
  client.Reply(first, Progress::kDone);
  // The push to 2 stands before a pull of the group.
  CHECK(KeysOf(client.Sent()) == Keys{2, 1, 2, 1});
}

TEST_CASE("the end of the job ends all that is open of a group", "[groups]") {
  Client client;
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3})}, &client.out);
  client.Reply(client.Sent().at(1), Progress::kDone);
  client.out.done.clear();
  client.core.OnJobEnded(absl::AbortedError("over"), &client.out);
  REQUIRE(client.out.done.size() == 2);
  CHECK(client.out.done[0].member == 0);
  CHECK(client.out.done[1].member == 2);
  CHECK(client.core.open_requests() == 0);
  client.out.done.clear();
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2})}, &client.out);
  REQUIRE(client.out.done.size() == 2);
  CHECK(client.out.done[1].member == 1);
  CHECK(absl::IsAborted(client.out.done[1].status));
}

TEST_CASE("a group on several servers is known by one ticket, and waited for by each of them",
          "[groups]") {
  Client client(2);
  client.core.Submit(0, {GroupOf(Op::kPush, {1, 2, 3, 4, 5, 6, 7, 8})}, &client.out);
  CHECK(client.Sent().size() == 8);
  CHECK(client.frames == 2);
  const std::vector<WaitInfo> infos = client.core.WaitingFor({kGroup});
  REQUIRE(infos.size() == 2);
  CHECK_FALSE(infos[0].answered);
  client.core.Probe({kGroup}, &client.out);
  const auto probes = client.Sent();
  REQUIRE(probes.size() == 8);
  ReplyEntry answer(probes[0]);
  answer.missing_ranks = {0};
  client.Reply(answer, Progress::kReceived, infos[0].shard);
  const std::vector<WaitInfo> now = client.core.WaitingFor({kGroup});
  REQUIRE(now.size() == 3);
  CHECK(std::count_if(now.begin(), now.end(), [](const WaitInfo& info) { return info.answered; }) ==
        1);
}

}  // namespace
}  // namespace kvstore
