// Keys that fail: C11.
#include <algorithm>
#include <string>

#include "tests/client/core/client_core_fixture.h"

namespace kvstore {
namespace {

using Catch::Matchers::Contains;
using Tickets = std::vector<Ticket>;

constexpr PartId kOther{17, 1};

// The key is made, so that its name is known; and two pushes of both parts are on their way:
// tickets 1 to 4.
std::vector<RequestEntry> TwoPushes(Client& client) {
  PartRequest init;
  init.op = Op::kInit;
  init.id = kPart;
  init.ticket = 100;
  KeySpec key;
  key.key = 17;
  key.name = "w";
  init.key = std::make_shared<KeySpec>(key);
  client.core.Submit(0, {init}, &client.out);
  client.Reply(client.Sent().at(0), Progress::kDone);
  client.Done();
  client.Submit(Op::kPush, 1, "aaaa");
  client.Submit(Op::kPush, 2, "bbbb", kOther);
  client.Submit(Op::kPush, 3, "cccc");
  client.Submit(Op::kPush, 4, "dddd", kOther);
  auto sent = client.Sent();
  REQUIRE(sent.size() == 4);
  return sent;
}

Tickets Sorted(Tickets tickets) {
  std::sort(tickets.begin(), tickets.end());
  return tickets;
}

// Whatever is asked of the key now fails at once, and nothing is sent.
void CheckFailed(Client& client) {
  client.Sent();
  client.Done();
  client.Submit(Op::kPush, 50, "zzzz");
  client.Submit(Op::kPull, 51, "", kOther);
  REQUIRE(client.out.done.size() == 2);
  for (const Completion& done : client.out.done) {
    CHECK(done.key_failed);
    CHECK(absl::IsFailedPrecondition(done.status));
    CHECK_THAT(std::string(done.status.message()),
               Contains("key 'w' has failed: part 1 of push 1") &&
                   Contains("INVALID_ARGUMENT: refused") && Contains("Reset or Delete it"));
  }
  client.Done();
  CHECK(client.Sent().empty());
  CHECK(client.core.open_requests() == 0);
}

}  // namespace

TEST_CASE("a push that one part refuses after another was accepted fails the key", "[core][fail]") {
  Client client;
  const auto sent = TwoPushes(client);
  client.Submit(Op::kPull, 5);
  client.Submit(Op::kPush, 6, "other key", {18, 0});
  client.Reply(sent[0], Progress::kReceived);
  CHECK(client.Done().empty());
  client.Refuse(sent[1], absl::StatusCode::kInvalidArgument);
  // The refusal says what it is; all that is open of the key ends, other keys go on.
  CHECK(client.out.done.at(0).ticket == 2);
  CHECK(absl::IsInvalidArgument(client.out.done[0].status));
  CHECK_THAT(std::string(client.out.done[0].status.message()), Contains("key 'w' has failed"));
  CHECK(Sorted(client.Done()) == Tickets{1, 2, 3, 4, 5});
  CHECK(client.core.open_requests() == 1);
  const auto rest = client.Sent();
  const auto other = std::find_if(rest.begin(), rest.end(),
                                  [](const RequestEntry& entry) { return entry.key == 18; });
  REQUIRE(other != rest.end());
  client.Reply(sent[0], Progress::kDone);  // late: it is over already
  CHECK(client.Done().empty());
  client.Reply(*other, Progress::kDone);
  CHECK(client.Done() == Tickets{6});
  CheckFailed(client);
}

TEST_CASE("a push that one part accepts after another refused it fails the key", "[core][fail]") {
  Client client;
  const auto sent = TwoPushes(client);
  client.Refuse(sent[1], absl::StatusCode::kInvalidArgument);
  CHECK(client.Done() == Tickets{2});
  SECTION("of the same round") { client.Reply(sent[0], Progress::kReceived); }
  SECTION("done at once") { client.Reply(sent[0], Progress::kDone); }
  SECTION("of a later round") { client.Reply(sent[3], Progress::kReceived); }
  CHECK(Sorted(client.Done()) == Tickets{1, 3, 4});
  CheckFailed(client);
}

TEST_CASE("a push that all parts refuse, and an update that fails, fail no key", "[core][fail]") {
  Client client;
  const auto sent = TwoPushes(client);
  SECTION("all refuse it") {
    client.Refuse(sent[0], absl::StatusCode::kInvalidArgument);
    client.Refuse(sent[1], absl::StatusCode::kInvalidArgument);
  }
  SECTION("the updater of one fails") {
    ReplyEntry failed(sent[0], absl::InvalidArgumentError("the updater"));
    client.Reply(failed, Progress::kDone);
    client.Reply(sent[1], Progress::kDone);
  }
  SECTION("one is put off") {
    client.Reply(sent[0], Progress::kDone);
    client.Refuse(sent[1], absl::StatusCode::kResourceExhausted, 20);
  }
  SECTION("one was deleted or reset") {
    client.Reply(sent[0], Progress::kDone);
    client.Refuse(sent[1], absl::StatusCode::kNotFound);
  }
  client.Done();
  client.Submit(Op::kPull, 51);
  for (const Completion& done : client.out.done) CHECK_FALSE(done.key_failed);
  CHECK(client.core.open_requests() > 0);
}

TEST_CASE("a failed key goes on when it is reset or deleted", "[core][fail]") {
  const Op op = GENERATE(Op::kReset, Op::kDelete);
  Client client;
  const auto sent = TwoPushes(client);
  client.Reply(sent[0], Progress::kReceived);
  client.Refuse(sent[1], absl::StatusCode::kInvalidArgument);
  CheckFailed(client);
  client.Submit(op, 60);
  client.Submit(op, 61, "", kOther);
  client.Submit(Op::kPush, 62, "eeee");
  const auto ends = client.Sent();
  REQUIRE(ends.size() == 2);  // the push is held
  for (const RequestEntry& end : ends) {
    ReplyEntry reply(end);
    reply.life = end.life + 1;
    client.Reply(reply, Progress::kDone);
  }
  CHECK(client.Done() == Tickets{60, 61});
  const auto push = client.Sent();
  REQUIRE(push.size() == 1);
  CHECK(push[0].round == 1);
  CHECK(push[0].life == (op == Op::kReset ? 1 : 0));  // an Init says the life after a DELETE
}

}  // namespace kvstore
