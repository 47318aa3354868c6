#include "common/transport/host_port.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

TEST_CASE("addresses of every kind are read and written back", "[transport]") {
  const std::string address = GENERATE("127.0.0.1:7070", "0.0.0.0:0", "node-3.rack_2:65535",
                                       "[::1]:80", "[fe80::1%eth0]:1");
  CAPTURE(address);
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  REQUIRE(parsed.ok());
  CHECK(parsed->host.find('[') == std::string::npos);
  CHECK(HostPortString(*parsed) == address);
}

TEST_CASE("what is no address is refused with the reason", "[transport]") {
  const auto [address, reason] = GENERATE(table<std::string, std::string>({
      {"", "got no port"},
      {"host", "got no port"},
      {":80", "got no host"},
      {"[]:80", "got no host"},
      {"::1:80", "without brackets"},
      {"host:", "got port ''"},
      {"host:80x", "got port '80x'"},
      {"host:-1", "got port '-1'"},
      {"host:65536", "got port '65536'"},
      {"host:99999999999999999999", "got port"},
      {"a b:80", "other characters"},
      {"unix:/tmp/x:80", "without brackets"},
      {"/tmp/x:80", "other characters"},
  }));
  CAPTURE(address);
  const absl::Status status = ParseHostPort(address).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), Catch::Contains(reason));
}

TEST_CASE("a peer's host is the address in its name", "[transport]") {
  CHECK(HostOfPeer("ipv4:10.9.0.2:41822") == "10.9.0.2");
  CHECK(HostOfPeer("ipv6:%5Bfd09::2%5D:41822") == "fd09::2");
  CHECK(HostOfPeer("ipv6:[::1]:41822") == "::1");
  CHECK(HostOfPeer("ipv6:%5Bfe80::1%25eth0%5D:41822") == "fe80::1%eth0");
  for (const char* none :
       {"inproc:127.0.0.1:7070", "unix:/tmp/x", "nobody", "", "ipv4:", "ipv6:%5"}) {
    CAPTURE(none);
    CHECK(HostOfPeer(none).empty());
  }
}

TEST_CASE("loopback addresses and those of no host are told from others", "[transport]") {
  for (const char* host : {"localhost", "127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"}) {
    CAPTURE(host);
    CHECK(IsLoopbackHost(host));
    CHECK_FALSE(IsAnyHost(host));
  }
  for (const char* host : {"10.9.0.2", "node3", "fd09::2", "1.127.0.1", "::ffff:10.9.0.2"}) {
    CAPTURE(host);
    CHECK_FALSE(IsLoopbackHost(host));
    CHECK_FALSE(IsAnyHost(host));
  }
  CHECK(IsAnyHost("0.0.0.0"));
  CHECK(IsAnyHost("::"));
}

}  // namespace
}  // namespace kvstore
