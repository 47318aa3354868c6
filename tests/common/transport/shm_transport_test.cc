// Streams with lanes: the conformance suite over the in-process transport, and what is theirs.
#include "common/transport/shm/shm_transport.h"

#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <deque>

#include "common/transport/inproc/inproc_transport.h"
#include "common/transport/methods.h"
#include "common/transport/shm/envelope.h"
#include "common/transport/shm/shm_stream.h"
#include "tests/common/transport/transport_conformance.h"

namespace kvstore::testing {
namespace {

const std::shared_ptr<InprocNetwork>& Network() {
  static const auto network = std::make_shared<InprocNetwork>(kMessageBytesMax + kEnvelopeBytesMax);
  return network;
}

// Longer than any test: what waits for room waits until there is some.
constexpr int64_t kNoTimeMs = 3600 * 1000;

// What the next participant is made with.
ShmTransportOptions& Options() {
  static ShmTransportOptions options{[](const std::string&) { return true; },
                                     [](const std::string&) { return true; }, true, 512, kNoTimeMs};
  return options;
}

// For the time of a test.
struct WithOptions {
  WithOptions(bool enabled, uint32_t blocks) : before(Options()) {
    Options().enabled = enabled;
    Options().blocks = blocks;
  }
  ~WithOptions() { Options() = before; }
  WithOptions(const WithOptions&) = delete;
  WithOptions& operator=(const WithOptions&) = delete;
  const ShmTransportOptions before;
};

}  // namespace

std::unique_ptr<Transport> MakeParticipant() {
  return std::make_unique<ShmTransport>(std::make_unique<InprocTransport>(Network()), Options());
}

std::vector<std::string> HostsToListenOn() { return {"127.0.0.1", "[::1]", "node3"}; }

namespace {

// Has a server count how its messages came: one in a lane is one slice, one that came inline has
// many of 16 KiB.
struct Ways {
  std::atomic<int> in_lane{0};
  std::atomic<int> inline_{0};
  Server::OnMessage Counting() {
    return [this](Peer& peer, Payload message) {
      if (message.size() > kLaneMessageBytesMin) {
        ++(message.slices().size() == 1 ? in_lane : inline_);
      }
      Echo(peer, std::move(message));
    };
  }
};

// The answer of the server to the offer has come when its first echo has.
Peer& DialAndGreet(Client& client, Server& server) {
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(peer.AwaitMessages(1));
  return peer;
}

TEST_CASE("large messages go through the lanes, small ones do not, in one order", "[shm]") {
  Ways ways;
  Server server(ways.Counting());
  Client client;
  Peer& peer = DialAndGreet(client, server);
  constexpr size_t kCount = 300;
  const auto size_of = [](size_t i) { return i % 3 == 0 ? 100 : 20000 * (1 + i % 30); };
  RunOn(client.loop(), [&] {
    for (size_t i = 0; i < kCount; ++i) {
      peer.stream->Send(Payload::CopyOf(Pattern(i, size_of(i))));
    }
  });
  REQUIRE(peer.AwaitMessages(1 + kCount));
  const std::vector<std::string> messages = peer.messages();
  for (size_t i = 0; i < kCount; ++i) {
    CAPTURE(i);
    REQUIRE(messages[1 + i] == Pattern(i, size_of(i)));
  }
  CHECK(ways.in_lane == 200);
  CHECK(ways.inline_ == 0);
}

TEST_CASE("a server that wants no shared memory is sent everything inline", "[shm]") {
  Ways ways;
  std::optional<Server> server;
  {
    const WithOptions off(false, 512);
    server.emplace(ways.Counting());
  }
  Client client;
  Peer& peer = DialAndGreet(client, *server);
  client.Send(peer, Pattern(1, 1 << 20));
  REQUIRE(peer.AwaitMessages(2));
  CHECK(peer.messages()[1] == Pattern(1, 1 << 20));
  CHECK(ways.in_lane == 0);
  CHECK(ways.inline_ == 1);
}

TEST_CASE("a client that wants no shared memory, or whose server is elsewhere, dials without",
          "[shm]") {
  Ways ways;
  Server server(ways.Counting());
  std::optional<Client> client;
  {
    const WithOptions restored(true, 512);
    if (GENERATE(false, true)) {
      Options().enabled = false;
    } else {
      Options().is_here = [](const std::string&) { return false; };
    }
    client.emplace();
  }
  Peer& peer = DialAndGreet(*client, server);
  client->Send(peer, Pattern(1, 1 << 20));
  REQUIRE(peer.AwaitMessages(2));
  CHECK(ways.in_lane == 0);
}

TEST_CASE("what is larger than the lane goes inline", "[shm]") {
  const WithOptions small(true, 4);
  Ways ways;
  Server server(ways.Counting());
  Client client;
  Peer& peer = DialAndGreet(client, server);
  client.Send(peer, Pattern(1, 4 * kLaneBlockBytes));
  client.Send(peer, Pattern(2, 4 * kLaneBlockBytes + 1));
  client.Send(peer, Pattern(3, 4 * kLaneBlockBytes));
  REQUIRE(peer.AwaitMessages(4));
  for (uint64_t i = 1; i <= 3; ++i) {
    CHECK(peer.messages()[i] == Pattern(i, 4 * kLaneBlockBytes + (i == 2 ? 1 : 0)));
  }
  CHECK(ways.in_lane == 2);
  CHECK(ways.inline_ == 1);
}

TEST_CASE("a receiver that keeps all blocks of a lane holds nothing up for good", "[shm]") {
  const WithOptions small(true, 4);
  Options().room_wait_ms = 20;
  Mutex mutex;
  std::deque<Payload> kept;
  Server server([&](Peer& peer, const Payload& message) {
    MutexLock lock(mutex);
    kept.push_back(message);
    peer.stream->Send(Payload::CopyOf("got it"));
  });
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(peer.AwaitMessages(1));
  constexpr size_t kCount = 8;  // two times what fits
  RunOn(client.loop(), [&] {
    for (size_t i = 0; i < kCount; ++i) {
      peer.stream->Send(Payload::CopyOf(Pattern(i, kLaneBlockBytes)));
    }
    CHECK(peer.stream->queued_bytes() >= 4 * kLaneBlockBytes);
  });
  REQUIRE(peer.AwaitMessages(1 + kCount));
  {
    MutexLock lock(mutex);
    for (size_t i = 0; i < kCount; ++i)
      CHECK(kept[1 + i].ToString() == Pattern(i, kLaneBlockBytes));
    kept.clear();
  }
  // And the lane is as good as before.
  client.Send(peer, Pattern(9, 4 * kLaneBlockBytes));
  REQUIRE(peer.AwaitMessages(2 + kCount));
  MutexLock lock(mutex);
  CHECK(kept.front().slices().size() == 1);
  kept.clear();
}

TEST_CASE("messages that wait for room in a lane are told apart from what is on its way", "[shm]") {
  const WithOptions small(true, 64);
  Gate unblock;
  Server server;
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "hello");
  REQUIRE(server.AwaitAccepted(1).AwaitMessages(1));
  // The answer to the offer was sent before; a task of the client's loop is behind it.
  RunOn(client.loop(), [] {});
  server.loop().Post([&] { unblock.Await(); });
  RunOn(client.loop(), [&] {
    for (uint64_t i = 0; i < 40; ++i) peer.stream->Send(Payload::CopyOf(Pattern(i, 1 << 18)));
    CHECK(peer.stream->queued_bytes() >= (40 - 4) * size_t{1 << 18});
  });
  SECTION("and come when there is room") {
    unblock.Open();
    REQUIRE(server.AwaitAccepted(1).AwaitMessages(41));
    RunOn(client.loop(), [&] { CHECK(peer.stream->queued_bytes() == 0); });
  }
  SECTION("and are sent before an orderly end") {
    client.Close(peer);
    unblock.Open();
    const std::optional<absl::Status> status = server.AwaitAccepted(1).AwaitClosed();
    REQUIRE(status.has_value());
    CHECK(*status == absl::OkStatus());
    CHECK(server.AwaitAccepted(1).messages().size() == 41);
  }
  SECTION("and go with the loop") {
    client.StopLoop();
    CHECK(peer.stream->queued_bytes() < size_t{1 << 18} * 40);
    unblock.Open();
  }
}

TEST_CASE("a stream breaks with what is in its lanes, and a new dial succeeds", "[shm]") {
  Server server(Echo);
  Client client;
  Peer& peer = DialAndGreet(client, server);
  client.Send(peer, Pattern(1, 1 << 20));
  Network()->BreakStreams(server.address());
  for (Peer* end : {&peer, &server.AwaitAccepted(1)}) {
    const std::optional<absl::Status> status = end->AwaitClosed();
    REQUIRE(status.has_value());
    CHECK(status->code() == absl::StatusCode::kUnavailable);
  }
  Peer& again = DialAndGreet(client, server);
  client.Send(again, Pattern(2, 1 << 20));
  REQUIRE(again.AwaitMessages(2));
  CHECK(again.messages()[1] == Pattern(2, 1 << 20));
}

// ---- a peer that does not keep to what is agreed

// Speaks to the form with lanes without knowing it.
class Stranger {
 public:
  explicit Stranger(const std::string& address)
      : transport_(Network()), loop_(transport_.MakeLoop("stranger")) {
    RunOn(*loop_, [&] {
      peer_.stream =
          transport_.Dial(*loop_, address, InMemoryMethod(Server::kMethod), peer_.Events());
    });
  }
  ~Stranger() { loop_.reset(); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  void Send(Payload bytes) {
    RunOn(*loop_, [&] { peer_.stream->Send(std::move(bytes)); });
  }
  Peer& peer() { return peer_; }

 private:
  InprocTransport transport_;
  Peer peer_;
  std::unique_ptr<EventLoop> loop_;
};

LaneOffer OfferOf(const SharedMemory& memory, uint32_t blocks) { return {memory.name(), blocks}; }

TEST_CASE("what is no offer ends the stream of a stranger, and no other", "[shm]") {
  Server server(Echo);
  Client client;
  Peer& other = DialAndGreet(client, server);
  const auto memory = *SharedMemory::Create(LaneMemory::BytesFor(4));
  const Payload good = EncodeOffer(OfferOf(*memory, 4));
  const std::vector<Payload> bad = {
      Payload::CopyOf("GET / HTTP/1.1"),
      Payload::CopyOf(std::string(1, '\0')),
      Payload::CopyOf("\7"),
      good.Sub(0, good.size() - 1),
      EncodeOffer(OfferOf(*memory, 0)),
      EncodeOffer(OfferOf(*memory, kLaneBlocksMax + 1)),
      EncodeInline(Payload::CopyOf("hello")),
      EncodeInLane({0, 100}),
      EncodeAnswer({true, ""}),
      EncodeRoom(),
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    Stranger stranger(server.address());
    stranger.Send(bad[i]);
    CHECK(stranger.peer().AwaitClosed().has_value());
    const std::optional<absl::Status> told = server.AwaitAccepted(2 + i).AwaitClosed();
    REQUIRE(told.has_value());
    CHECK(told->code() == absl::StatusCode::kInvalidArgument);
  }
  client.Send(other, Pattern(1, 1 << 20));
  CHECK(other.AwaitMessages(2));
}

TEST_CASE("an offer of what is not there is declined in words, and the stream goes on", "[shm]") {
  Server server(Echo);
  const auto memory = *SharedMemory::Create(LaneMemory::BytesFor(4));
  LaneOffer offer = OfferOf(*memory, 4);
  SECTION("of no process") { offer.name.pid = 0x7fffffff; }
  SECTION("of another process's memory") { offer.name.token[0] ^= 1; }
  SECTION("of another size") { offer.blocks = 5; }
  SECTION("of something else") { offer.name.descriptor = 0; }
  Stranger stranger(server.address());
  stranger.Send(EncodeOffer(offer));
  stranger.Send(EncodeInline(Payload::CopyOf("hello")));
  REQUIRE(stranger.peer().AwaitMessages(2));
  const std::vector<std::string> messages = stranger.peer().messages();
  const std::optional<LaneAnswer> answer = DecodeAnswer(Payload::CopyOf(messages[0]));
  REQUIRE(answer.has_value());
  CHECK_FALSE(answer->accepted);
  CHECK_FALSE(answer->why_not.empty());
  CHECK(messages[1] == EncodeInline(Payload::CopyOf("hello")).ToString());
  stranger.Send(EncodeInLane({0, 100}));  // of a lane that there is not
  CHECK(stranger.peer().AwaitClosed().has_value());
}

TEST_CASE("after its offer a stranger may still do wrong", "[shm]") {
  Server server(Echo);
  const auto memory = *SharedMemory::Create(LaneMemory::BytesFor(4));
  const LaneOffer offer = OfferOf(*memory, 4);
  const std::vector<Payload> bad = {
      EncodeOffer(offer),
      EncodeAnswer({true, ""}),
      EncodeInLane({4, 1}),
      EncodeInLane({0, 0}),
      EncodeInLane({3, kLaneBlockBytes + 1}),
      EncodeInLane({0, 1}).Sub(0, 8),
      Payload(),
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    Stranger stranger(server.address());
    stranger.Send(EncodeOffer(offer));
    REQUIRE(stranger.peer().AwaitMessages(1));
    stranger.Send(bad[i]);
    const std::optional<absl::Status> told = server.AwaitAccepted(1 + i).AwaitClosed();
    REQUIRE(told.has_value());
    CHECK(told->code() == absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace kvstore::testing
