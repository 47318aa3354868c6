// What lamb, lans and lars make of the norms of a whole value.
#pragma once

#include <optional>

#include "common/updater/parameters.h"

namespace kvstore {

// Between which numbers a weight's norm is taken to be. Source: MXNet's lower_bound, upper_bound.
struct NormBounds {
  std::optional<double> lower;
  std::optional<double> upper;

  // Of the parameters lower_bound and upper_bound, which are > 0 and may be absent.
  static NormBounds Of(ParameterReader* reader);

  // How far to go along a step: the norm of the weight, within the bounds, divided by the step's;
  // 1 if either is 0. Both are given as sums of squares. In f64.
  double TrustRatio(double weight_squares, double step_squares) const;
};

}  // namespace kvstore
