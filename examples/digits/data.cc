#include "examples/digits/data.h"

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace digits {
namespace {

Sample ParseLine(const std::string& line) {
  Sample sample{};
  std::istringstream numbers(line);
  char comma = ',';
  int value = 0;
  for (size_t i = 0; i <= kPixels; ++i) {
    const int max = i < kPixels ? 16 : static_cast<int>(kClasses) - 1;
    if (comma != ',' || !(numbers >> value) || value < 0 || value > max) {
      throw std::runtime_error("field " + std::to_string(i + 1) + ": a number from 0 to " +
                               std::to_string(max) + " expected");
    }
    if (i < kPixels) {
      sample.pixels[i] = static_cast<float>(value) / 16.0f;
      if (!(numbers >> comma)) comma = '?';
    }
  }
  sample.digit = static_cast<uint8_t>(value);
  if (numbers >> comma) throw std::runtime_error("65 fields expected, got more");
  return sample;
}

}  // namespace

Samples Load(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be read (is --data right?)");
  Samples samples;
  std::string line;
  while (std::getline(file, line)) {
    try {
      samples.push_back(ParseLine(line));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(path + ":" + std::to_string(samples.size() + 1) + ": " +
                               error.what());
    }
  }
  if (samples.empty()) throw std::runtime_error(path + ": at least one sample expected");
  return samples;
}

Split SplitSamples(Samples samples, uint64_t seed) {
  std::mt19937_64 random(seed);
  Shuffle(samples, random);
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() * 4 / 5);
  return {Samples(samples.begin(), middle), Samples(middle, samples.end())};
}

Samples ShareOf(const Samples& train, int rank, int workers) {
  Samples share;
  for (size_t i = static_cast<size_t>(rank); i < train.size(); i += static_cast<size_t>(workers)) {
    share.push_back(train[i]);
  }
  return share;
}

void Shuffle(Samples& samples, std::mt19937_64& random) {
  for (size_t left = samples.size(); left > 1; --left) {
    std::swap(samples[left - 1], samples[random() % left]);
  }
}

}  // namespace digits
