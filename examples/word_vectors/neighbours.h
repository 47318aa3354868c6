// The nearest neighbours of some words by the cosine of the angle between their rows. The table
// goes by once, a row at a time: it need not fit anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace word_vectors {

struct Neighbour {
  uint32_t id;
  float cosine;
};

class Neighbours {
 public:
  // `ids` and their rows, `dim` floats each, back to back. Keeps the `count` nearest of each.
  Neighbours(std::vector<uint32_t> ids, const float* rows, size_t dim, size_t count);

  // Looks at the row of word `id`. A word is not its own neighbour; a row of zeros is nobody's.
  void Offer(uint32_t id, const float* row);

  // Of the query of that number: the nearest first, equally near ones in the order of their ids.
  const std::vector<Neighbour>& Of(size_t query) const { return nearest_[query]; }

 private:
  const std::vector<uint32_t> ids_;
  const size_t dim_;
  const size_t count_;
  std::vector<float> directions_;  // the queries' rows, of length 1
  std::vector<std::vector<Neighbour>> nearest_;
};

}  // namespace word_vectors
