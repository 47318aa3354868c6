#include "bench/kvbench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace kvstore::bench {

Summary Summarize(std::vector<double> figures) {
  if (figures.empty()) return {};
  std::sort(figures.begin(), figures.end());
  const size_t middle = figures.size() / 2;
  const double median =
      figures.size() % 2 == 1 ? figures[middle] : (figures[middle - 1] + figures[middle]) / 2;
  return {median, figures.front(), figures.back()};
}

double Percentile(std::vector<double>* figures, double fraction) {
  if (figures->empty()) return 0;
  const double rank = std::ceil(fraction * static_cast<double>(figures->size()));
  const size_t index = std::min(figures->size() - 1, static_cast<size_t>(std::max(rank, 1.0)) - 1);
  std::nth_element(figures->begin(), figures->begin() + static_cast<std::ptrdiff_t>(index),
                   figures->end());
  return (*figures)[index];
}

}  // namespace kvstore::bench
