// What a certificate's URIs say of who has it.
#include "common/tls/identity.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

TEST_CASE("a certificate's roles are those of its URIs, and other URIs are left aside", "[tls]") {
  const auto one = IdentityOf("w", {"kvstore://worker"});
  REQUIRE(one.ok());
  CHECK(one->name == "w");
  CHECK(one->roles == kWorkerPeer);
  CHECK_FALSE(one->worker_rank.has_value());
  const auto several =
      IdentityOf("all", {"spiffe://else/where", "kvstore://worker/rank/3", "kvstore://admin",
                         "kvstore://server/node/ps-1.example", "kvstore://viewer"});
  REQUIRE(several.ok());
  CHECK(several->roles == kAnyPeer);
  CHECK(several->worker_rank == 3u);
  CHECK(several->server_node == "ps-1.example");
}

TEST_CASE("a certificate without a role, or with one that is none, is nobody's", "[tls]") {
  for (const std::vector<std::string>& uris : {std::vector<std::string>{},
                                               {"https://example"},
                                               {"kvstore://"},
                                               {"kvstore://root"},
                                               {"kvstore://worker/rank/"},
                                               {"kvstore://worker/rank/x"},
                                               {"kvstore://worker/rank/-1"},
                                               {"kvstore://worker/rank/4294967296"},
                                               {"kvstore://worker/rank/3/4"},
                                               {"kvstore://server/node/"},
                                               {"kvstore://admin", "kvstore://Worker"},
                                               {"kvstore://admin/rank/3"}}) {
    const auto identity = IdentityOf("name", uris);
    CAPTURE(uris);
    REQUIRE(identity.status().code() == absl::StatusCode::kUnauthenticated);
    CHECK_THAT(std::string(identity.status().message()), Catch::Contains("'name'"));
    CHECK_THAT(std::string(identity.status().message()), Catch::Contains("kvstore://worker"));
  }
}

TEST_CASE("the URI of a role is read as that role", "[tls]") {
  for (const char* const role : {"worker", "server", "admin", "viewer"}) {
    CAPTURE(role);
    const auto plain = IdentityOf("n", {RoleUri(role, std::nullopt, "")});
    REQUIRE(plain.ok());
    CHECK(plain->roles == RoleOf(role));
    CHECK(RoleNames(plain->roles) == role);
    const auto pinned = IdentityOf("n", {RoleUri(role, 7, "host:1")});
    REQUIRE(pinned.ok());
    CHECK(pinned->roles == RoleOf(role));
    CHECK(pinned->worker_rank.has_value() == (pinned->roles == kWorkerPeer));
    CHECK(pinned->server_node.empty() == (pinned->roles != kServerPeer));
  }
  CHECK(RoleOf("workers") == 0);
  CHECK(RoleNames(0) == "no role");
  CHECK(RoleNames(kWorkerPeer | kViewerPeer) == "worker, viewer");
}

}  // namespace
}  // namespace kvstore
