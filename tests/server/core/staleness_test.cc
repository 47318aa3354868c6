// The bound on staleness (stores of type dist_ssp:<s>): who waits, for whom, until when, and what
// is told of it. tests/simulation holds whole clusters to it.
#include <catch2/catch.hpp>
#include <map>

#include "tests/server/core/shard_under_test.h"

namespace kvstore::testing {
namespace {

using Ranks = std::vector<WorkerRank>;

// A shard with a key that everybody may push to.
std::unique_ptr<Shard> ShardWith(const std::string& type, uint32_t workers) {
  auto s = std::make_unique<Shard>(workers, ServerCoreOptions(), type);
  s->Init(0, 5, 1);
  s->SetOptimizer(0, "sum", 2);
  return s;
}

void PushUpTo(Shard& s, WorkerRank rank, Round last) {
  for (Round round = 1; round <= last; ++round) s.Push(rank, round, 10, 1000 + round);
}

TEST_CASE("a pull waits exactly until nobody is more than the bound behind", "[core][ssp]") {
  const auto bound = GENERATE(uint64_t{0}, 1, 2, 5);
  CAPTURE(bound);
  const auto shard = ShardWith("dist_ssp:" + std::to_string(bound), 3);
  Shard& s = *shard;
  PushUpTo(s, 0, bound);
  // As far ahead as it may be.
  const auto within = s.Pull(0, bound, 100);
  REQUIRE(within.size() == 1);
  CHECK(within[0].second.progress == Progress::kDone);
  CHECK(within[0].second.staleness == bound);

  s.Push(0, bound + 1, 10);
  CHECK(s.Pull(0, bound + 1, 101).empty());
  CHECK(s.Push(1, 1, 10).size() == 1);  // only its own answer: rank 2 is still behind
  CHECK(s.Probe(0, Op::kPull, bound + 1, 101)[0].second.missing_ranks == Ranks{2});
  const auto answers = s.Push(2, 1, 10);
  REQUIRE(answers.size() == 2);
  for (const auto& [rank, entry] : answers) {
    CHECK(entry.progress == Progress::kDone);
    if (entry.op != Op::kPull) continue;
    CHECK(rank == 0);
    CHECK(entry.request == 101);
    CHECK(entry.staleness == bound);
    CHECK(entry.version == bound + 3);
  }
}

TEST_CASE("whoever is behind, or has not pushed, waits for nobody", "[core][ssp]") {
  const auto shard = ShardWith("dist_ssp:0", 2);
  Shard& s = *shard;
  PushUpTo(s, 0, 7);
  CHECK(s.Pull(1, 0)[0].second.progress == Progress::kDone);
  CHECK(s.Pull(1, 0)[0].second.staleness == 0);
  s.Push(1, 1, 10);
  CHECK(s.Pull(1, 1)[0].second.staleness == 0);
}

TEST_CASE("without a bound, or with a large one, nobody waits and staleness is told",
          "[core][ssp]") {
  const std::string type = GENERATE("dist_async", "dist_ssp:1000000000");
  const auto shard = ShardWith(type, 3);
  Shard& s = *shard;
  PushUpTo(s, 1, 40);
  PushUpTo(s, 2, 3);
  CHECK(s.Pull(1, 40)[0].second.staleness == 40);
  PushUpTo(s, 0, 5);
  CHECK(s.Pull(1, 40)[0].second.staleness == 37);
  CHECK(s.Pull(0, 5)[0].second.staleness == 2);
  uint64_t keys = 0;
  const std::vector<KeyStats> stats = s.core.StatsOf({"", 10, true, {}}, &keys);
  REQUIRE(stats.size() == 1);
  CHECK(stats[0].pulled.pulls == 3);
  CHECK(stats[0].pulled.staleness_sum == 79);
  CHECK(stats[0].pulled.staleness_max == 40);
}

TEST_CASE("a pull waits for its worker's own pushes, whatever the bound", "[core][ssp]") {
  const auto shard = ShardWith("dist_ssp:3", 2);
  Shard& s = *shard;
  s.Push(0, 2, 20, 12);  // early
  CHECK(s.Pull(0, 2, 100).empty());
  CHECK(s.Probe(0, Op::kPull, 2, 100)[0].second.missing_ranks == Ranks{0});
  CHECK(s.Push(0, 1, 10, 11).size() == 3);  // both pushes and the pull
}

TEST_CASE("workers that leave drop out of the clock", "[core][ssp]") {
  const auto shard = ShardWith("dist_ssp:1", 3);
  Shard& s = *shard;
  PushUpTo(s, 0, 4);
  PushUpTo(s, 1, 2);
  CHECK(s.Pull(0, 4, 100).empty());
  CHECK(s.Leave(2).size() == 1);
  CHECK(s.Probe(0, Op::kPull, 4, 100)[0].second.missing_ranks == Ranks{1});
  const auto answers = s.Leave(1);  // nothing is pushed, and yet nobody is waited for any more
  REQUIRE(answers.size() == 2);
  const auto& pull = answers[0].second.op == Op::kPull ? answers[0] : answers[1];
  CHECK(pull.first == 0);
  CHECK(pull.second.progress == Progress::kDone);
  CHECK(pull.second.staleness == 0);
  CHECK(s.core.Status().open_rounds.empty());
}

TEST_CASE("status names who is waited for, since when, and counts how long", "[core][ssp]") {
  const auto shard = ShardWith("dist_ssp:1", 3);
  Shard& s = *shard;
  PushUpTo(s, 0, 5);
  PushUpTo(s, 1, 2);
  PushUpTo(s, 2, 4);
  CHECK(s.core.Status().open_rounds.empty());
  s.now_ms = 100;
  CHECK(s.Pull(0, 5, 100).empty());
  s.now_ms = 130;
  CHECK(s.Pull(2, 4, 200).empty());
  // Rank 0 waits for push 4 of everybody, rank 2 for push 3.
  ShardStatus status = s.core.Status();
  REQUIRE(status.open_rounds.size() == 1);
  CHECK(status.open_rounds[0].key == kKey);
  CHECK(status.open_rounds[0].round == 3);
  CHECK(status.open_rounds[0].since_ms == 100);
  CHECK(status.open_rounds[0].parts == 1);
  CHECK(status.open_rounds[0].missing == Ranks{1});
  s.now_ms = 150;
  CHECK(s.Push(1, 3, 10).size() == 2);  // frees rank 2
  status = s.core.Status();
  CHECK(status.open_rounds[0].round == 4);
  CHECK(status.waited_for_ms == std::vector<int64_t>{0, 20, 0});
  s.now_ms = 180;
  CHECK(s.Push(1, 4, 10).size() == 2);
  status = s.core.Status();
  CHECK(status.open_rounds.empty());
  CHECK(status.waited_for_ms == std::vector<int64_t>{0, 50, 0});  // 150 to 180: the rest is counted
}

TEST_CASE("a repeat of a pull that waits moves it to the stream that asked last", "[core][ssp]") {
  const auto shard = ShardWith("dist_ssp:0", 2);
  Shard& s = *shard;
  PushUpTo(s, 0, 1);
  CHECK(s.Pull(0, 1, 100).empty());
  RequestEntry entry = Shard::EntryOf(Op::kPull, 100);
  entry.round = 1;
  CHECK(s.Send(Shard::FrameOf(0, entry), 77).empty());
  CHECK(s.Push(1, 1, 10).size() == 2);
  CHECK(s.last_peer[0] == 77);
}

TEST_CASE("an update that fails counts as a push for those who wait", "[core][ssp]") {
  const auto shard = ShardWith("dist_ssp:0", 2);
  Shard& s = *shard;
  PushUpTo(s, 0, 1);
  CHECK(s.Pull(0, 1, 100).empty());
  s.values.fail_updates = true;
  CHECK(s.Push(1, 1, 10).size() == 2);
}

}  // namespace
}  // namespace kvstore::testing
