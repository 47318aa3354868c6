// Reads the vectors of tests/golden/optimizers (make_vectors.py, make_formula_vectors.py,
// make_row_vectors.py, make_worker_vectors.py and make_mxnet_schedules.py describe the formats).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/kernels/cpu/half.h"
#include "common/model/key_multipliers.h"
#include "common/model/lr_schedule_config.h"
#include "common/tensor/dtype.h"
#include "common/updater/updater.h"

namespace kvstore::testing {

struct GoldenCase {
  std::string title;  // the case line
  std::string optimizer;
  DType dtype = DType::kUnspecified;
  UpdaterParameters parameters;
  KeyMultipliers multipliers;
  LrScheduleConfig schedule;
  // Bits of the elements; kNanBits stands for any NaN.
  std::map<uint64_t, std::vector<uint64_t>> values;  // by round, 0 is the start
  std::map<uint64_t, std::vector<uint64_t>> sums;    // by round; in AccumulatorOf(dtype)
  std::map<uint64_t, std::vector<double>> exact;     // by round (make_formula_vectors.py)
  std::map<uint64_t, std::vector<double>> bounds;    // by round
  uint64_t height = 0, width = 0;                    // of a row-sparse value
  std::map<uint64_t, uint32_t> workers;              // by round: whose push it is
  std::map<uint64_t, std::vector<int64_t>> rows;     // by round: those of the sum
  std::map<uint64_t, std::map<std::string, std::vector<uint64_t>>> states;  // by round and name
  std::vector<std::vector<uint64_t>> xs;                                    // optimizer "fold"
  std::vector<uint64_t> fold;
};

struct ScheduleCase {
  std::string title;
  LrScheduleConfig schedule;
  std::map<uint64_t, double> rates;  // by update
};

// Throw std::runtime_error, naming file and line, when the file is not as described.
std::vector<ScheduleCase> ReadSchedules(const std::string& file_name);
std::vector<GoldenCase> ReadGoldenFile(const std::string& file_name);

// The elements of T (float, double, F16, BF16) whose bits are given; NaN for a NaN.
template <typename T>
std::vector<T> FromBits(const std::vector<uint64_t>& bits);

// Stands for any NaN in GoldenCase: a signalling one of f64, which no operation gives.
inline constexpr uint64_t kNanBits = 0x7ff0dead00000000u;

}  // namespace kvstore::testing
