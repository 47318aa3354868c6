#include "examples/word_vectors/vocabulary.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "examples/word_vectors/noise.h"

namespace word_vectors {
namespace {

const std::vector<Line> kLines = {{"b", "a", "c"}, {"b", "a", "rare"}, {"b"}};

TEST_CASE("words are numbered from the most frequent on", "[word_vectors]") {
  const Vocabulary vocabulary(kLines, 1);
  REQUIRE(vocabulary.size() == 4);
  CHECK(vocabulary.word(0) == "b");
  CHECK(vocabulary.word(1) == "a");
  CHECK(vocabulary.word(2) == "c");  // once, as "rare": in the order of the bytes
  CHECK(vocabulary.word(3) == "rare");
  CHECK(vocabulary.counts() == std::vector<uint64_t>{3, 2, 1, 1});
  CHECK(vocabulary.total() == 7);
  CHECK(vocabulary.IdOf("c") == 2);
}

TEST_CASE("rare words are not in the vocabulary and not in the corpus", "[word_vectors]") {
  const Vocabulary vocabulary(kLines, 2);
  CHECK(vocabulary.size() == 2);
  CHECK(vocabulary.total() == 5);
  CHECK(vocabulary.Encode(kLines) == Corpus{{0, 1}, {0, 1}, {0}});
  CHECK(vocabulary.Has("a"));
  CHECK_FALSE(vocabulary.Has("rare"));
  CHECK_THROWS_WITH(vocabulary.IdOf("rare"), "'rare' is no word of the vocabulary");
}

TEST_CASE("a text of fewer than two words is refused", "[word_vectors]") {
  CHECK_THROWS_WITH(Vocabulary(kLines, 3),
                    "a text with at least two words that occur 3 times expected, got 1");
}

TEST_CASE("noise is drawn by count^0.75", "[word_vectors]") {
  const std::vector<uint64_t> counts =
      GENERATE(std::vector<uint64_t>{1, 1}, std::vector<uint64_t>{1000000, 1},
               std::vector<uint64_t>{90, 50, 40, 7, 7, 3, 2, 1, 1, 1, 1});
  const Noise noise(counts);
  double sum = 0;
  for (const uint64_t count : counts) sum += std::pow(static_cast<double>(count), 0.75);
  for (uint32_t id = 0; id < counts.size(); ++id) {
    CAPTURE(id);
    // A column's rest is carried over at most size times, each time rounded by 2^-53.
    CHECK(noise.ProbabilityOf(id) ==
          Approx(std::pow(static_cast<double>(counts[id]), 0.75) / sum).margin(1e-14).epsilon(0));
  }
}

TEST_CASE("draws of noise follow the probabilities", "[word_vectors]") {
  const std::vector<uint64_t> counts = {90, 50, 40, 7, 3, 1};
  const Noise noise(counts);
  const int draws = 100000;
  std::vector<double> drawn(counts.size());
  Random random{1};
  for (int i = 0; i < draws; ++i) ++drawn[noise.Draw(random)];
  for (uint32_t id = 0; id < counts.size(); ++id) {
    CAPTURE(id);
    // Five standard deviations of a binomial count; the seed is fixed.
    const double expected = draws * noise.ProbabilityOf(id);
    CHECK(std::fabs(drawn[id] - expected) < 5 * std::sqrt(expected));
  }
}

TEST_CASE("random numbers depend on the place alone", "[word_vectors]") {
  Random here{1, 2, 3};
  Random again{1, 2, 3};
  Random there{1, 3, 2};
  const uint64_t first = here.Next();
  CHECK(first == again.Next());
  CHECK(first != there.Next());
  CHECK(first != here.Next());
}

}  // namespace
}  // namespace word_vectors
