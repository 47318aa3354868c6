// Draws words with a probability of count^0.75 over the sum of all: the noise of negative sampling.
#pragma once

#include <cstdint>
#include <vector>

#include "examples/word_vectors/random.h"

namespace word_vectors {

// Walker's alias method: a draw looks at one column, whatever the number of words.
class Noise {
 public:
  explicit Noise(const std::vector<uint64_t>& counts);

  uint32_t Draw(Random& random) const {
    const uint32_t column = random.Below(static_cast<uint32_t>(columns_.size()));
    return random.Unit() < columns_[column].threshold ? column : columns_[column].alias;
  }
  // With which probability Draw gives `id`, from the table that it looks at.
  double ProbabilityOf(uint32_t id) const;

 private:
  struct Column {
    double threshold;  // below it the column's own word, above it the alias
    uint32_t alias;
  };
  std::vector<Column> columns_;
};

}  // namespace word_vectors
