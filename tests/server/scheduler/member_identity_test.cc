#include "server/scheduler/member_identity.h"

#include <catch2/catch.hpp>
#include <optional>
#include <string>

namespace kvstore {
namespace {

v1::Register Wish(v1::Role role, uint32_t rank_plus_one = 0, const std::string& address = "h:1") {
  v1::Register wish;
  wish.set_role(role);
  wish.set_address(address);
  wish.set_wanted_rank_plus_one(rank_plus_one);
  return wish;
}

Identity Of(PeerRoles roles) { return {"someone", roles, std::nullopt, ""}; }

TEST_CASE("a certificate lets a node register as what it is for", "[scheduler]") {
  for (const PeerRoles roles : {kWorkerPeer, kServerPeer, kAdminPeer, kViewerPeer}) {
    for (const v1::Role role : {v1::ROLE_WORKER, v1::ROLE_SERVER, v1::ROLE_READER}) {
      CAPTURE(RoleNames(roles), role);
      v1::Register wish = Wish(role, 3);
      const absl::Status status = CheckRegistration(Of(roles), &wish);
      const bool right =
          roles == kAdminPeer || roles == (role == v1::ROLE_SERVER ? kServerPeer : kWorkerPeer);
      CHECK(status.ok() == right);
      CHECK(wish.wanted_rank_plus_one() == 3);
      if (right) continue;
      CHECK(status.code() == absl::StatusCode::kPermissionDenied);
      CHECK_THAT(std::string(status.message()),
                 Catch::StartsWith("the certificate of 'someone' is for " + RoleNames(roles)));
    }
  }
}

TEST_CASE("a worker's certificate of one rank asks for that rank and gets no other",
          "[scheduler]") {
  Identity caller = Of(kWorkerPeer);
  caller.worker_rank = 3;
  v1::Register wish = Wish(v1::ROLE_WORKER);
  REQUIRE(CheckRegistration(caller, &wish).ok());
  CHECK(wish.wanted_rank_plus_one() == 4);
  REQUIRE(CheckRegistration(caller, &wish).ok());  // said again
  wish = Wish(v1::ROLE_WORKER, 1);
  const absl::Status status = CheckRegistration(caller, &wish);
  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(status.message() ==
        "the certificate of 'someone' is for worker 3, it was used to register worker 0");
  wish = Wish(v1::ROLE_READER);
  CHECK(CheckRegistration(caller, &wish).ok());
  CHECK(wish.wanted_rank_plus_one() == 0);
}

TEST_CASE("a server's certificate of one host is of no use on another", "[scheduler]") {
  Identity caller = Of(kServerPeer);
  caller.server_node = "ps-1";
  v1::Register wish = Wish(v1::ROLE_SERVER, 0, "ps-1:7071");
  CHECK(CheckRegistration(caller, &wish).ok());
  for (const char* const address : {"ps-2:7071", "ps-1", "", "ps-1.evil:7071"}) {
    CAPTURE(address);
    wish = Wish(v1::ROLE_SERVER, 0, address);
    const absl::Status status = CheckRegistration(caller, &wish);
    CHECK(status.code() == absl::StatusCode::kPermissionDenied);
    CHECK_THAT(std::string(status.message()),
               Catch::Contains("the server of host ps-1, it was used to register one that "
                               "advertises " +
                               std::string(address)));
  }
}

}  // namespace
}  // namespace kvstore
