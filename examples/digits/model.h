// A small neural network, 64 pixels -> hidden units (ReLU) -> 10 digits (softmax), whose parameters
// are four arrays: exactly what a KVStore keeps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/digits/data.h"
#include "kvstore/ndarray.h"

namespace digits {

// One array per key, in the order of Model::keys(): weights, or their gradients.
using Parameters = std::vector<kvstore::NDArray>;

class Model {
 public:
  explicit Model(int hidden_units) : hidden_(static_cast<size_t>(hidden_units)) {}

  static const std::vector<std::string>& keys();
  Parameters Zeros() const;
  // Weights to start from: small random numbers, the same for the same seed.
  Parameters RandomWeights(uint64_t seed) const;

  // Sets `gradient` to `scale` times the sum of the cross entropy's gradients over
  // [begin, end), and returns the sum of the cross entropies. Always the same bits for the same
  // weights and samples.
  double Gradient(const Parameters& weights, const Sample* begin, const Sample* end, float scale,
                  Parameters& gradient) const;

  // Which part of the samples is recognised, 0..1.
  double Accuracy(const Parameters& weights, const Samples& samples) const;

 private:
  // Fills `hidden` and `probabilities`.
  void Forward(const Parameters& weights, const Sample& sample, std::vector<float>& hidden,
               float* probabilities) const;

  size_t hidden_;
};

}  // namespace digits
