// The gRPC transport: the conformance suite, and the conversion of statuses.
#include "common/transport/grpc/grpc_transport.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>

#include "common/transport/grpc/grpc_status.h"
#include "tests/common/transport/transport_conformance.h"

namespace kvstore::testing {

std::unique_ptr<Transport> MakeParticipant() { return std::make_unique<GrpcTransport>(); }

std::vector<std::string> HostsToListenOn() { return {"127.0.0.1", "[::1]", "localhost"}; }

namespace {

TEST_CASE("statuses keep code and message across gRPC", "[grpc]") {
  for (int code = 0; code <= static_cast<int>(absl::StatusCode::kUnauthenticated); ++code) {
    CAPTURE(code);
    const absl::Status status(static_cast<absl::StatusCode>(code), code == 0 ? "" : "why");
    CHECK(ToGrpcStatus(status).error_code() == code);
    CHECK(FromGrpcStatus(ToGrpcStatus(status)) == status);
  }
  CHECK(ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(99), "odd")).error_code() ==
        grpc::StatusCode::UNKNOWN);
  CHECK(FromGrpcStatus(grpc::Status(grpc::StatusCode::DO_NOT_USE, "odd")).code() ==
        absl::StatusCode::kUnknown);
}

TEST_CASE("a host name that does not resolve is told to dialler and listener", "[grpc]") {
  Client client;
  const std::optional<absl::Status> status = client.Dial("no-such-host.invalid:7070").AwaitClosed();
  REQUIRE(status.has_value());
  CAPTURE(status->ToString());
  CHECK(status->code() == absl::StatusCode::kUnavailable);

  GrpcTransport transport;
  const std::unique_ptr<EventLoop> loop = transport.MakeServerLoop("loop");
  const absl::Status refused =
      transport.Listen("no-such-host.invalid:0", {{{"/x/Y", loop.get(), [](auto) {}}}}).status();
  CHECK(refused.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(refused.message()), Catch::Contains("no-such-host.invalid"));
}

TEST_CASE("over the buffer quota the server serves on, and who is told OK was heard to the end",
          "[grpc]") {
  GrpcTransportOptions options;
  options.server_buffer_bytes_max = 8 << 20;  // far too little for four streams of this
  GrpcTransport transport(options);
  const std::unique_ptr<EventLoop> loop = transport.MakeServerLoop("loop");
  constexpr int kStreams = 4;
  constexpr int kMessages = 32;
  const std::string bytes = Pattern(7, 1 << 20);  // once: it takes longer than to send it
  std::vector<std::unique_ptr<MessageStream>> streams;
  int garbled = 0;
  int whole = 0;  // streams of which the server has all messages; it closes them
  const auto accept = [&](std::unique_ptr<MessageStream> stream) {
    MessageStream* const raw = stream.get();
    const auto count = std::make_shared<int>(0);
    raw->SetEvents({[&, raw, count](const Payload& message) {
                      if (message.size() == 5) return raw->Close();  // a greeting, taken
                      if (message.ToString() != bytes) ++garbled;
                      if (++*count < kMessages) return;
                      ++whole;
                      raw->Close();
                    },
                    [](const absl::Status&) {}});
    streams.push_back(std::move(stream));
  };
  auto listener = transport.Listen("127.0.0.1:0", {{{Server::kMethod, loop.get(), accept}}});
  REQUIRE(listener.ok());
  const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
  Client client;
  std::vector<Peer*> peers;
  for (int i = 0; i < kStreams; ++i) {
    peers.push_back(&client.Dial(address));
    RunOn(client.loop(), [&] {
      for (int m = 0; m < kMessages; ++m) peers.back()->stream->Send(Payload::CopyOf(bytes));
    });
  }
  // The senders are told how it ended, also of a stream that was broken before the server had
  // accepted it.
  int told_whole = 0;
  for (Peer* const peer : peers) {
    const std::optional<absl::Status> status = peer->AwaitClosed();
    CHECK(status.has_value());
    told_whole += status == absl::OkStatus() ? 1 : 0;
  }
  // What the broken ones left may still fill the quota, and break a greeting too.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  bool greeted = false;
  while (!greeted && std::chrono::steady_clock::now() < deadline) {
    Peer& peer = client.Dial(address);
    client.Send(peer, "hello");
    greeted = peer.AwaitClosed() == absl::OkStatus();
  }
  CHECK(greeted);
  (*listener)->Shutdown();
  RunOn(*loop, [&] { streams.clear(); });
  CHECK(garbled == 0);
  CHECK(told_whole <= whole);
}

TEST_CASE("an address of another host cannot be listened on", "[grpc]") {
  GrpcTransport transport;
  const std::unique_ptr<EventLoop> loop = transport.MakeServerLoop("loop");
  const absl::Status status =
      transport.Listen("192.0.2.1:0", {{{"/x/Y", loop.get(), [](auto) {}}}}).status();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(status.message()), Catch::Contains("no such address"));
}

}  // namespace
}  // namespace kvstore::testing
