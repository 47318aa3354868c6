// One server's numbers out of many shards'.
#include "server/node/server_status.h"

#include <catch2/catch.hpp>

namespace kvstore {
namespace {

OpenRoundInfo Open(KeyId key, uint64_t parts, Round round, int64_t since_ms,
                   std::vector<WorkerRank> missing) {
  OpenRoundInfo info;
  info.key = key;
  info.name = "k" + std::to_string(key);
  info.parts = parts;
  info.round = round;
  info.since_ms = since_ms;
  info.missing = std::move(missing);
  return info;
}

TEST_CASE("numbers of shards add up", "[daemon][status]") {
  ShardStatus a, b;
  a.keys = 2;
  a.value_bytes = 10;
  a.parked_bytes = 3;
  a.held_bytes = 5;
  a.committed_rounds = 7;
  b.keys = 1;
  b.value_bytes = 20;
  b.parked_bytes = 4;
  b.held_bytes = 6;
  b.committed_rounds = 8;
  v1::ServerStatus status;
  AddUpStatus({a, b}, 0, 100, &status);
  CHECK(status.keys() == 3);
  CHECK(status.value_bytes() == 30);
  CHECK(status.parked_bytes() == 7);
  CHECK(status.held_bytes() == 11);
  CHECK(status.committed_rounds() == 15);
  CHECK(status.open_rounds_size() == 0);
}

TEST_CASE("open rounds of one key become one entry, the oldest first", "[daemon][status]") {
  ShardStatus a, b;
  a.open_rounds = {Open(5, 2, 9, 400, {1}), Open(6, 1, 3, 900, {0})};
  b.open_rounds = {Open(6, 4, 2, 300, {2, 0}), Open(7, 1, 1, 500, {3})};
  v1::ServerStatus status;
  AddUpStatus({a, b}, 1000, 2, &status);
  CHECK(status.open_rounds_total() == 3);
  REQUIRE(status.open_rounds_size() == 2);
  CHECK(status.open_rounds(0).key() == 6);
  CHECK(status.open_rounds(0).name() == "k6");
  CHECK(status.open_rounds(0).parts() == 5);
  CHECK(status.open_rounds(0).round() == 2);
  CHECK(status.open_rounds(0).age_ms() == 700);
  REQUIRE(status.open_rounds(0).missing_ranks_size() == 2);
  CHECK(status.open_rounds(0).missing_ranks(0) == 0);
  CHECK(status.open_rounds(0).missing_ranks(1) == 2);
  CHECK(status.open_rounds(1).key() == 5);
}

}  // namespace
}  // namespace kvstore
