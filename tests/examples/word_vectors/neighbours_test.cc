#include "examples/word_vectors/neighbours.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

namespace word_vectors {
namespace {

std::vector<uint32_t> IdsOf(const std::vector<Neighbour>& neighbours) {
  std::vector<uint32_t> ids;
  for (const Neighbour& neighbour : neighbours) ids.push_back(neighbour.id);
  return ids;
}

TEST_CASE("the nearest are those with the smallest angle, whatever their length",
          "[word_vectors]") {
  const std::vector<std::vector<float>> rows = {{1, 0}, {100, 100}, {0, 2}, {-3, 0}, {0.5f, 0.1f}};
  Neighbours neighbours({0, 2}, std::vector<float>{1, 0, 0, 2}.data(), 2, 3);
  for (uint32_t id = 0; id < rows.size(); ++id) neighbours.Offer(id, rows[id].data());
  CHECK(IdsOf(neighbours.Of(0)) == std::vector<uint32_t>{4, 1, 2});
  CHECK(IdsOf(neighbours.Of(1)) == std::vector<uint32_t>{1, 4, 0});
  // Rounded once to float, from a double.
  CHECK(neighbours.Of(0)[1].cosine == Approx(std::sqrt(0.5)).epsilon(1e-7));
  CHECK(neighbours.Of(0)[2].cosine == 0);
}

TEST_CASE("equally near words come in the order of their ids", "[word_vectors]") {
  const float right[] = {1, 0};
  const float up[] = {0, 1};
  Neighbours neighbours({0}, right, 2, 2);
  for (const uint32_t id : {3, 1, 2}) neighbours.Offer(id, up);
  CHECK(IdsOf(neighbours.Of(0)) == std::vector<uint32_t>{1, 2});
}

TEST_CASE("neither the word itself nor a row of zeros is a neighbour", "[word_vectors]") {
  const float right[] = {1, 0};
  const float zeros[] = {0, 0};
  Neighbours neighbours({5}, right, 2, 2);
  neighbours.Offer(5, right);
  neighbours.Offer(6, zeros);
  CHECK(neighbours.Of(0).empty());
}

}  // namespace
}  // namespace word_vectors
