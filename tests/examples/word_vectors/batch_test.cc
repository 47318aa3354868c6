#include "examples/word_vectors/batch.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace word_vectors {
namespace {

// Word "a" is in every line, word "b" in every second one, and so on.
std::vector<Line> SomeLines() {
  std::vector<Line> lines;
  for (size_t i = 0; i < 60; ++i) {
    Line line;
    for (size_t word = 0; word < 10; ++word) {
      if (i % (word + 1) == 0) line.push_back(std::string(1, static_cast<char>('a' + word)));
    }
    lines.push_back(line);
  }
  return lines;
}

SamplingOptions Options(uint32_t window, uint32_t noise, double subsample) {
  SamplingOptions options;
  options.window = window;
  options.noise = noise;
  options.subsample = subsample;
  return options;
}

struct Setting {
  explicit Setting(const SamplingOptions& options) : maker(vocabulary, options) {}
  Batch Make(const std::vector<uint32_t>& ids, int epoch = 1) {
    return maker.Make(corpus, ids.data(), ids.data() + ids.size(), epoch);
  }
  const std::vector<Line> lines = SomeLines();
  const Vocabulary vocabulary{lines, 1};
  const Corpus corpus = vocabulary.Encode(lines);
  BatchMaker maker;
};

TEST_CASE("a word predicts its neighbours within the window", "[word_vectors]") {
  // Window 1 is never drawn smaller, and nothing is thinned out: all is known.
  Setting setting(Options(1, 0, 0));
  const Batch batch = setting.Make({12});
  const std::vector<uint32_t>& line = setting.corpus[12];
  REQUIRE(line.size() == 5);
  REQUIRE(batch.centers.size() == line.size());
  CHECK(batch.pairs == 2 * (line.size() - 1));
  for (size_t i = 0; i < line.size(); ++i) {
    CAPTURE(i);
    const Center& center = batch.centers[i];
    CHECK(batch.inputs[center.input] == line[i]);
    std::vector<int64_t> around;
    for (uint32_t t = center.contexts; t < center.noise; ++t) {
      around.push_back(batch.outputs[batch.targets[t]]);
    }
    std::vector<int64_t> expected;
    if (i > 0) expected.push_back(line[i - 1]);
    if (i + 1 < line.size()) expected.push_back(line[i + 1]);
    CHECK(around == expected);
    CHECK(center.noise == center.end);
  }
}

TEST_CASE("a batch names each row once, ascending, and no row that it does not need",
          "[word_vectors]") {
  Setting setting(Options(3, 4, 0));
  const Batch batch = setting.Make({0, 3, 12, 59});
  std::set<int64_t> inputs;
  std::set<int64_t> outputs;
  for (const Center& center : batch.centers) {
    REQUIRE(center.input < batch.inputs.size());
    inputs.insert(batch.inputs[center.input]);
    REQUIRE(center.end - center.noise == 4);
  }
  for (const uint32_t target : batch.targets) {
    REQUIRE(target < batch.outputs.size());
    outputs.insert(batch.outputs[target]);
  }
  CHECK(batch.inputs == std::vector<int64_t>(inputs.begin(), inputs.end()));
  CHECK(batch.outputs == std::vector<int64_t>(outputs.begin(), outputs.end()));
}

TEST_CASE("what is drawn for a line depends on the seed, the epoch and the line alone",
          "[word_vectors]") {
  const auto targets = [](Setting& setting, const std::vector<uint32_t>& ids, int epoch) {
    const Batch batch = setting.Make(ids, epoch);
    std::vector<int64_t> words;
    for (const uint32_t target : batch.targets) words.push_back(batch.outputs[target]);
    return words;
  };
  Setting setting(Options(4, 3, 0.05));
  Setting other_seed([] {
    SamplingOptions options = Options(4, 3, 0.05);
    options.seed = 2;
    return options;
  }());
  const std::vector<int64_t> alone = targets(setting, {0}, 1);
  std::vector<int64_t> both = targets(setting, {30}, 1);
  both.insert(both.end(), alone.begin(), alone.end());
  CHECK(targets(setting, {30, 0}, 1) == both);
  CHECK(targets(setting, {0}, 2) != alone);
  CHECK(targets(other_seed, {0}, 1) != alone);
}

TEST_CASE("frequent words are thinned out as in word2vec", "[word_vectors]") {
  const Setting setting(Options(1, 0, 0.01));
  const double total = static_cast<double>(setting.vocabulary.total());
  for (uint32_t id = 0; id < setting.vocabulary.size(); ++id) {
    CAPTURE(id);
    // word2vec.c: (sqrt(count / (sample * total)) + 1) * (sample * total) / count
    const double count = static_cast<double>(setting.vocabulary.count(id));
    const double keep = (std::sqrt(count / (0.01 * total)) + 1) * (0.01 * total) / count;
    CHECK(setting.maker.KeepProbability(id) == Approx(std::min(1.0, keep)));
  }
  CHECK(setting.maker.KeepProbability(0) < 0.3);
  const Setting whole(Options(1, 0, 0));
  CHECK(whole.maker.KeepProbability(0) == 1);
}

TEST_CASE("lines of one word give nothing to learn", "[word_vectors]") {
  Setting setting(Options(5, 5, 0));
  const Batch batch = setting.Make({1, 11});
  CHECK(setting.corpus[1].size() == 1);
  CHECK(batch.centers.empty());
  CHECK(batch.inputs.empty());
  CHECK(batch.outputs.empty());
  CHECK(batch.pairs == 0);
}

TEST_CASE("each line belongs to exactly one worker, in every epoch in another order",
          "[word_vectors]") {
  const size_t lines = GENERATE(0, 1, 7, 100);
  const int workers = GENERATE(1, 2, 3);
  CAPTURE(lines, workers);
  const std::vector<uint32_t> order = OrderOfLines(lines, 1, 1);
  std::vector<uint32_t> dealt;
  size_t least = lines;
  size_t most = 0;
  for (int rank = 0; rank < workers; ++rank) {
    const std::vector<uint32_t> share = ShareOf(order, rank, workers);
    least = std::min(least, share.size());
    most = std::max(most, share.size());
    dealt.insert(dealt.end(), share.begin(), share.end());
  }
  CHECK(most - least <= 1);
  std::sort(dealt.begin(), dealt.end());
  std::vector<uint32_t> all(lines);
  for (uint32_t i = 0; i < lines; ++i) all[i] = i;
  CHECK(dealt == all);
  CHECK(OrderOfLines(lines, 1, 1) == order);
  if (lines > 1) {
    CHECK((OrderOfLines(lines, 1, 2) != order || lines < 10));
    CHECK((OrderOfLines(lines, 2, 1) != order || lines < 10));
  }
}

}  // namespace
}  // namespace word_vectors
