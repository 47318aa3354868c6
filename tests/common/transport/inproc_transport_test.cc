// The in-process transport: the conformance suite, and its own fault hooks.
#include "common/transport/inproc/inproc_transport.h"

#include <catch2/catch.hpp>

#include "tests/common/transport/transport_conformance.h"

namespace kvstore::testing {
namespace {

const std::shared_ptr<InprocNetwork>& Network() {
  static const auto network = std::make_shared<InprocNetwork>();
  return network;
}

}  // namespace

std::unique_ptr<Transport> MakeParticipant() {
  return std::make_unique<InprocTransport>(Network());
}

std::vector<std::string> HostsToListenOn() { return {"127.0.0.1", "[::1]", "node3"}; }

namespace {

TEST_CASE("broken streams are seen at both ends and a new dial succeeds", "[inproc]") {
  Server server(Echo);
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(peer.AwaitMessages(1));
  Network()->BreakStreams(server.address());
  for (Peer* end : {&peer, &server.AwaitAccepted(1)}) {
    const std::optional<absl::Status> status = end->AwaitClosed();
    REQUIRE(status.has_value());
    CHECK(status->code() == absl::StatusCode::kUnavailable);
  }
  Peer& again = client.Dial(server.address());
  client.Send(again, "hello again");
  CHECK(again.AwaitMessages(1));
}

TEST_CASE("messages under way are lost when their stream breaks", "[inproc]") {
  Server server;
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(server.AwaitAccepted(1).AwaitMessages(1));
  Gate unblock;
  server.loop().Post([&] { unblock.Await(); });
  RunOn(client.loop(), [&] { peer.stream->Send(Payload::CopyOf("lost")); });
  Network()->BreakStreams(server.address());
  unblock.Open();
  REQUIRE(server.AwaitAccepted(1).AwaitClosed().has_value());
  CHECK(server.AwaitAccepted(1).messages() == std::vector<std::string>{"hello"});
}

TEST_CASE("an unreachable address refuses dials and calls until it is back", "[inproc]") {
  Server server(Echo, "127.0.0.1:0",
                {{"/kvstore.test.Echo/Ok", nullptr,
                  [](Payload, const UnaryReply& reply) { reply(std::string("ok")); }}});
  Client client;
  Peer& before = client.Dial(server.address());
  client.Send(before, "one");
  REQUIRE(before.AwaitMessages(1));
  Network()->SetUnreachable(server.address(), true);
  const std::optional<absl::Status> status = client.Dial(server.address()).AwaitClosed();
  REQUIRE(status.has_value());
  CHECK(status->code() == absl::StatusCode::kUnavailable);
  const auto call = [&] {
    return client.transport().CallUnary(server.address(), "/kvstore.test.Echo/Ok", "", 20000);
  };
  CHECK(call().status().code() == absl::StatusCode::kUnavailable);
  client.Send(before, "two");  // open streams go on
  CHECK(before.AwaitMessages(2));
  Network()->SetUnreachable(server.address(), false);
  CHECK(call().ok());
  Peer& after = client.Dial(server.address());
  client.Send(after, "three");
  CHECK(after.AwaitMessages(1));
}

TEST_CASE("delivered messages are counted", "[inproc]") {
  Server server(Echo);
  Client client;
  Peer& peer = client.Dial(server.address());
  const uint64_t before = Network()->messages();
  for (int i = 0; i < 10; ++i) client.Send(peer, "x");
  REQUIRE(peer.AwaitMessages(10));
  CHECK(Network()->messages() - before == 20);
}

TEST_CASE("the receiver never sees what the sender writes afterwards", "[inproc]") {
  Server server;
  Client client;
  Peer& peer = client.Dial(server.address());
  Gate released;
  auto bytes = std::make_shared<std::string>(1000, 'a');
  RunOn(client.loop(), [&] {
    const std::shared_ptr<const void> owner(bytes.get(),
                                            [&released](const void*) { released.Open(); });
    peer.stream->Send(
        Payload(Slice{reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size(), owner}));
    // Without an owner: good during the call only.
    peer.stream->Send(
        Payload(Slice{reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size(), nullptr}));
  });
  REQUIRE(released.Await());
  bytes->assign(1000, 'b');
  REQUIRE(server.AwaitAccepted(1).AwaitMessages(2));
  CHECK(server.AwaitAccepted(1).messages()[0] == std::string(1000, 'a'));
  CHECK(server.AwaitAccepted(1).messages()[1] == std::string(1000, 'a'));
}

}  // namespace
}  // namespace kvstore::testing
