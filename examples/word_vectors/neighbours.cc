#include "examples/word_vectors/neighbours.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace word_vectors {
namespace {

double Dot(const float* x, const float* y, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * y[i];
  return sum;
}

bool Nearer(const Neighbour& a, const Neighbour& b) {
  return a.cosine != b.cosine ? a.cosine > b.cosine : a.id < b.id;
}

}  // namespace

Neighbours::Neighbours(std::vector<uint32_t> ids, const float* rows, size_t dim, size_t count)
    : ids_(std::move(ids)),
      dim_(dim),
      count_(count),
      directions_(rows, rows + ids_.size() * dim),
      nearest_(ids_.size()) {
  for (size_t query = 0; query < ids_.size(); ++query) {
    float* row = directions_.data() + query * dim_;
    const double length = std::sqrt(Dot(row, row, dim_));
    if (length == 0) continue;
    for (size_t i = 0; i < dim_; ++i) row[i] = static_cast<float>(row[i] / length);
  }
}

void Neighbours::Offer(uint32_t id, const float* row) {
  const double length = std::sqrt(Dot(row, row, dim_));
  if (length == 0) return;
  for (size_t query = 0; query < ids_.size(); ++query) {
    if (ids_[query] == id) continue;
    const float* direction = directions_.data() + query * dim_;
    const Neighbour offered{id, static_cast<float>(Dot(direction, row, dim_) / length)};
    std::vector<Neighbour>& nearest = nearest_[query];
    nearest.insert(std::upper_bound(nearest.begin(), nearest.end(), offered, Nearer), offered);
    if (nearest.size() > count_) nearest.pop_back();
  }
}

}  // namespace word_vectors
