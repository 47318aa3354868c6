#include "examples/digits/data.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

namespace digits {
namespace {

using Catch::Matchers::Contains;

std::string Text(const Sample& sample) {
  std::string text(1, static_cast<char>('0' + sample.digit));
  for (const float pixel : sample.pixels) text += static_cast<char>('a' + pixel * 16);
  return text;
}

std::map<std::string, int> Count(const Samples& samples) {
  std::map<std::string, int> count;
  for (const Sample& sample : samples) ++count[Text(sample)];
  return count;
}

// A file in the temporary folder, gone with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content) {
    char name[] = "/tmp/digits_test.XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    close(fd);
    path_ = name;
    std::ofstream(path_) << content;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("the committed digits are the 1,797 of the UCI data set", "[digits]") {
  const Samples samples = Load(DIGITS_CSV);
  CHECK(samples.size() == 1797);
  std::map<int, int> per_digit;
  for (const Sample& sample : samples) ++per_digit[sample.digit];
  // The counts in optdigits.names of the data set, for its testing set.
  CHECK(per_digit == std::map<int, int>{{0, 178},
                                        {1, 182},
                                        {2, 177},
                                        {3, 183},
                                        {4, 181},
                                        {5, 182},
                                        {6, 181},
                                        {7, 179},
                                        {8, 174},
                                        {9, 180}});
  CHECK(samples[0].pixels[2] == 5.0f / 16.0f);
}

TEST_CASE("each training sample goes to exactly one worker", "[digits]") {
  const uint64_t seed = GENERATE(1, 2, 12345);
  const int workers = GENERATE(1, 2, 3, 7);
  CAPTURE(seed, workers);
  const Samples all = Load(DIGITS_CSV);
  const Split split = SplitSamples(all, seed);
  CHECK(split.train.size() == 1437);

  Samples together = split.test;
  size_t smallest = all.size();
  size_t largest = 0;
  for (int rank = 0; rank < workers; ++rank) {
    const Samples share = ShareOf(split.train, rank, workers);
    smallest = std::min(smallest, share.size());
    largest = std::max(largest, share.size());
    together.insert(together.end(), share.begin(), share.end());
  }
  CHECK(Count(together) == Count(all));
  CHECK(largest - smallest <= 1);
}

TEST_CASE("another seed splits otherwise, the same seed the same way", "[digits]") {
  const Samples all = Load(DIGITS_CSV);
  CHECK(Count(SplitSamples(all, 1).test) == Count(SplitSamples(all, 1).test));
  CHECK(Count(SplitSamples(all, 1).test) != Count(SplitSamples(all, 2).test));
}

TEST_CASE("a broken file is named with its line", "[digits]") {
  std::string good;
  for (size_t i = 0; i < kPixels; ++i) good += "0,";
  good += "7\n";
  CHECK(Load(TemporaryFile(good + good).path()).size() == 2);

  CHECK_THROWS_WITH(Load("/nowhere/digits.csv"), Contains("/nowhere/digits.csv"));
  CHECK_THROWS_WITH(Load(TemporaryFile("").path()), Contains("at least one sample expected"));
  CHECK_THROWS_WITH(Load(TemporaryFile(good + "1,2,3\n").path()), Contains(":2: field 4"));
  CHECK_THROWS_WITH(Load(TemporaryFile("17," + good).path()), Contains(":1: field 1"));
  CHECK_THROWS_WITH(Load(TemporaryFile("0," + good).path()), Contains("got more"));
  const std::string eleven = good.substr(0, good.size() - 2) + "10\n";
  CHECK_THROWS_WITH(Load(TemporaryFile(eleven).path()), Contains("field 65"));
}

}  // namespace
}  // namespace digits
