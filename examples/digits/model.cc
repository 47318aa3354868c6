#include "examples/digits/model.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace digits {
namespace {

enum Key { kHiddenWeight, kHiddenBias, kOutputWeight, kOutputBias };

float* Data(const Parameters& parameters, Key key) { return parameters[key].data_as<float>(); }

// y += a x
void AddScaled(size_t n, float a, const float* x, float* y) {
  for (size_t i = 0; i < n; ++i) y[i] += a * x[i];
}

float Dot(size_t n, const float* x, const float* y) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

}  // namespace

const std::vector<std::string>& Model::keys() {
  static const std::vector<std::string> keys = {"hidden.weight", "hidden.bias", "output.weight",
                                                "output.bias"};
  return keys;
}

Parameters Model::Zeros() const {
  const auto hidden = static_cast<int64_t>(hidden_);
  Parameters zeros;
  zeros.emplace_back(std::vector<int64_t>{kPixels, hidden});
  zeros.emplace_back(std::vector<int64_t>{hidden});
  zeros.emplace_back(std::vector<int64_t>{kClasses, hidden});
  zeros.emplace_back(std::vector<int64_t>{kClasses});
  return zeros;
}

Parameters Model::RandomWeights(uint64_t seed) const {
  Parameters weights = Zeros();
  std::mt19937_64 random(seed);
  // He et al., "Delving Deep into Rectifiers" (2015): uniform with variance 2 / inputs.
  const auto fill = [&](Key key, size_t inputs) {
    const float limit = std::sqrt(6.0f / static_cast<float>(inputs));
    float* data = Data(weights, key);
    for (int64_t i = 0; i < weights[key].size(); ++i) {
      data[i] = limit * (static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f);
    }
  };
  fill(kHiddenWeight, kPixels);
  fill(kOutputWeight, hidden_);
  return weights;
}

void Model::Forward(const Parameters& weights, const Sample& sample, std::vector<float>& hidden,
                    float* probabilities) const {
  hidden.assign(Data(weights, kHiddenBias), Data(weights, kHiddenBias) + hidden_);
  for (size_t i = 0; i < kPixels; ++i) {
    if (sample.pixels[i] == 0) continue;
    AddScaled(hidden_, sample.pixels[i], Data(weights, kHiddenWeight) + i * hidden_, hidden.data());
  }
  for (float& unit : hidden) unit = std::max(unit, 0.0f);

  for (size_t c = 0; c < kClasses; ++c) {
    probabilities[c] = Data(weights, kOutputBias)[c] +
                       Dot(hidden_, Data(weights, kOutputWeight) + c * hidden_, hidden.data());
  }
  const float largest = *std::max_element(probabilities, probabilities + kClasses);
  float sum = 0;
  for (size_t c = 0; c < kClasses; ++c)
    sum += probabilities[c] = std::exp(probabilities[c] - largest);
  for (size_t c = 0; c < kClasses; ++c) probabilities[c] /= sum;
}

double Model::Gradient(const Parameters& weights, const Sample* begin, const Sample* end,
                       float scale, Parameters& gradient) const {
  for (const kvstore::NDArray& array : gradient) {
    std::fill_n(array.data_as<float>(), array.size(), 0.0f);
  }
  double loss = 0;
  std::vector<float> hidden;
  std::vector<float> hidden_error(hidden_);
  float error[kClasses];  // of the outputs before the softmax: probability - truth
  for (const Sample* sample = begin; sample != end; ++sample) {
    Forward(weights, *sample, hidden, error);
    loss -= std::log(std::max(error[sample->digit], 1e-30f));
    error[sample->digit] -= 1.0f;

    std::fill(hidden_error.begin(), hidden_error.end(), 0.0f);
    for (size_t c = 0; c < kClasses; ++c) {
      const float e = scale * error[c];
      AddScaled(hidden_, e, Data(weights, kOutputWeight) + c * hidden_, hidden_error.data());
      AddScaled(hidden_, e, hidden.data(), Data(gradient, kOutputWeight) + c * hidden_);
      Data(gradient, kOutputBias)[c] += e;
    }
    for (size_t j = 0; j < hidden_; ++j) {
      if (hidden[j] == 0) hidden_error[j] = 0;  // the ReLU was closed
    }
    AddScaled(hidden_, 1.0f, hidden_error.data(), Data(gradient, kHiddenBias));
    for (size_t i = 0; i < kPixels; ++i) {
      if (sample->pixels[i] == 0) continue;
      AddScaled(hidden_, sample->pixels[i], hidden_error.data(),
                Data(gradient, kHiddenWeight) + i * hidden_);
    }
  }
  return loss;
}

double Model::Accuracy(const Parameters& weights, const Samples& samples) const {
  std::vector<float> hidden;
  float probabilities[kClasses];
  size_t right = 0;
  for (const Sample& sample : samples) {
    Forward(weights, sample, hidden, probabilities);
    const auto best = std::max_element(probabilities, probabilities + kClasses) - probabilities;
    if (best == sample.digit) ++right;
  }
  return static_cast<double>(right) / static_cast<double>(samples.size());
}

}  // namespace digits
