// Streams: order, content, ends, breaks.
#include "tests/common/transport/transport_conformance.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <new>
#include <thread>

namespace kvstore::testing {
namespace {

TEST_CASE("echoed messages come back whole and in order", "[transport]") {
  Server server(Echo);
  Client client;
  Peer& peer = client.Dial(server.address());
  const std::vector<size_t> sizes = {0, 1, 7, 63, 64, 65, 1000, 5003};
  constexpr size_t kCount = 2000;
  RunOn(client.loop(), [&] {
    for (size_t i = 0; i < kCount; ++i) {
      peer.stream->Send(Payload::CopyOf(Pattern(i, sizes[i % sizes.size()])));
    }
  });
  REQUIRE(peer.AwaitMessages(kCount));
  const std::vector<std::string> messages = peer.messages();
  for (size_t i = 0; i < kCount; ++i) {
    CAPTURE(i);
    REQUIRE(messages[i] == Pattern(i, sizes[i % sizes.size()]));
  }
}

TEST_CASE("a dialled stream says once that it is open, before its first message", "[transport]") {
  Server server(Echo);
  Client client;
  std::vector<std::string> seen;  // of the client's loop
  Gate message;
  StreamEvents events;
  events.on_open = [&] { seen.emplace_back("open"); };
  events.on_message = [&](const Payload&) {
    seen.emplace_back("message");
    message.Open();
  };
  Peer& peer = client.Dial(server.address(), Server::kMethod, std::move(events));
  client.Send(peer, "hello");
  REQUIRE(message.Await());
  RunOn(client.loop(), [&] { CHECK(seen == std::vector<std::string>{"open", "message"}); });
}

TEST_CASE("a stream may be open without a word from either side, and be destroyed in that event",
          "[transport]") {
  Server server;
  Client client;
  Gate dialled, open;
  Peer* peer = nullptr;
  StreamEvents events;
  events.on_open = [&] {
    dialled.Await();
    peer->stream.reset();
    open.Open();
  };
  peer = &client.Dial(server.address(), Server::kMethod, std::move(events));
  dialled.Open();
  CHECK(open.Await());
}

TEST_CASE("a stream to nobody is never open", "[transport]") {
  std::string address;
  {
    const Server gone;
    address = gone.address();
  }
  Client client;
  bool open = false;  // of the client's loop
  Gate closed;
  StreamEvents events;
  events.on_open = [&] { open = true; };
  events.on_closed = [&](const absl::Status& status) {
    CHECK(status.code() == absl::StatusCode::kUnavailable);
    closed.Open();
  };
  client.Dial(address, Server::kMethod, std::move(events));
  REQUIRE(closed.Await());
  RunOn(client.loop(), [&] { CHECK_FALSE(open); });
}

TEST_CASE("16 MiB in messages of 1 MiB made of many slices arrive intact", "[transport]") {
  Server server;
  Client client;
  Peer& peer = client.Dial(server.address());
  OwnerCount owners;
  RunOn(client.loop(), [&] {
    for (uint64_t i = 0; i < 16; ++i) {
      const auto bytes = std::make_shared<const std::string>(Pattern(i, 1 << 20));
      Payload message;
      size_t offset = 0;
      for (const size_t cut : {size_t{40}, size_t{8}, size_t{1}, size_t{65}, size_t{70000}}) {
        message.Append(owners.Wrap(std::make_shared<const std::string>(*bytes, offset, cut)));
        offset += cut;
      }
      message.Append(owners.Wrap(std::make_shared<const std::string>(*bytes, offset)));
      peer.stream->Send(std::move(message));
    }
  });
  Peer& accepted = server.AwaitAccepted(1);
  REQUIRE(accepted.AwaitMessages(16));
  const std::vector<std::string> messages = accepted.messages();
  for (uint64_t i = 0; i < 16; ++i) REQUIRE(messages[i] == Pattern(i, 1 << 20));
  REQUIRE(owners.AwaitNone());
  CHECK(owners.made() == 16 * 6);
  CHECK(owners.released() == owners.made());
}

TEST_CASE("a received payload outlives its stream and its loop", "[transport]") {
  Payload kept;
  Gate received;
  {
    Server server([&](Peer&, Payload message) {
      kept = std::move(message);
      received.Open();
    });
    Client client;
    Peer& peer = client.Dial(server.address());
    client.Send(peer, Pattern(1, 300000));
    REQUIRE(received.Await());
  }
  CHECK(kept.ToString() == Pattern(1, 300000));
}

TEST_CASE("owners of messages that a break leaves unsent are released, each once", "[transport]") {
  OwnerCount owners;
  Gate unblock;
  Server server;
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(server.AwaitAccepted(1).AwaitMessages(1));
  server.loop().Post([&] { unblock.Await(); });  // reads nothing now
  const auto bytes = std::make_shared<const std::string>(Pattern(1, 1 << 20));
  RunOn(client.loop(), [&] {
    for (int i = 0; i < 64; ++i) peer.stream->Send(Payload(owners.Wrap(bytes)));
    CHECK(peer.stream->queued_bytes() > 0);
  });
  SECTION("the sender's loop stops") { client.StopLoop(); }
  SECTION("the receiver goes away") {
    std::thread opener([&] { unblock.Open(); });
    server.listener().Shutdown();
    opener.join();
    REQUIRE(peer.AwaitClosed().has_value());
  }
  unblock.Open();
  CHECK(owners.AwaitNone());
  CHECK(owners.released() == 64);
}

TEST_CASE("queued bytes go back to zero when the peer reads", "[transport]") {
  Server server;
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(server.AwaitAccepted(1).AwaitMessages(1));
  Gate unblock;
  server.loop().Post([&] { unblock.Await(); });
  RunOn(client.loop(), [&] {
    for (uint64_t i = 0; i < 40; ++i) peer.stream->Send(Payload::CopyOf(Pattern(i, 1 << 20)));
    CHECK(peer.stream->queued_bytes() >= 30u << 20);
  });
  unblock.Open();
  REQUIRE(server.AwaitAccepted(1).AwaitMessages(41));
  RunOn(client.loop(), [&] { CHECK(peer.stream->queued_bytes() == 0); });
}

TEST_CASE("a close by the client is an orderly end for the server", "[transport]") {
  Server server;
  Client client;
  Peer& peer = client.Dial(server.address());
  RunOn(client.loop(), [&] {
    for (uint64_t i = 0; i < 8; ++i) peer.stream->Send(Payload::CopyOf(Pattern(i, 1 << 20)));
    peer.stream->Close();
    peer.stream->Close();
    peer.stream->Send(Payload::CopyOf("too late"));
  });
  Peer& accepted = server.AwaitAccepted(1);
  const std::optional<absl::Status> status = accepted.AwaitClosed();
  REQUIRE(status.has_value());
  CHECK(*status == absl::OkStatus());
  CHECK(accepted.messages().size() == 8);  // what was sent before the close, and nothing else
  CHECK_FALSE(peer.closed());
}

TEST_CASE("a close by the server is an orderly end for the client", "[transport]") {
  Server server([](Peer& peer, Payload) {
    for (uint64_t i = 0; i < 8; ++i) peer.stream->Send(Payload::CopyOf(Pattern(i, 1 << 20)));
    peer.stream->Close();
  });
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  const std::optional<absl::Status> status = peer.AwaitClosed();
  REQUIRE(status.has_value());
  CHECK(*status == absl::OkStatus());
  const std::vector<std::string> messages = peer.messages();
  REQUIRE(messages.size() == 8);
  for (uint64_t i = 0; i < 8; ++i) CHECK(messages[i] == Pattern(i, 1 << 20));
  CHECK_FALSE(server.AwaitAccepted(1).closed());
}

TEST_CASE("no event comes after a close", "[transport]") {
  Gate unblock;
  Server server([&](Peer& peer, Payload message) {
    unblock.Await();
    Echo(peer, std::move(message));
  });
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  server.AwaitAccepted(1);
  client.Close(peer);
  unblock.Open();  // the echo meets a closed stream
  REQUIRE(server.AwaitAccepted(1).AwaitClosed().has_value());
  RunOn(client.loop(), [] {});
  CHECK(peer.messages().empty());
  CHECK_FALSE(peer.closed());
}

TEST_CASE("a stream that is closed before it is connected sends what it has", "[transport]") {
  Server server;
  Client client;
  RunOn(client.loop(), [&] {
    auto stream = client.transport().Dial(client.loop(), server.address(), Server::kMethod, {});
    stream->Send(Payload::CopyOf("last words"));
  });
  Peer& accepted = server.AwaitAccepted(1);
  REQUIRE(accepted.AwaitMessages(1));
  CHECK(accepted.messages()[0] == "last words");
  const std::optional<absl::Status> status = accepted.AwaitClosed();
  REQUIRE(status.has_value());
  CHECK(*status == absl::OkStatus());
}

TEST_CASE("a stream may be destroyed within its own on_message", "[transport]") {
  Server server(Echo);
  Client client;
  Gate destroyed;
  // Held by the event's own capture: destroying the stream must not pull it away.
  const auto canary = std::make_shared<std::string>("alive");
  Peer* peer = nullptr;
  std::string seen;
  peer = &client.Dial(server.address(), Server::kMethod,
                      {[&, canary](Payload) {
                         peer->stream.reset();
                         seen = *canary;
                         destroyed.Open();
                       },
                       nullptr});
  client.Send(*peer, "hello");
  REQUIRE(destroyed.Await());
  CHECK(seen == "alive");
  const std::optional<absl::Status> status = server.AwaitAccepted(1).AwaitClosed();
  REQUIRE(status.has_value());
  CHECK(*status == absl::OkStatus());
}

TEST_CASE("a stream whose receiver has no memory for a message is broken, others go on",
          "[transport]") {
  Server server([](Peer& peer, Payload message) {
    if (message.ToString() == "too much") throw std::bad_alloc();
    Echo(peer, std::move(message));
  });
  Client client;
  Peer& broken = client.Dial(server.address());
  client.Send(broken, "hello");
  REQUIRE(broken.AwaitMessages(1));
  client.Send(broken, "too much");
  client.Send(broken, "never read");
  for (Peer* const end : {&broken, &server.AwaitAccepted(1)}) {
    const std::optional<absl::Status> status = end->AwaitClosed();
    REQUIRE(status.has_value());
    CHECK_FALSE(status->ok());
  }
  CHECK(broken.messages() == std::vector<std::string>{"hello"});

  Peer& other = client.Dial(server.address());
  client.Send(other, "hello again");
  REQUIRE(other.AwaitMessages(1));
  CHECK(other.messages()[0] == "hello again");
}

TEST_CASE("a dialling stream without memory for a message is broken, too", "[transport]") {
  Server server(Echo);
  Client client;
  Gate closed;
  std::optional<absl::Status> why;
  Peer& peer = client.Dial(server.address(), Server::kMethod,
                           {[](Payload) { throw std::bad_alloc(); },
                            [&](absl::Status status) {
                              why = std::move(status);
                              closed.Open();
                            }});
  client.Send(peer, "hello");
  REQUIRE(closed.Await());
  CHECK_FALSE(why->ok());
  REQUIRE(server.AwaitAccepted(1).AwaitClosed().has_value());
}

TEST_CASE("a stream may be destroyed within its own on_closed", "[transport]") {
  Server server([](Peer& peer, Payload) { peer.stream->Close(); });
  Client client;
  Gate destroyed;
  const auto canary = std::make_shared<std::string>("alive");
  Peer* peer = nullptr;
  std::string seen;
  peer = &client.Dial(server.address(), Server::kMethod, {nullptr, [&, canary](absl::Status) {
                                                            peer->stream.reset();
                                                            seen = *canary;
                                                            destroyed.Open();
                                                          }});
  client.Send(*peer, "hello");
  REQUIRE(destroyed.Await());
  CHECK(seen == "alive");
}

TEST_CASE("a dial to nobody is told at once", "[transport]") {
  std::string address;
  {
    const Server server;
    address = server.address();
  }
  Client client;
  Peer& peer = client.Dial(address);
  client.Send(peer, "hello");
  const std::optional<absl::Status> status = peer.AwaitClosed();
  REQUIRE(status.has_value());
  CAPTURE(status->ToString());
  CHECK(status->code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(status->message()), Catch::Contains(address));
}

TEST_CASE("a dial to what is no address is told so", "[transport]") {
  Client client;
  for (const std::string address : {"", "nonsense", "127.0.0.1", "::1:70", "127.0.0.1:99999"}) {
    CAPTURE(address);
    const std::optional<absl::Status> status = client.Dial(address).AwaitClosed();
    REQUIRE(status.has_value());
    CHECK(status->code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a method that is not served is unimplemented", "[transport]") {
  Server server;
  Client client;
  const std::optional<absl::Status> status =
      client.Dial(server.address(), "/kvstore.test.Echo/Nothing").AwaitClosed();
  REQUIRE(status.has_value());
  CAPTURE(status->ToString());
  CHECK(status->code() == absl::StatusCode::kUnimplemented);
  CHECK_THAT(std::string(status->message()), Catch::Contains("/kvstore.test.Echo/Nothing"));
}

TEST_CASE("a message over the limit ends the stream of its sender", "[transport]") {
  Server server([](Peer& peer, Payload) {
    peer.stream->Send(Payload::CopyOf(std::string(kMessageBytesMax + 1, 'x')));
  });
  Client client;
  SECTION("the largest message passes") {
    Peer& peer = client.Dial(server.address());
    client.Send(peer, std::string(kMessageBytesMax, 'x'));
    CHECK(server.AwaitAccepted(1).AwaitMessages(1));
  }
  SECTION("the client sends it") {
    Peer& peer = client.Dial(server.address());
    client.Send(peer, std::string(kMessageBytesMax + 1, 'x'));
    const std::optional<absl::Status> status = peer.AwaitClosed();
    REQUIRE(status.has_value());
    CAPTURE(status->ToString());
    CHECK(status->code() == absl::StatusCode::kResourceExhausted);
  }
  SECTION("the server sends it") {
    Peer& peer = client.Dial(server.address());
    client.Send(peer, "hello");
    const std::optional<absl::Status> status = peer.AwaitClosed();
    REQUIRE(status.has_value());
    CAPTURE(status->ToString());
    CHECK(status->code() == absl::StatusCode::kResourceExhausted);
    const std::optional<absl::Status> own = server.AwaitAccepted(1).AwaitClosed();
    REQUIRE(own.has_value());
    CHECK(own->code() == absl::StatusCode::kResourceExhausted);
  }
}

TEST_CASE("both ends see the shutdown of a listener", "[transport]") {
  Server server(Echo);
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(peer.AwaitMessages(1));
  server.listener().Shutdown();
  server.listener().Shutdown();
  for (Peer* end : {&peer, &server.AwaitAccepted(1)}) {
    const std::optional<absl::Status> status = end->AwaitClosed();
    REQUIRE(status.has_value());
    CAPTURE(status->ToString());
    CHECK(status->code() == absl::StatusCode::kUnavailable);
  }
  const std::optional<absl::Status> late = client.Dial(server.address()).AwaitClosed();
  REQUIRE(late.has_value());
  CHECK(late->code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("the end of the client's loop is seen by the server", "[transport]") {
  Server server(Echo);
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(peer.AwaitMessages(1));
  client.StopLoop();
  const std::optional<absl::Status> status = server.AwaitAccepted(1).AwaitClosed();
  REQUIRE(status.has_value());
  CHECK(status->code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(peer.closed());
}

TEST_CASE("a listener that came back on its port is reached by the next dial", "[transport]") {
  auto server = std::make_unique<Server>(Echo);
  const std::string address = server->address();
  Client client;
  Peer& first = client.Dial(address);
  client.Send(first, "one");
  REQUIRE(first.AwaitMessages(1));
  server.reset();
  REQUIRE(first.AwaitClosed().has_value());
  REQUIRE(client.Dial(address).AwaitClosed().has_value());
  server = std::make_unique<Server>(Echo, address);
  Peer& second = client.Dial(address);
  client.Send(second, "two");
  REQUIRE(second.AwaitMessages(1));
  CHECK(second.messages()[0] == "two");
}

TEST_CASE("every address family that the host has can be listened on", "[transport]") {
  for (const std::string& host : HostsToListenOn()) {
    CAPTURE(host);
    Server server(Echo, host + ":0");
    CHECK(server.listener().port() > 0);
    Client client;
    Peer& peer = client.Dial(server.address());
    client.Send(peer, "hello");
    REQUIRE(peer.AwaitMessages(1));
    RunOn(client.loop(), [&] { CHECK_FALSE(peer.stream->peer().empty()); });
    RunOn(server.loop(), [&] { CHECK_FALSE(server.AwaitAccepted(1).stream->peer().empty()); });
  }
}

}  // namespace
}  // namespace kvstore::testing
