// What goes first, how much is under way, how few frames it takes.
#include <string>
#include <utility>

#include "client/core/ready_queue.h"
#include "tests/client/core/client_core_fixture.h"

namespace kvstore {

TEST_CASE("unanswered payload stays under the window", "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 8;
  Client client(1, options);
  for (Ticket ticket = 1; ticket <= 4; ++ticket) {
    client.Submit(Op::kPush, ticket, "aaaa", {ticket, 0});
  }
  auto sent = client.Sent();
  REQUIRE(sent.size() == 2);
  client.Reply(sent[0], Progress::kReceived);
  CHECK(client.Sent().size() == 1);
  client.Reply(sent[1], Progress::kDone);
  CHECK(client.Sent().size() == 1);
}

TEST_CASE("what may not be asked after is sent again, and counts in the window once", "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 8;
  options.try_ms = 10;
  Client client(1, options);
  client.Submit(Op::kReadState, 1, "aaaaaaaa");
  REQUIRE(client.Sent().size() == 1);
  for (int64_t now_ms = 15; now_ms < 60; now_ms += 15) {  // no answer comes
    client.RunTimers(now_ms);
    const auto sent = client.Sent();
    REQUIRE(!sent.empty());
    CHECK(sent[0].op == Op::kReadState);
    CHECK(sent[0].piece.data.size() == 8);
  }
}

TEST_CASE("no push goes further ahead of the oldest open one than the window", "[core]") {
  ClientCoreOptions options;
  options.rounds_ahead_max = 3;
  Client client(1, options);
  for (Ticket ticket = 1; ticket <= 5; ++ticket) client.Submit(Op::kPush, ticket, "a");
  const auto sent = client.Sent();
  REQUIRE(sent.size() == 3);
  // Rounds 2 and 3 are over, whoever lost the answer to round 1.
  client.Reply(sent[1], Progress::kDone);
  client.Reply(sent[2], Progress::kDone);
  CHECK(client.Sent().empty());
  client.Reply(sent[0], Progress::kDone);
  const auto rest = client.Sent();
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].round == 4);
  CHECK(rest[1].round == 5);
}

TEST_CASE("a window that no server knows is refused", "[core]") {
  ClientCoreOptions options;
  CHECK(options.Check().ok());
  options.rounds_ahead_max = kRoundsAheadMax;
  CHECK(options.Check().ok());
  options.rounds_ahead_max = kRoundsAheadMax + 1;
  CHECK(options.Check() ==
        absl::InvalidArgumentError("rounds_ahead_max: 1 to 64 expected, got 65"));
  options.rounds_ahead_max = 0;
  CHECK(options.Check() == absl::InvalidArgumentError("rounds_ahead_max: 1 to 64 expected, got 0"));
}

TEST_CASE("a single value larger than the window still goes", "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 2;
  Client client(1, options);
  client.Submit(Op::kPush, 1, "aaaa");
  CHECK(client.Sent().size() == 1);
}

TEST_CASE("a higher priority goes first among those that wait", "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 4;
  Client client(1, options);
  client.Submit(Op::kPush, 1, "aaaa", {1, 0}, 0);
  const RequestEntry first = client.Sent().at(0);
  client.Submit(Op::kPush, 2, "bbbb", {2, 0}, 0);
  client.Submit(Op::kPush, 3, "cccc", {3, 0}, 5);
  client.Submit(Op::kPush, 4, "dddd", {4, 0}, 5);
  client.Reply(first, Progress::kReceived);
  std::vector<KeyId> order;
  for (auto sent = client.Sent(); !sent.empty(); sent = client.Sent()) {
    for (const RequestEntry& entry : sent) {
      order.push_back(entry.key);
      client.Reply(entry, Progress::kReceived);
    }
  }
  CHECK(order == std::vector<KeyId>{3, 4, 2});
}

TEST_CASE("a low priority is sent within a bounded number of turns", "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 4;
  Client client(1, options);
  client.Submit(Op::kPush, 1, "aaaa", {1, 0}, 9);
  RequestEntry sent = client.Sent().at(0);
  client.Submit(Op::kPush, 2, "bbbb", {2, 0}, -5);
  int turns = 0;
  // Something more urgent is there, whenever the window opens.
  for (Ticket ticket = 3; sent.key != 2 && turns < 100; ++ticket) {
    client.Submit(Op::kPush, ticket, "cccc", {ticket, 0}, 9);
    client.Reply(sent, Progress::kReceived);
    sent = client.Sent().at(0);
    ++turns;
  }
  CHECK(turns <= static_cast<int>(client_internal::ReadyQueue::kAgingInterval));
}

TEST_CASE("a part keeps its order whatever the priorities", "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 4;
  Client client(1, options);
  client.Submit(Op::kPush, 1, "aaaa", {1, 0});
  const RequestEntry first = client.Sent().at(0);
  client.Submit(Op::kPush, 2, "bbbb", {2, 0}, 0);
  client.Submit(Op::kPush, 3, "cccc", {3, 0}, 2);
  client.Submit(Op::kPull, 4, {}, {2, 0}, 5);  // makes the push before it as urgent
  CHECK(client.Sent().empty());
  client.Reply(first, Progress::kReceived);
  std::vector<std::pair<Op, KeyId>> order;
  for (auto sent = client.Sent(); !sent.empty(); sent = client.Sent()) {
    for (const RequestEntry& entry : sent) {
      order.emplace_back(entry.op, entry.key);
      if (entry.op == Op::kPush) client.Reply(entry, Progress::kReceived);
    }
  }
  CHECK(order == std::vector<std::pair<Op, KeyId>>{{Op::kPush, 2}, {Op::kPull, 2}, {Op::kPush, 3}});
}

TEST_CASE("bytes that were not answered in time stay in the window while the stream lives",
          "[core]") {
  ClientCoreOptions options;
  options.window_bytes = 4;
  Client client(1, options);
  client.Submit(Op::kPush, 1, "aaaa", {1, 0});
  client.Submit(Op::kPush, 2, "bbbb", {2, 0}, 5);
  CHECK(client.Sent().size() == 1);
  client.RunTimers(10000);
  const auto probe = client.Sent();
  REQUIRE(probe.size() == 1);  // and not the second push
  CHECK(probe[0].op == Op::kProbe);
  client.Reply(probe[0], Progress::kReceived);
  const auto next = client.Sent();
  REQUIRE(next.size() == 1);
  CHECK(next[0].key == 2);
  // They went down with the stream: what waits for room may go on the next one.
  client.Submit(Op::kPush, 3, "cccc", {3, 0});
  client.core.OnStreamDown(client.now_ms, {0, 0});
  client.core.OnStreamUp(client.now_ms, {0, 0}, &client.out);
  const auto after = client.Sent();
  CHECK(std::count_if(after.begin(), after.end(),
                      [](const RequestEntry& entry) { return entry.op == Op::kPush; }) == 1);
}

TEST_CASE("many small parts travel in few frames", "[core]") {
  Client client;
  std::vector<PartRequest> requests;
  for (Ticket ticket = 1; ticket <= 10000; ++ticket) {
    PartRequest request;
    request.op = Op::kPush;
    request.id = {ticket, 0};
    request.ticket = ticket;
    request.piece.data = Payload::CopyOf(std::string(256, 'x'));
    requests.push_back(std::move(request));
  }
  client.core.Submit(0, std::move(requests), &client.out);
  CHECK(client.Sent().size() == 10000);
  CHECK(client.frames == 3);  // 2,560,000 bytes at 1 MiB a frame
}

}  // namespace kvstore
