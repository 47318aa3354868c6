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
  a.streams = 4;
  a.streams_in_memory = 1;
  b.streams = 5;
  b.streams_in_memory = 2;
  a.waited_for_ms = {5, 100};
  b.waited_for_ms = {20, 30};
  v1::ServerStatus status;
  AddUpStatus({a, b}, 0, 100, &status);
  CHECK(status.keys() == 3);
  CHECK(status.value_bytes() == 30);
  CHECK(status.parked_bytes() == 7);
  CHECK(status.held_bytes() == 11);
  CHECK(status.committed_rounds() == 15);
  CHECK(status.streams() == 9);
  CHECK(status.streams_in_memory() == 3);
  REQUIRE(status.waited_for_ms_size() == 2);
  CHECK(status.waited_for_ms(0) == 20);
  CHECK(status.waited_for_ms(1) == 100);
  CHECK(status.open_rounds_size() == 0);
}

TEST_CASE("a key's parts in several shards become one", "[daemon][status]") {
  KeyStats a, b, other;
  a.key = b.key = 9;
  a.name = b.name = "w";
  a.parts = 2;
  b.parts = 1;
  a.version = 5;
  b.version = 4;
  a.pushes = 9;
  b.pushes = 10;
  a.failures = b.failures = 1;
  a.figures.value.squares = 9;
  b.figures.value.squares = 16;
  b.figures.has_sum = true;
  b.figures.sum.absmax = 3;
  other.key = 3;
  other.parts = 1;
  v1::ServerKeyStats stats;
  AddUpKeyStats({{a}, {b, other}}, 10, &stats);
  REQUIRE(stats.keys_size() == 2);
  CHECK(stats.keys_total() == 2);
  CHECK(stats.keys(0).key() == 3);  // int keys first
  CHECK_FALSE(stats.keys(0).has_sum());
  const v1::KeyStats& w = stats.keys(1);
  CHECK(w.name() == "w");
  CHECK(w.parts() == 3);
  CHECK(w.version() == 4);
  CHECK(w.pushes() == 10);
  CHECK(w.failures() == 2);
  CHECK(w.value().squares() == 25);
  CHECK(w.sum().absmax() == 3);
  v1::ServerKeyStats first;
  AddUpKeyStats({{a}, {b, other}}, 1, &first);
  CHECK(first.keys_size() == 1);
  CHECK(first.keys_total() == 2);
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
