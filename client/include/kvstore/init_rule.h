// InitRule and ValueByRule: what KVStore::InitByRule makes where the values are.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kvstore/ndarray.h"

namespace kvstore {

// How the elements of a value come to be. Each follows from the rule, its seed, the key and its own
// number, so that they are the same bits on every store, however many servers there are; they are
// drawn in f64 and rounded once to the key's dtype. docs/consistency.md has the formula.
struct InitRule {
  // Which rule.
  enum class Kind { kZeros = 1, kConstant = 2, kUniform = 3, kNormal = 4 };

  // All elements are 0.
  static InitRule Zeros() { return {}; }
  // All elements are `value`.
  static InitRule Constant(double value) { return {Kind::kConstant, value, 0, 0}; }
  // Evenly distributed between `low` and `high`, which are finite, low < high. Of floats.
  static InitRule Uniform(double low, double high, uint64_t seed = 0) {
    return {Kind::kUniform, low, high, seed};
  }
  // Normally distributed around `mean`, with a standard deviation of at least 0. Of floats.
  static InitRule Normal(double mean, double deviation, uint64_t seed = 0) {
    return {Kind::kNormal, mean, deviation, seed};
  }

  Kind kind = Kind::kZeros;  // what the numbers below are of
  double a = 0;              // the constant; the low end; the mean
  double b = 0;              // the high end; the standard deviation
  uint64_t seed = 0;         // of what is drawn
};

// A key of this shape, dtype and storage, whose elements come to be by the rule.
//
//   store->InitByRule({"embedding"}, {ValueByRule({int64_t{1} << 40, 64}, InitRule::Normal(0,
//   0.01))
//                                         .RowSparse(/*rows_max=*/100000000)});
struct ValueByRule {
  // A dense value of at most 2^40 elements.
  explicit ValueByRule(std::vector<int64_t> value_shape, InitRule value_rule = InitRule::Zeros(),
                       DataType value_dtype = DataType::kFloat32)
      : shape(std::move(value_shape)), dtype(value_dtype), rule(value_rule) {}
  // Makes it a row_sparse value, of up to 2^40 rows. A row takes memory once it was pushed to; a
  // pull of others computes them and stores nothing. `most_rows`: so many rows may be pushed to,
  // which is checked stripe by stripe on a dist store (each of 61 stripes has its share, rounded
  // up); 0: any number.
  ValueByRule& RowSparse(uint64_t most_rows = 0) {
    storage = StorageType::kRowSparse;
    rows_max = most_rows;
    return *this;
  }

  std::vector<int64_t> shape;                   // of the value; of a table: [rows, ...]
  DataType dtype = DataType::kFloat32;          // of its elements
  StorageType storage = StorageType::kDefault;  // dense, or a table of rows
  InitRule rule;                                // of the elements that nobody pushed to
  uint64_t rows_max = 0;                        // see RowSparse
};

}  // namespace kvstore
