#include "examples/word_vectors/model.h"

#include <algorithm>
#include <cmath>

#include "examples/word_vectors/random.h"

namespace word_vectors {
namespace {

// In eight sums, so that a compiler may use vectors without changing the order of additions.
float Dot(size_t n, const float* x, const float* y) {
  float sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += x[i + lane] * y[i + lane];
  }
  for (size_t lane = 0; i < n; ++i, ++lane) sums[lane] += x[i] * y[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// y += a x
void AddScaled(size_t n, float a, const float* x, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] += a * x[i];
}

// -log s(x) and its slope, s(x) - 1, for any x without overflow.
struct LogisticLoss {
  double loss;
  float slope;
};
LogisticLoss LossOf(float x) {
  const float e = std::exp(-std::fabs(x));  // 0 .. 1
  const float loss = std::log1p(e) + std::max(-x, 0.0f);
  return {loss, x >= 0 ? -e / (1 + e) : -1 / (1 + e)};
}

}  // namespace

double Gradient(const Batch& batch, size_t dim, const float* inputs, const float* outputs,
                float* input_gradients, float* output_gradients) {
  std::fill_n(input_gradients, batch.inputs.size() * dim, 0.0f);
  std::fill_n(output_gradients, batch.outputs.size() * dim, 0.0f);
  double loss = 0;
  for (const Center& center : batch.centers) {
    const float* v = inputs + center.input * dim;
    float* v_gradient = input_gradients + center.input * dim;
    const auto add = [&](uint32_t place, float slope) {
      AddScaled(dim, slope, outputs + place * dim, v_gradient);
      AddScaled(dim, slope, v, output_gradients + place * dim);
    };
    for (uint32_t t = center.contexts; t < center.noise; ++t) {
      const uint32_t place = batch.targets[t];
      const LogisticLoss at = LossOf(Dot(dim, outputs + place * dim, v));
      loss += at.loss;
      add(place, at.slope);
    }
    // Once per word around the center: its pairs share the noise.
    const float pairs = static_cast<float>(center.noise - center.contexts);
    for (uint32_t t = center.noise; t < center.end; ++t) {
      const uint32_t place = batch.targets[t];
      const LogisticLoss at = LossOf(-Dot(dim, outputs + place * dim, v));
      loss += pairs * at.loss;
      add(place, -pairs * at.slope);
    }
  }
  return loss;
}

void AddStart(uint64_t seed, uint32_t id, size_t dim, float* row) {
  Random random{seed, kStartVector, id};
  for (size_t i = 0; i < dim; ++i) {
    row[i] += static_cast<float>((random.Unit() - 0.5) / static_cast<double>(dim));
  }
}

}  // namespace word_vectors
