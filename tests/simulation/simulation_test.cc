// The simulator is only worth something if it is deterministic and its own parts do what they say.
#include "tests/simulation/simulation.h"

#include <catch2/catch.hpp>
#include <set>
#include <utility>

#include "tests/simulation/oracle.h"

namespace kvstore::sim {
namespace {

TEST_CASE("a seed gives the same run every time", "[simulation]") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const Outcome first = Simulate(seed, false);
    const Outcome again = Simulate(seed, false);
    CHECK(first.violation == again.violation);
    CHECK(first.fingerprint == again.fingerprint);
    CHECK(first.stats.events == again.stats.events);
    CHECK(first.stats.faults == again.stats.faults);
  }
}

TEST_CASE("different seeds give different runs", "[simulation]") {
  std::set<uint64_t> fingerprints;
  for (uint64_t seed = 1; seed <= 40; ++seed)
    fingerprints.insert(Simulate(seed, false).fingerprint);
  CHECK(fingerprints.size() == 40);
}

TEST_CASE("the simulated sum changes with loss, repeat and order", "[simulation]") {
  const uint64_t a = 11, b = 22, c = 33;
  const uint64_t right = FoldOne(FoldOne(a, b), c);
  CHECK(FoldOne(FoldOne(b, a), c) != right);
  CHECK(FoldOne(a, c) != right);
  CHECK(FoldOne(FoldOne(FoldOne(a, b), b), c) != right);
  CHECK(FoldOne(a, FoldOne(b, c)) != right);
}

// In a life of the keys that ends with a DELETE or RESET some push more often, which nobody
// completes.
TEST_CASE("every worker pushes every key equally often before each barrier", "[simulation]") {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    const Params params = Params::FromSeed(seed);
    const Programs programs = Programs::Make(params, Rng(seed));
    std::vector<std::vector<uint32_t>> expected;  // of each barrier: pushes by key
    for (size_t rank = 0; rank < programs.ranks.size(); ++rank) {
      CAPTURE(rank);
      std::vector<uint32_t> pushes(params.key_parts.size(), 0);  // in this life of the key
      std::vector<uint32_t> before;                              // in the one before it
      size_t barriers = 0;
      for (const Action& action : programs.ranks[rank].actions) {
        for (const KeyOp& op : action.ops) {
          pushes[op.key] += op.op == Op::kPush ? 1 : 0;
          if (op.op != Op::kDelete && op.op != Op::kReset) continue;
          before.resize(pushes.size());
          before[op.key] = std::exchange(pushes[op.key], 0);
        }
        if (action.kind != Action::Kind::kBarrier) continue;
        if (rank == 0) expected.push_back(pushes);
        REQUIRE(barriers < expected.size());
        CHECK(pushes == expected[barriers++]);
      }
      CHECK(barriers == expected.size());
      CHECK(pushes == programs.ranks[rank].pushes);
      CHECK(before == programs.ranks[rank].first_pushes);
      CHECK(programs.ranks[rank].actions.back().kind == Action::Kind::kLeave);
    }
  }
}

TEST_CASE("a paused process finds its events waiting, a dead one never sees them", "[simulation]") {
  const Params params = Params::FromSeed(1);
  World world(params, false);
  const ProcessId process = world.AddProcess("p");
  world.Begin(process);
  std::vector<int> seen;
  world.After(5, process, [&] { seen.push_back(1); });
  world.After(6, process, [&] { seen.push_back(2); });
  world.Pause(process, 10);
  while (world.RunNext() && world.now_ms() < 10) CHECK(seen.empty());
  CHECK(seen == std::vector<int>{1, 2});
  world.After(5, process, [&] { seen.push_back(3); });
  world.Kill(process);
  world.Begin(process);
  while (world.RunNext()) {
  }
  CHECK(seen == std::vector<int>{1, 2});
}

}  // namespace
}  // namespace kvstore::sim
