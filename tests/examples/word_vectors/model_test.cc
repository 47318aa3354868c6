#include "examples/word_vectors/model.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <vector>

#include "examples/word_vectors/random.h"

namespace word_vectors {
namespace {

// Two centers that share rows: a word around both, noise that is a context of the other, and noise
// drawn twice.
Batch SomeBatch() {
  Batch batch;
  batch.inputs = {3, 8};
  batch.outputs = {1, 3, 4, 9};
  batch.targets = {0, 2, 1, 1, /* second center */ 2, 3, 0, 1};
  batch.centers = {{0, 0, 2, 4}, {1, 4, 5, 8}};
  batch.pairs = 3;
  return batch;
}

std::vector<float> SomeRows(size_t rows, size_t dim, uint64_t seed) {
  Random random{seed};
  std::vector<float> values(rows * dim);
  for (float& value : values) value = static_cast<float>(2 * random.Unit() - 1);
  return values;
}

// The formula of model.h, pair by pair, in double.
double LossByFormula(const Batch& batch, size_t dim, const std::vector<double>& inputs,
                     const std::vector<double>& outputs) {
  const auto log_sigmoid = [](double x) { return -std::log(1 + std::exp(-x)); };
  const auto dot = [&](const Center& center, uint32_t target) {
    double sum = 0;
    for (size_t i = 0; i < dim; ++i) {
      sum += inputs[center.input * dim + i] * outputs[batch.targets[target] * dim + i];
    }
    return sum;
  };
  double loss = 0;
  for (const Center& center : batch.centers) {
    for (uint32_t context = center.contexts; context < center.noise; ++context) {
      loss -= log_sigmoid(dot(center, context));
      for (uint32_t n = center.noise; n < center.end; ++n) loss -= log_sigmoid(-dot(center, n));
    }
  }
  return loss;
}

struct Gradients {
  double loss;
  std::vector<float> inputs;
  std::vector<float> outputs;
};
Gradients GradientOf(const Batch& batch, size_t dim, const std::vector<float>& inputs,
                     const std::vector<float>& outputs) {
  Gradients gradients{0, std::vector<float>(inputs.size(), NAN),
                      std::vector<float>(outputs.size(), NAN)};
  gradients.loss = Gradient(batch, dim, inputs.data(), outputs.data(), gradients.inputs.data(),
                            gradients.outputs.data());
  return gradients;
}

TEST_CASE("the gradient is the slope of the formula", "[word_vectors]") {
  const size_t dim = GENERATE(1, 7, 8, 9, 64);
  const uint64_t seed = GENERATE(1, 2, 3);
  CAPTURE(dim, seed);
  const Batch batch = SomeBatch();
  const std::vector<float> inputs = SomeRows(batch.inputs.size(), dim, seed);
  const std::vector<float> outputs = SomeRows(batch.outputs.size(), dim, seed + 100);
  const Gradients gradients = GradientOf(batch, dim, inputs, outputs);

  std::vector<double> v(inputs.begin(), inputs.end());
  std::vector<double> u(outputs.begin(), outputs.end());
  // At most 9 terms of a size up to dim, each rounded some times by 2^-24.
  CHECK(gradients.loss ==
        Approx(LossByFormula(batch, dim, v, u)).margin(1e-6 * static_cast<double>(dim)).epsilon(0));
  const auto check = [&](std::vector<double>& weights, const std::vector<float>& slopes) {
    for (size_t i = 0; i < weights.size(); ++i) {
      CAPTURE(i);
      const double before = weights[i];
      const double h = 1e-5;
      weights[i] = before + h;
      const double above = LossByFormula(batch, dim, v, u);
      weights[i] = before - h;
      const double below = LossByFormula(batch, dim, v, u);
      weights[i] = before;
      // Central differences err by O(h^2) and by 2^-53 of a loss below 100 over 2h: 1e-9. The
      // float gradient: at most 8 terms below 2, whose dot products of dim terms were rounded.
      CHECK(slopes[i] == Approx((above - below) / (2 * h))
                             .margin(2e-6 + 2e-7 * static_cast<double>(dim))
                             .epsilon(0));
    }
  };
  check(v, gradients.inputs);
  check(u, gradients.outputs);
}

TEST_CASE("rows of zeros cost log 2 per pair and noise word", "[word_vectors]") {
  const Batch batch = SomeBatch();
  const size_t dim = 5;
  const std::vector<float> zeros(batch.outputs.size() * dim);
  const Gradients gradients = GradientOf(batch, dim, SomeRows(2, dim, 1), zeros);
  // Two pairs with two noise words, one pair with three; each term is log 2 rounded to float.
  CHECK(gradients.loss == Approx((2 * 3 + 1 * 4) * std::log(2.0)).epsilon(1e-7));
}

TEST_CASE("the gradient has the same bits every time", "[word_vectors]") {
  const Batch batch = SomeBatch();
  const size_t dim = 13;
  const std::vector<float> inputs = SomeRows(2, dim, 5);
  const std::vector<float> outputs = SomeRows(4, dim, 6);
  const Gradients once = GradientOf(batch, dim, inputs, outputs);
  const Gradients again = GradientOf(batch, dim, inputs, outputs);
  CHECK(once.loss == again.loss);
  CHECK(once.inputs == again.inputs);
  CHECK(once.outputs == again.outputs);
}

TEST_CASE("large products neither overflow nor lose the slope", "[word_vectors]") {
  Batch batch;
  batch.inputs = {0};
  batch.outputs = {0, 1};
  batch.targets = {0, 1};
  batch.centers = {{0, 0, 1, 2}};
  const Gradients gradients = GradientOf(batch, 1, {1000}, {-1000, 1000});
  CHECK(gradients.loss == 2e6);
  CHECK(gradients.outputs == std::vector<float>{-1000, 1000});
  CHECK(gradients.inputs == std::vector<float>{2000});
}

TEST_CASE("a batch without words has no gradient", "[word_vectors]") {
  CHECK(GradientOf(Batch{}, 4, {}, {}).loss == 0);
}

TEST_CASE("a word starts from small numbers of its own", "[word_vectors]") {
  const size_t dim = 100;
  std::vector<float> row(dim);
  std::vector<float> again(dim);
  std::vector<float> other(dim);
  AddStart(1, 7, dim, row.data());
  AddStart(1, 7, dim, again.data());
  AddStart(1, 8, dim, other.data());
  CHECK(row == again);
  CHECK(row != other);
  for (const float value : row) CHECK(std::fabs(value) <= 0.5f / dim);

  std::vector<float> trained(dim, 1.0f);
  AddStart(1, 7, dim, trained.data());
  for (size_t i = 0; i < dim; ++i) CHECK(trained[i] == 1.0f + row[i]);
}

}  // namespace
}  // namespace word_vectors
