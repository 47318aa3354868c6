// What the training gave: read from the store in pieces, since no worker holds a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "examples/word_vectors/neighbours.h"
#include "examples/word_vectors/tables.h"
#include "examples/word_vectors/vocabulary.h"

namespace word_vectors {

// SHA-256 of all rows of both tables.
std::string HashOf(Tables* tables);

// For each of the words `ids`, the `count` nearest among the words that occur at least `count_min`
// times: a word that is hardly ever seen has learned little. `seed` is the training's.
std::vector<std::vector<Neighbour>> NeighboursOf(const std::vector<uint32_t>& ids, size_t count,
                                                 uint64_t count_min, const Vocabulary& vocabulary,
                                                 uint64_t seed, Tables* tables);

}  // namespace word_vectors
