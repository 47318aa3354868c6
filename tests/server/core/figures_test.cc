// What a shard tells an operator of its keys, and of the workers that it waited for.
#include <catch2/catch.hpp>
#include <vector>

#include "server/core/server_core.h"
#include "tests/server/core/shard_under_test.h"
#include "tests/support/number_values.h"

namespace kvstore {
namespace {

using testing::Shard;
using testing::SpecOf;

TEST_CASE("the last contribution of a round is what was waited for, once for all parts", "[core]") {
  Shard shard(2);
  for (const KeyId key : {1, 2}) shard.Init(0, 1, key, SpecOf(key));
  const auto push = [&](int64_t now_ms, WorkerRank rank, KeyId key, Round round) {
    RequestFrame frame = Shard::FrameOf(rank, Shard::EntryOf(Op::kPush, round));
    frame.entries[0].key = key;
    frame.entries[0].round = round;
    frame.entries[0].request = 100 * key + round;
    frame.entries[0].piece.data = NumberPayload(rank);
    ServerOutbox out;
    shard.core.OnFrame(now_ms, rank + 1, frame, &out);
  };
  push(100, 0, 1, 1);
  push(150, 0, 2, 1);
  CHECK(shard.core.Status().waited_for_ms == std::vector<int64_t>{0, 0});
  push(200, 1, 1, 1);
  push(230, 1, 2, 1);
  CHECK(shard.core.Status().waited_for_ms == std::vector<int64_t>{0, 130});
  push(300, 1, 1, 2);
  push(340, 0, 1, 2);
  CHECK(shard.core.Status().waited_for_ms == std::vector<int64_t>{40, 130});
}

TEST_CASE("stats are of the keys that begin so, in their order, and all are counted", "[core]") {
  Shard shard(1);
  for (const KeyId key : {18, 170, 17}) shard.Init(0, 1, key, SpecOf(key));
  uint64_t keys = 0;
  const std::vector<KeyStats> some = shard.core.StatsOf({"17", 10, true, {}}, &keys);
  REQUIRE(some.size() == 2);
  CHECK(some[0].key == 17);
  CHECK(some[1].key == 170);
  CHECK(keys == 2);
  CHECK(shard.core.StatsOf({"", 1, true, {}}, &keys).size() == 1);
  CHECK(keys == 3);
  CHECK(shard.core.StatsOf({"x", 1, true, {}}, &keys).empty());
}

TEST_CASE("stats come page by page: int keys by number, then string keys by name", "[core]") {
  Shard shard(1);
  RequestId request = 0;
  for (const char* const name : {"b", "1", "a"}) {
    KeySpec spec = SpecOf(1000 - request);
    spec.name = name;
    shard.Init(0, 1, ++request, spec);
  }
  for (const int64_t key : {18, 170, -3}) {
    shard.Init(0, 1, ++request, SpecOf(static_cast<KeyId>(key)));
  }
  std::string text;
  KeyQuery query{"", 2, false, {}};
  for (uint64_t left = 6; left > 0; left -= 2) {
    uint64_t keys = 0;
    const std::vector<KeyStats> page = shard.core.StatsOf(query, &keys);
    CHECK(keys == left);
    REQUIRE(page.size() == 2);
    for (const KeyStats& key : page) {
      CHECK(key.parts == 1);
      text += key.name.empty() ? std::to_string(static_cast<int64_t>(key.key)) : "'" + key.name;
      text += ' ';
    }
    query.after = KeyPlace{page[1].key, page[1].name};
  }
  CHECK(text == "-3 18 170 '1 'a 'b ");
  uint64_t keys = 1;
  CHECK(shard.core.StatsOf(query, &keys).empty());
  CHECK(keys == 0);
}

}  // namespace
}  // namespace kvstore
