#include "examples/word_vectors/noise.h"

#include <cmath>
#include <cstddef>

namespace word_vectors {

// Source: Vose, "A Linear Algorithm for Generating Random Numbers with a Given Distribution", 1991.
Noise::Noise(const std::vector<uint64_t>& counts) {
  std::vector<double> weights;
  double sum = 0;
  for (const uint64_t count : counts) {
    weights.push_back(std::pow(static_cast<double>(count), 0.75));
    sum += weights.back();
  }
  std::vector<uint32_t> small;
  std::vector<uint32_t> large;
  for (uint32_t id = 0; id < weights.size(); ++id) {
    weights[id] *= static_cast<double>(weights.size()) / sum;  // 1 fills a column
    columns_.push_back({1.0, id});
    (weights[id] < 1 ? small : large).push_back(id);
  }
  while (!small.empty() && !large.empty()) {
    const uint32_t poor = small.back();
    const uint32_t rich = large.back();
    small.pop_back();
    columns_[poor] = {weights[poor], rich};
    weights[rich] -= 1 - weights[poor];
    if (weights[rich] < 1) {
      large.pop_back();
      small.push_back(rich);
    }
  }
}

double Noise::ProbabilityOf(uint32_t id) const {
  double columns = columns_[id].threshold;
  for (const Column& column : columns_) {
    if (column.alias == id) columns += 1 - column.threshold;
  }
  return columns / static_cast<double>(columns_.size());
}

}  // namespace word_vectors
