// gRPC with mutual TLS: the conformance suite, and who is let in.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "common/tls/openssl.h"
#include "common/transport/grpc/grpc_credentials.h"
#include "common/transport/grpc/grpc_log.h"
#include "common/transport/grpc/grpc_transport.h"
#include "common/transport/host_port.h"
#include "tests/common/transport/transport_conformance.h"
#include "tests/support/tls_folders.h"

namespace kvstore::testing {
namespace {

const TlsFolders& Folders() {
  static TlsFolders folders;
  return folders;
}

std::shared_ptr<TlsSource> Source(const std::string& folder) {
  auto source = TlsSource::Open(folder);
  REQUIRE(source.ok());
  return *source;
}

// A transport with a certificate of these roles.
std::unique_ptr<GrpcTransport> TransportOf(const std::vector<std::string>& roles) {
  static int made = 0;
  GrpcTransportOptions options;
  options.tls = Source(Folders().For("process-" + std::to_string(++made), roles));
  return std::make_unique<GrpcTransport>(std::move(options));
}

}  // namespace

std::unique_ptr<Transport> MakeParticipant() {
  // Before gRPC is used, as a daemon does.
  static bool only_13 = (AllowOnlyTls13(), LogOfGrpc(), true);
  static_cast<void>(only_13);
  static std::shared_ptr<TlsSource> source = Source(Folders().For("all", {"server", "worker"}));
  GrpcTransportOptions options;
  options.tls = source;
  return std::make_unique<GrpcTransport>(std::move(options));
}

// Names of hosts are not looked at.
std::vector<std::string> HostsToListenOn() { return {"127.0.0.1", "[::1]", "localhost"}; }

namespace {

constexpr char kAsked[] = "/kvstore.test.Echo/Ask";

// A listener that answers one question, with the name and roles of who opened a stream last.
class Daemon {
 public:
  explicit Daemon(GrpcTransportOptions options) : transport_(std::move(options)) {
    loop_ = transport_.MakeServerLoop("daemon");
    ListenOptions listen;
    listen.unary_methods = {
        {kAsked, loop_.get(), [](const Payload&, const UnaryReply& reply) { reply("yes"); }}};
    listen.methods = {{Server::kMethod, loop_.get(), [this](std::unique_ptr<MessageStream> stream) {
                         const Identity caller = stream->caller();
                         stream->SetEvents({[](const Payload&) {}, [](const absl::Status&) {}});
                         stream->Send(
                             Payload::CopyOf(caller.name + ": " + RoleNames(caller.roles)));
                         streams_.push_back(std::move(stream));
                       }}};
    auto listener = transport_.Listen("127.0.0.1:0", std::move(listen));
    REQUIRE(listener.ok());
    listener_ = *std::move(listener);
  }
  ~Daemon() {
    listener_->Shutdown();
    RunOn(*loop_, [this] { streams_.clear(); });
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(listener_->port()); }

 private:
  GrpcTransport transport_;
  std::unique_ptr<EventLoop> loop_;
  std::vector<std::unique_ptr<MessageStream>> streams_;
  std::unique_ptr<Listener> listener_;
};

GrpcTransportOptions Secured(const std::string& folder) {
  MakeParticipant();
  GrpcTransportOptions options;
  options.tls = Source(folder);
  return options;
}

absl::StatusOr<std::string> Ask(Transport& transport, const std::string& address) {
  return transport.CallUnary(address, kAsked, "", 10000);
}

// What a stream that `transport` dials sees first: a message, or the status it is closed with.
absl::StatusOr<std::string> FirstOf(Transport& transport, const std::string& address) {
  const std::unique_ptr<EventLoop> loop = transport.MakeLoop("dialler");
  Peer peer;
  StreamEvents events = peer.Events();
  Gate gate;
  RunOn(*loop, [&] {
    events.on_message = [&gate, before = events.on_message](Payload message) {
      before(std::move(message));
      gate.Open();
    };
    events.on_closed = [&gate, before = events.on_closed](const absl::Status& status) {
      before(status);
      gate.Open();
    };
    peer.stream = transport.Dial(*loop, address, Server::kMethod, std::move(events));
  });
  REQUIRE(gate.Await());
  RunOn(*loop, [&] { peer.stream.reset(); });
  if (!peer.messages().empty()) return peer.messages()[0];
  return *peer.AwaitClosed();
}

TEST_CASE("a caller is known by its certificate", "[tls]") {
  const Daemon daemon(Secured(Folders().For("server", {"server"})));
  GrpcTransportOptions options;
  options.tls = Source(Folders().For("w3", {"worker/rank/3", "viewer"}));
  GrpcTransport worker(options);
  const auto told = FirstOf(worker, daemon.address());
  REQUIRE(told.ok());
  CHECK(*told == "w3: worker, viewer");
  CHECK(*Ask(worker, daemon.address()) == "yes");
}

TEST_CASE("what a permission refuses, streams and questions alike, gets its error", "[tls]") {
  GrpcTransportOptions options = Secured(Folders().For("server", {"server"}));
  options.check_permission = [](const std::string& method, const Identity& caller) {
    if ((caller.roles & kAdminPeer) != 0) return absl::OkStatus();
    return absl::PermissionDeniedError(method + " is not for " + caller.name);
  };
  const Daemon daemon(options);
  const auto admin = TransportOf({"admin"});
  CHECK(FirstOf(*admin, daemon.address()).ok());
  CHECK(Ask(*admin, daemon.address()).ok());
  GrpcTransportOptions of_worker;
  of_worker.tls = Source(Folders().For("some worker", {"worker"}));
  GrpcTransport worker(of_worker);
  const absl::Status stream = FirstOf(worker, daemon.address()).status();
  CHECK(stream ==
        absl::PermissionDeniedError(std::string(Server::kMethod) + " is not for some worker"));
  CHECK(Ask(worker, daemon.address()).status() ==
        absl::PermissionDeniedError(std::string(kAsked) + " is not for some worker"));
  CHECK(Ask(*admin, daemon.address()).ok());
}

TEST_CASE("nobody gets in whose certificate another authority signed", "[tls]") {
  const Daemon daemon(Secured(Folders().For("server", {"server"})));
  const TlsFolders others;  // of the same name
  // Trusts both authorities, so that it is the daemon that refuses.
  const std::string folder = others.Path("foreign");
  REQUIRE(WriteTlsFiles(folder, others.Sign(RequestFor("foreign", {"kvstore://admin"})),
                        others.authority().certificate + Folders().authority().certificate)
              .ok());
  // Trusts only its own, and refuses by itself.
  for (const std::string& one : {folder, others.For("elsewhere", {"admin"})}) {
    GrpcTransportOptions options;
    options.tls = Source(one);
    GrpcTransport stranger(options);
    CHECK(Ask(stranger, daemon.address()).status().code() == absl::StatusCode::kUnavailable);
    CHECK(FirstOf(stranger, daemon.address()).status().code() == absl::StatusCode::kUnavailable);
  }
  CHECK(Ask(*TransportOf({"admin"}), daemon.address()).ok());
}

TEST_CASE("who dials a daemon talks to no certificate but a server's", "[tls]") {
  const Daemon impostor(Secured(Folders().For("impostor", {"worker", "admin"})));
  const auto worker = TransportOf({"worker"});
  for (const absl::Status& status :
       {Ask(*worker, impostor.address()).status(), FirstOf(*worker, impostor.address()).status()}) {
    CHECK(status.code() == absl::StatusCode::kUnavailable);
    CHECK_THAT(std::string(status.message()),
               Catch::Contains("the certificate of a server expected, that of 'impostor' is of: "
                               "worker, admin"));
  }
}

TEST_CASE("with TLS on one side only nobody gets in, and the other goes on", "[tls]") {
  const Daemon secured(Secured(Folders().For("server", {"server"})));
  const Daemon plain({});
  GrpcTransport without;
  const auto with = TransportOf({"admin"});
  CHECK(Ask(without, secured.address()).status().code() == absl::StatusCode::kUnavailable);
  CHECK(Ask(*with, plain.address()).status().code() == absl::StatusCode::kUnavailable);
  CHECK(Ask(*with, secured.address()).ok());
  CHECK(Ask(without, plain.address()).ok());
}

// Shakes hands as OpenSSL does, with a version of TLS and no certificate; whether it worked.
bool HandshakeOf(const std::string& address, int version) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(fd >= 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(ParseHostPort(address)->port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  const unsigned char protocols[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols);
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  const bool shaken = SSL_connect(ssl) == 1;
  SSL_free(ssl);
  SSL_CTX_free(context);
  ::close(fd);
  return shaken;
}

// Whether a daemon begins to talk HTTP/2 to who has this certificate. (With TLS 1.3 the one who
// dials thinks that hands are shaken before it is judged.)
bool TalksTo(const std::string& address, const CertificateAndKey& own) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(fd >= 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(ParseHostPort(address)->port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  REQUIRE(SSL_CTX_use_certificate(context, openssl::CertificatesOf(own.certificate)[0].get()) == 1);
  REQUIRE(SSL_CTX_use_PrivateKey(context, openssl::KeyOf(own.key).get()) == 1);
  const unsigned char protocols[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols);
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  char byte = 0;
  const bool talks = SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1;
  SSL_free(ssl);
  SSL_CTX_free(context);
  ::close(fd);
  return talks;
}

TEST_CASE("a certificate that is over, or has not begun, is refused by the daemon itself",
          "[tls]") {
  const Daemon daemon(Secured(Folders().For("server", {"server"})));
  CertificateRequest request = RequestFor("admin", {"kvstore://admin"});
  CHECK(TalksTo(daemon.address(), Folders().Sign(request)));
  request.not_before_s = UnixSeconds() - 7200;
  request.not_after_s = UnixSeconds() - 3600;
  CHECK_FALSE(TalksTo(daemon.address(), Folders().Sign(request)));
  request.not_before_s = UnixSeconds() + 1800;
  request.not_after_s = UnixSeconds() + 3600;
  CHECK_FALSE(TalksTo(daemon.address(), Folders().Sign(request)));
  CHECK_FALSE(
      TalksTo(daemon.address(), TlsFolders().Sign(RequestFor("foreign", {"kvstore://admin"}))));
}

TEST_CASE("a daemon speaks TLS 1.3 and nothing older", "[tls]") {
  const Daemon daemon(Secured(Folders().For("server", {"server"})));
  CHECK(HandshakeOf(daemon.address(), TLS1_3_VERSION));
  CHECK_FALSE(HandshakeOf(daemon.address(), TLS1_2_VERSION));
}

TEST_CASE("connections that come after new files have them, those from before stay", "[tls]") {
  const std::string folder = Folders().For("renewed", {"server"});
  const Daemon daemon(Secured(folder));
  Client client;  // of MakeParticipant
  Peer& before = client.Dial(daemon.address());
  REQUIRE(before.AwaitMessages(1));
  const auto worker = TransportOf({"worker"});
  CHECK(Ask(*worker, daemon.address()).ok());
  // No server's any more: whoever dials anew notices.
  Folders().Write("renewed", RequestFor("renewed", {"kvstore://viewer"}));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  bool noticed = false;
  while (!noticed && std::chrono::steady_clock::now() < deadline) {
    noticed = !Ask(*worker, daemon.address()).ok();
  }
  CHECK(noticed);
  CHECK_FALSE(before.closed());
  Folders().For("renewed", {"server"});
  bool back = false;
  while (!back && std::chrono::steady_clock::now() < deadline + kPatience) {
    back = Ask(*worker, daemon.address()).ok();
  }
  CHECK(back);
  CHECK_FALSE(before.closed());
}

}  // namespace
}  // namespace kvstore::testing
