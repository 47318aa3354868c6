// Routes and interfaces that every machine has; those of several hosts are in
// tests/integration/test_two_hosts.py.
#include "common/transport/local_address.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

TEST_CASE("on the way to this host's loopback, the address is the loopback's", "[transport]") {
  CHECK(LocalHostTowards({"127.0.0.1", 7070}).value() == "127.0.0.1");
  CHECK(LocalHostTowards({"127.9.9.9", 7070}).value().rfind("127.", 0) == 0);
  // Of a name with IPv4 and IPv6 addresses the IPv4 one counts.
  CHECK(LocalHostTowards({"localhost", 7070}).value() == "127.0.0.1");
}

TEST_CASE("a host that is no name is said to be one that cannot be resolved", "[transport]") {
  // A label longer than 63 bytes: no server is asked for it.
  const std::string host(70, 'x');
  const auto address = LocalHostTowards({host, 7070});
  REQUIRE_FALSE(address.ok());
  CHECK(address.status().code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(address.status().message()),
             Catch::Contains("cannot resolve the host " + host));
}

TEST_CASE("an interface has its address, and one that is not there has none", "[transport]") {
  CHECK(InterfaceHost("lo").value() == "127.0.0.1");
  const auto none = InterfaceHost("none9");
  CHECK(none.status().code() == absl::StatusCode::kNotFound);
  CHECK_THAT(std::string(none.status().message()), Catch::Contains("'none9'"));
}

TEST_CASE("this host knows its names and addresses, and takes no other's for its own",
          "[transport]") {
  for (const std::string& host : {std::string("localhost"), std::string("127.0.0.1"),
                                  std::string("127.9.9.9"), std::string("::1"), ThisHostName()}) {
    CAPTURE(host);
    CHECK(IsThisHost(host));
  }
  // Addresses for documentation are nobody's.
  for (const std::string host : {"192.0.2.1", "2001:db8::1", "no-such-host.invalid", ""}) {
    CAPTURE(host);
    CHECK_FALSE(IsThisHost(host));
  }
}

}  // namespace
}  // namespace kvstore
