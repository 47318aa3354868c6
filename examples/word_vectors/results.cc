#include "examples/word_vectors/results.h"

#include <algorithm>

#include "examples/support/sha256.h"
#include "examples/word_vectors/model.h"

namespace word_vectors {
namespace {

constexpr uint32_t kPieceRows = 2048;

// The vectors of some words: what the table has, and what they started from.
std::vector<float> VectorsOf(const std::vector<uint32_t>& ids, uint64_t seed, Tables* tables) {
  const size_t dim = tables->dim();
  std::vector<float> vectors;
  for (const uint32_t id : ids) {
    const kvstore::NDArray row = tables->Read(Table::kInputs, id, id + 1);
    vectors.insert(vectors.end(), row.data_as<float>(), row.data_as<float>() + dim);
    AddStart(seed, id, dim, vectors.data() + vectors.size() - dim);
  }
  return vectors;
}

}  // namespace

std::string HashOf(Tables* tables) {
  examples::Sha256 hash;
  for (const Table table : {Table::kInputs, Table::kOutputs}) {
    for (uint32_t begin = 0; begin < tables->words(); begin += kPieceRows) {
      const uint32_t end = std::min(begin + kPieceRows, tables->words());
      const kvstore::NDArray rows = tables->Read(table, begin, end);
      hash.Update(rows.data(), rows.bytes());
    }
  }
  return hash.Hex();
}

std::vector<std::vector<Neighbour>> NeighboursOf(const std::vector<uint32_t>& ids, size_t count,
                                                 uint64_t count_min, const Vocabulary& vocabulary,
                                                 uint64_t seed, Tables* tables) {
  const size_t dim = tables->dim();
  uint32_t frequent = vocabulary.size();  // the vocabulary has the most frequent words first
  while (frequent > 0 && vocabulary.count(frequent - 1) < count_min) --frequent;
  Neighbours neighbours(ids, VectorsOf(ids, seed, tables).data(), dim, count);
  for (uint32_t begin = 0; begin < frequent; begin += kPieceRows) {
    const uint32_t end = std::min(begin + kPieceRows, frequent);
    const kvstore::NDArray rows = tables->Read(Table::kInputs, begin, end);
    for (uint32_t id = begin; id < end; ++id) {
      float* row = rows.data_as<float>() + (id - begin) * dim;
      AddStart(seed, id, dim, row);
      neighbours.Offer(id, row);
    }
  }
  std::vector<std::vector<Neighbour>> found;
  for (size_t query = 0; query < ids.size(); ++query) found.push_back(neighbours.Of(query));
  return found;
}

}  // namespace word_vectors
