#include "common/updater/norms.h"

#include <cmath>

namespace kvstore {

NormBounds NormBounds::Of(ParameterReader* reader) {
  NormBounds bounds;
  bounds.lower = reader->Optional("lower_bound", NumberRange::kPositive);
  bounds.upper = reader->Optional("upper_bound", NumberRange::kPositive);
  return bounds;
}

// The comparisons leave a NaN one.
double NormBounds::TrustRatio(double weight_squares, double step_squares) const {
  double weight = std::sqrt(weight_squares);
  const double step = std::sqrt(step_squares);
  if (lower.has_value() && weight < *lower) weight = *lower;
  if (upper.has_value() && weight > *upper) weight = *upper;
  return weight == 0 || step == 0 ? 1 : weight / step;
}

}  // namespace kvstore
