// Peers that are not us: a stock gRPC client, other protocols, noise. Whatever they do, the
// listener goes on serving the others.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <random>

#include "tests/common/transport/transport_conformance.h"

namespace kvstore::testing {
namespace {

std::vector<UnaryMethod> Reverse() {
  return {{"/kvstore.test.Echo/Reverse", nullptr, [](Payload request, const UnaryReply& reply) {
             std::string bytes = request.ToString();
             std::reverse(bytes.begin(), bytes.end());
             reply(bytes);
           }}};
}

void CheckServes(Server& server) {
  Client client;
  Peer& peer = client.Dial(server.address());
  client.Send(peer, "still there?");
  CHECK(peer.AwaitMessages(1));
}

std::string AskPython(const std::string& address, const std::string& question) {
  const std::string command =
      "/usr/bin/python3 '" + std::string(KVS_TEST_PYTHON_PEER) + "' " + address + " " + question;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char buffer[256];
  while (fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  CAPTURE(question, output);
  CHECK(pclose(pipe) == 0);
  return output;
}

TEST_CASE("a stock gRPC client of another language is served", "[grpc]") {
  Server server(Echo, "127.0.0.1:0", Reverse());
  CHECK(AskPython(server.address(), "stream") == "same\n");
  CHECK(AskPython(server.address(), "unary") == "cba\n");
  CHECK(AskPython(server.address(), "unserved") == "UNIMPLEMENTED\n");
}

TEST_CASE("a foreign message over the limit, or compressed, is refused", "[grpc]") {
  Server server(Echo);
  CHECK(AskPython(server.address(), "oversize") == "RESOURCE_EXHAUSTED\n");
  CHECK(AskPython(server.address(), "gzip") == "UNIMPLEMENTED\n");
  CheckServes(server);
}

class RawConnection {
 public:
  explicit RawConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const timeval patience{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~RawConnection() { close(fd_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void Write(const std::string& bytes) {
    (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Reads until the server hangs up; false when it does not.
  bool AwaitHangUp() {
    char buffer[4096];
    for (;;) {
      const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
      if (n == 0) return true;
      if (n < 0) return errno == ECONNRESET;
    }
  }

 private:
  int fd_;
};

TEST_CASE("noise and other protocols are hung up on, and others are served", "[grpc]") {
  Server server(Echo);
  const int port = server.listener().port();
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::string noise(65536, '\0');
  for (char& c : noise) c = static_cast<char>(random());

  SECTION("HTTP/1") {
    RawConnection connection(port);
    connection.Write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(connection.AwaitHangUp());
  }
  SECTION("noise") {
    RawConnection connection(port);
    connection.Write(noise);
    CHECK(connection.AwaitHangUp());
  }
  SECTION("noise behind the preface of HTTP/2") {
    RawConnection connection(port);
    connection.Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + noise);
    CHECK(connection.AwaitHangUp());
  }
  SECTION("silence") {
    const RawConnection connection(port);
    CheckServes(server);
  }
  SECTION("many that leave at once") {
    for (int i = 0; i < 100; ++i) RawConnection(port).Write(noise.substr(i * 100, i));
  }
  CheckServes(server);
}

}  // namespace
}  // namespace kvstore::testing
