// The gRPC transport: the conformance suite, and the conversion of statuses.
#include "common/transport/grpc/grpc_transport.h"

#include <catch2/catch.hpp>

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

TEST_CASE("a listener with a small buffer quota slows senders down and loses nothing", "[grpc]") {
  GrpcTransportOptions options;
  options.server_buffer_bytes_max = 16 << 20;
  GrpcTransport transport(options);
  const std::unique_ptr<EventLoop> loop = transport.MakeServerLoop("loop");
  std::vector<std::unique_ptr<MessageStream>> streams;
  size_t intact = 0;
  Gate all;
  auto listener = transport.Listen(
      "127.0.0.1:0", {{{Server::kMethod, loop.get(), [&](std::unique_ptr<MessageStream> stream) {
                          stream->SetEvents({[&](const Payload& message) {
                                               if (message.ToString() == Pattern(7, 1 << 20)) {
                                                 ++intact;
                                               }
                                               if (intact == 4 * 32) all.Open();
                                             },
                                             nullptr});
                          streams.push_back(std::move(stream));
                        }}}});
  REQUIRE(listener.ok());
  Client client;
  for (int i = 0; i < 4; ++i) {
    Peer& peer = client.Dial("127.0.0.1:" + std::to_string((*listener)->port()));
    RunOn(client.loop(), [&] {
      for (int m = 0; m < 32; ++m) peer.stream->Send(Payload::CopyOf(Pattern(7, 1 << 20)));
    });
  }
  CHECK(all.Await());
  (*listener)->Shutdown();
  RunOn(*loop, [&] { streams.clear(); });
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
