// The figures of several repeats in one: median and extremes.
#pragma once

#include <vector>

namespace kvstore::bench {

struct Summary {
  double median = 0;
  double min = 0;
  double max = 0;
};

// The median of an even number of figures is the mean of the middle two; of none, zero.
Summary Summarize(std::vector<double> figures);

// The smallest figure that at least `fraction` (0..1) of the figures do not exceed (nearest rank);
// of none, zero. Reorders `figures`.
double Percentile(std::vector<double>* figures, double fraction);

}  // namespace kvstore::bench
