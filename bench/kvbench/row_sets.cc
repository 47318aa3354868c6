#include "bench/kvbench/row_sets.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "common/base/hash.h"

namespace kvstore::bench {
namespace {

constexpr double kExponent = 1.05;

// 0 .. 1.
double Uniform(uint64_t bits) { return static_cast<double>(Mix64(bits) >> 11) * 0x1p-53; }

uint64_t SeedOf(uint64_t seed, int rank, size_t set) {
  return Mix64(seed ^ Mix64(static_cast<uint64_t>(rank) * RowSets::kSets + set + 1));
}

}  // namespace

ZipfRows::ZipfRows(int64_t height) : height_(height), cumulative_(static_cast<size_t>(height)) {
  double sum = 0;
  for (size_t rank = 0; rank < cumulative_.size(); ++rank) {
    sum += std::pow(static_cast<double>(rank + 1), -kExponent);
    cumulative_[rank] = sum;
  }
  step_ = 2654435761u % static_cast<uint64_t>(height);
  while (std::gcd(step_, static_cast<uint64_t>(height)) != 1) ++step_;
}

std::vector<int64_t> ZipfRows::Draw(size_t count, uint64_t seed) const {
  std::unordered_set<int64_t> drawn;
  const auto height = static_cast<uint64_t>(height_);
  for (uint64_t i = 0; drawn.size() < count; ++i) {
    const double at = Uniform(seed + i) * cumulative_.back();
    const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, at);
    const auto rank = static_cast<uint64_t>(found - cumulative_.begin());
    drawn.insert(static_cast<int64_t>((rank * step_ + 12345) % height));
  }
  std::vector<int64_t> rows(drawn.begin(), drawn.end());
  std::sort(rows.begin(), rows.end());
  return rows;
}

RowSets::RowSets(uint64_t seed, int64_t height, size_t rows, int workers, int rank)
    : seed_(seed), workers_(workers), sets_(kSets) {
  const ZipfRows zipf(height);
  const auto all = static_cast<size_t>(workers);
  std::unordered_map<int64_t, std::vector<uint8_t>> pushed_by;
  for (int worker = 0; worker < workers; ++worker) {
    for (size_t set = 0; set < kSets; ++set) {
      std::vector<int64_t> drawn = zipf.Draw(rows, SeedOf(seed, worker, set));
      for (const int64_t row : drawn) {
        std::vector<uint8_t>& bits = pushed_by[row];
        bits.resize(all);
        bits[static_cast<size_t>(worker)] |= static_cast<uint8_t>(1u << set);
      }
      if (worker == rank) sets_[set].rows = std::move(drawn);
    }
  }
  for (Set& set : sets_) {
    for (const int64_t row : set.rows) {
      const std::vector<uint8_t>& bits = pushed_by[row];
      set.pushed_by.insert(set.pushed_by.end(), bits.begin(), bits.end());
    }
  }
}

double RowSets::Gradient(int64_t row, size_t column) const {
  return static_cast<double>((Mix64(seed_ ^ static_cast<uint64_t>(row)) + column) % 7) - 3;
}

double RowSets::WeightAfter(uint64_t rounds, size_t set, size_t i, size_t column) const {
  const auto workers = static_cast<size_t>(workers_);
  uint64_t gradients = 0;
  for (size_t rank = 0; rank < workers; ++rank) {
    const uint8_t bits = sets_[set].pushed_by[i * workers + rank];
    for (size_t s = 0; s < kSets; ++s) {
      const uint64_t used = rounds / kSets + (s < rounds % kSets ? 1 : 0);
      if ((bits >> s & 1) != 0) gradients += (rank + 1) * used;
    }
  }
  return -Gradient(sets_[set].rows[i], column) * static_cast<double>(gradients);
}

uint64_t RowSets::rounds_max(int workers) {
  const auto ranks_summed = static_cast<uint64_t>(workers) * static_cast<uint64_t>(workers + 1) / 2;
  return (uint64_t{1} << 24) / (3 * ranks_summed);
}

}  // namespace kvstore::bench
