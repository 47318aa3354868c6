// Which rows of a row_sparse table the workers push and pull, and what comes out: rows as training
// on words asks for them, few of them often, with gradients in closed form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvstore::bench {

// `count` different rows of 0 .. height-1, ascending: drawn by Zipf's law with exponent 1.05, the
// rank of a row being scattered over the table, so that the frequent rows are not neighbours. The
// same for the same `seed`. `count` is at most `height` / 2.
class ZipfRows {
 public:
  explicit ZipfRows(int64_t height);
  std::vector<int64_t> Draw(size_t count, uint64_t seed) const;

 private:
  const int64_t height_;
  std::vector<double> cumulative_;  // by rank of frequency
  uint64_t step_ = 1;               // prime to height_: the scattering
};

// Every worker has a few sets of rows, and uses them in turn: in round n (1, 2, ...) set
// (n - 1) % kSets. In each round the worker of rank r pushes (r+1) times the gradient of each row
// of its set. With learning rate 1 a table of zeros then has
//   -gradient(row, column) * sum over the workers of (r+1) * (rounds in which r pushed the row).
class RowSets {
 public:
  static constexpr size_t kSets = 8;

  // What the worker of rank `rank` needs to know: its own sets, and who else pushes their rows.
  RowSets(uint64_t seed, int64_t height, size_t rows, int workers, int rank);

  static size_t SetOf(uint64_t round) { return (round - 1) % kSets; }
  const std::vector<int64_t>& rows(size_t set) const { return sets_[set].rows; }

  // -3 .. 3.
  double Gradient(int64_t row, size_t column) const;
  // After `rounds` rounds of every worker; `i` is the place of the row in its set.
  double WeightAfter(uint64_t rounds, size_t set, size_t i, size_t column) const;
  // Beyond this f32 would no longer hold the weights exactly.
  static uint64_t rounds_max(int workers);

 private:
  struct Set {
    std::vector<int64_t> rows;
    // Bit s of pushed_by[i * workers + r]: the worker of rank r pushes row i in its set s.
    std::vector<uint8_t> pushed_by;
  };

  const uint64_t seed_;
  const int workers_;
  std::vector<Set> sets_;
};

}  // namespace kvstore::bench
