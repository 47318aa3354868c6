// Whether a worker reaches the servers, over the in-process network.
#include "tests/client/dist/server_reach_fixture.h"

namespace kvstore {
namespace {

TEST_CASE("when every server is reached that is told once", "[dist][reach]") {
  Hearing hearing, next;
  ReachFixture f;
  f.Try({{0, f.StartServer()}, {1, f.StartServer()}}, &hearing);
  CHECK(hearing.Await(0).ok());
  // Nothing else is on its way: another attempt's news comes after whatever there was of this one.
  f.Try({{0, f.StartServer()}}, &next);
  CHECK(next.Await(0).ok());
  CHECK(hearing.count() == 1);
}

TEST_CASE("a server that is not reached is named with its address and why, and dialled again",
          "[dist][reach]") {
  Hearing hearing;
  ReachFixture f;
  const std::string near = f.StartServer(), far = f.StartServer();
  f.network().SetUnreachable(far, true);
  f.Try({{0, near}, {1, far}}, &hearing);
  const absl::Status status = hearing.Await(0);
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(status.message()),
             Catch::StartsWith("cannot reach server 1 at " + far + " ("));
  f.network().SetUnreachable(far, false);
  CHECK(hearing.Await(1).ok());
  CHECK(hearing.count() == 2);  // the same trouble again was not told again
}

TEST_CASE("a new attempt at the same servers tells the trouble that is known at once, to its own",
          "[dist][reach]") {
  Hearing first, second;
  ReachFixture f;
  const std::string far = f.StartServer();
  f.network().SetUnreachable(far, true);
  f.Try({{0, far}}, &first);
  const absl::Status known = first.Await(0);
  f.Try({{0, far}}, &second);
  CHECK(second.Await(0) == known);
  f.network().SetUnreachable(far, false);
  CHECK(second.Await(1).ok());
  CHECK(first.count() == 1);
}

TEST_CASE("three servers are named, and how many more there are", "[dist][reach]") {
  Hearing hearing;
  ReachFixture f;
  std::vector<ServerReach::Server> servers;
  for (uint32_t rank = 0; rank < 5; ++rank) {
    servers.push_back({rank, f.StartServer()});
    f.network().SetUnreachable(servers.back().address, true);
  }
  f.Try(servers, &hearing);
  const std::string message(hearing.Await(4).message());
  CHECK_THAT(message, Catch::Contains("server 0 at ") && Catch::Contains("server 1 at ") &&
                          Catch::Contains("server 2 at ") && Catch::EndsWith(" and 2 more"));
}

TEST_CASE("an attempt that was replaced is heard of no more", "[dist][reach]") {
  Hearing first, second, third;
  ReachFixture f;
  const std::string far = f.StartServer();
  f.network().SetUnreachable(far, true);
  f.Try({{0, far}}, &first);
  CHECK_FALSE(first.Await(0).ok());
  f.Try({{0, f.StartServer()}}, &second);
  CHECK(second.Await(0).ok());
  f.network().SetUnreachable(far, false);
  f.Try({{0, far}}, &third);
  CHECK(third.Await(0).ok());
  CHECK(first.count() == 1);
}

}  // namespace
}  // namespace kvstore
