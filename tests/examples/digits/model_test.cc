#include "examples/digits/model.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>

namespace digits {
namespace {

Samples SomeSamples(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  Samples samples(n);
  for (Sample& sample : samples) {
    for (float& pixel : sample.pixels) pixel = static_cast<float>(random() % 17) / 16.0f;
    sample.digit = static_cast<uint8_t>(random() % kClasses);
  }
  return samples;
}

double LossOf(const Model& model, const Parameters& weights, const Samples& samples) {
  Parameters unused = model.Zeros();
  return model.Gradient(weights, samples.data(), samples.data() + samples.size(), 1, unused);
}

TEST_CASE("the gradient is the slope of the loss", "[digits]") {
  const uint64_t seed = GENERATE(1, 2, 3);
  CAPTURE(seed);
  const Model model(5);
  const Samples samples = SomeSamples(3, seed);
  const Parameters weights = model.RandomWeights(seed);
  Parameters gradient = model.Zeros();
  model.Gradient(weights, samples.data(), samples.data() + samples.size(), 1, gradient);

  for (size_t key = 0; key < weights.size(); ++key) {
    for (int64_t i = 0; i < weights[key].size(); i += 7) {
      CAPTURE(Model::keys()[key], i);
      float& weight = weights[key].data_as<float>()[i];
      const float before = weight;
      const float h = 1e-3f;
      weight = before + h;
      const double above = LossOf(model, weights, samples);
      weight = before - h;
      const double below = LossOf(model, weights, samples);
      weight = before;
      // Central differences err by O(h^2) and by the rounding of the loss (a few units of 2^-24
      // of a loss of about 10, divided by 2h: about 2e-3).
      CHECK(gradient[key].data_as<float>()[i] ==
            Approx((above - below) / (2.0 * h)).margin(5e-3).epsilon(5e-3));
    }
  }
}

TEST_CASE("the gradient is scaled and has the same bits every time", "[digits]") {
  const Model model(16);
  const Samples samples = SomeSamples(9, 4);
  const Parameters weights = model.RandomWeights(4);
  Parameters once = model.Zeros();
  Parameters again = model.Zeros();
  Parameters half = model.Zeros();
  const Sample* begin = samples.data();
  const Sample* end = begin + samples.size();
  model.Gradient(weights, begin, end, 1.0f, once);
  model.Gradient(weights, begin, end, 1.0f, again);
  model.Gradient(weights, begin, end, 0.5f, half);
  for (size_t key = 0; key < weights.size(); ++key) {
    CAPTURE(Model::keys()[key]);
    CHECK(std::memcmp(once[key].data(), again[key].data(), once[key].bytes()) == 0);
    for (int64_t i = 0; i < once[key].size(); ++i) {
      // Halving is exact in binary floating point.
      REQUIRE(half[key].data_as<float>()[i] == once[key].data_as<float>()[i] / 2);
    }
  }
}

TEST_CASE("no samples, no gradient", "[digits]") {
  const Model model(4);
  const Parameters weights = model.RandomWeights(1);
  Parameters gradient = model.RandomWeights(2);
  CHECK(model.Gradient(weights, nullptr, nullptr, 1, gradient) == 0);
  for (const kvstore::NDArray& array : gradient) {
    for (int64_t i = 0; i < array.size(); ++i) REQUIRE(array.data_as<float>()[i] == 0);
  }
}

TEST_CASE("accuracy is the part of the samples that is recognised", "[digits]") {
  const Model model(4);
  Parameters weights = model.Zeros();
  weights[3].data_as<float>()[6] = 1;  // whatever the image: a six
  Samples samples = SomeSamples(4, 1);
  samples[0].digit = samples[1].digit = samples[2].digit = 6;
  samples[3].digit = 5;
  CHECK(model.Accuracy(weights, samples) == 0.75);
}

}  // namespace
}  // namespace digits
