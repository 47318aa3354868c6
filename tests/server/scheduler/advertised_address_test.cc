#include "server/scheduler/advertised_address.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

TEST_CASE("a server of another host must not advertise an address that means every host's own",
          "[scheduler]") {
  const auto [address, peer, own] = GENERATE(table<std::string, std::string, std::string>({
      {"127.0.0.1:4242", "ipv4:10.9.0.2:41822", "10.9.0.2"},
      {"localhost:4242", "ipv4:10.9.0.2:41822", "10.9.0.2"},
      {"0.0.0.0:4242", "ipv4:10.9.0.2:41822", "10.9.0.2"},
      {"[::1]:4242", "ipv6:%5Bfd09::2%5D:41822", "fd09::2"},
      {"[::]:4242", "ipv6:%5Bfd09::2%5D:41822", "fd09::2"},
  }));
  CAPTURE(address, peer);
  const absl::Status status = CheckAdvertisedAddress(address, peer);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()),
             Catch::StartsWith("the server of host " + own + " advertises " + address + ": ") &&
                 Catch::Contains("--advertise HOST:PORT (KVSTORE_ADVERTISE)"));
}

TEST_CASE("any address is good that other hosts may reach, or that comes from this one",
          "[scheduler]") {
  const auto [address, peer] = GENERATE(table<std::string, std::string>({
      {"10.9.0.2:4242", "ipv4:10.9.0.2:41822"},
      {"node3:4242", "ipv4:10.9.0.2:41822"},  // whatever the network's translation makes of it
      {"[fd09::2]:4242", "ipv6:%5Bfd09::2%5D:41822"},
      {"127.0.0.1:4242", "ipv4:127.0.0.1:41822"},
      {"[::1]:4242", "ipv6:%5B::1%5D:41822"},
      {"127.0.0.1:4242", "inproc:127.0.0.1:10000"},
      {"no address", "ipv4:10.9.0.2:41822"},  // the core's to refuse
  }));
  CAPTURE(address, peer);
  CHECK(CheckAdvertisedAddress(address, peer).ok());
}

}  // namespace
}  // namespace kvstore
