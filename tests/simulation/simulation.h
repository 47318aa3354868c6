// Simulation: one whole cluster in one process, run from one seed.
#pragma once

#include <cstdint>
#include <string>

#include "tests/simulation/stats.h"

namespace kvstore::sim {

struct Outcome {
  std::string violation;  // empty: every promise was kept
  std::string shape;      // what the seed chose, one line
  uint64_t fingerprint = 0;
  Stats stats;
};

// Deterministic: the same seed gives the same fingerprint. `trace` prints every event.
Outcome Simulate(uint64_t seed, bool trace);

}  // namespace kvstore::sim
