// The table of who may call what.
#include "common/transport/permissions.h"

#include <catch2/catch.hpp>
#include <set>

#include "common/transport/methods.h"

namespace kvstore {
namespace {

TEST_CASE("each RPC has one row, for somebody, and always for operators", "[tls]") {
  std::set<std::string> methods;
  for (const Permission& row : Permissions()) {
    CAPTURE(row.method);
    CHECK(methods.insert(row.method).second);
    CHECK((row.roles & kAdminPeer) != 0);
  }
}

TEST_CASE("the row of the shards' streams is that of every shard, in memory or not", "[tls]") {
  for (const std::string& method :
       {ShardMethod(0), ShardMethod(63), InMemoryMethod(ShardMethod(7))}) {
    CHECK(RolesFor(method) == (kWorkerPeer | kAdminPeer));
  }
}

TEST_CASE("what has no row is for nobody", "[tls]") {
  for (const char* const method :
       {"", "/kvstore.v1.ServerAdmin/Format", "/kvstore.v1.Data/Reshard0"}) {
    const absl::Status status = CheckPermission(method, {"chief", kAnyPeer, std::nullopt, ""});
    CHECK(status.code() == absl::StatusCode::kPermissionDenied);
    CHECK_THAT(std::string(status.message()), Catch::Contains("expected of: no role"));
  }
}

TEST_CASE("one of a caller's roles is enough, and who has none of them is told which", "[tls]") {
  const Identity viewer{"ada", kViewerPeer, std::nullopt, ""};
  CHECK(CheckPermission(kSchedulerStatusMethod, viewer).ok());
  const absl::Status status = CheckPermission(kDeleteKeysMethod, viewer);
  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(status.message() ==
        "/kvstore.v1.ServerAdmin/DeleteKeys: the certificate of 'ada' is of: viewer; expected of: "
        "admin");
  CHECK(
      CheckPermission(kDeleteKeysMethod, {"ada", kViewerPeer | kAdminPeer, std::nullopt, ""}).ok());
}

}  // namespace
}  // namespace kvstore
