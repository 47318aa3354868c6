#include "bench/kvbench/cases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "bench/kvbench/models.h"

namespace kvstore::bench {
namespace {

constexpr size_t kBytesInFlightMax = size_t{64} << 20;
constexpr size_t kKeysMax = 1024;

template <typename T, size_t kCount>
using Names = std::array<std::pair<T, std::string_view>, kCount>;

constexpr Names<Workload, 9> kWorkloads = {{
    {Workload::kPush, "push"},
    {Workload::kPull, "pull"},
    {Workload::kPushPull, "pushpull"},
    {Workload::kLatency, "latency"},
    {Workload::kRound, "round"},
    {Workload::kAsync, "async"},
    {Workload::kSmall, "small"},
    {Workload::kInit, "init"},
    {Workload::kRowSparse, "rowsparse"},
}};

constexpr Names<Optimizer, 3> kOptimizers = {{
    {Optimizer::kAssign, "assign"},
    {Optimizer::kSum, "sum"},
    {Optimizer::kSgd, "sgd"},
}};

constexpr DataType kDataTypes[] = {DataType::kFloat32,  DataType::kFloat64, DataType::kFloat16,
                                   DataType::kBFloat16, DataType::kUInt8,   DataType::kInt8,
                                   DataType::kInt32,    DataType::kInt64,   DataType::kBool};

template <typename T, size_t kCount>
std::string_view NameOf(const Names<T, kCount>& names, T wanted) {
  for (const auto& [value, name] : names) {
    if (value == wanted) return name;
  }
  return "?";
}

template <typename T, size_t kCount>
std::vector<std::string> AllOf(const Names<T, kCount>& names) {
  std::vector<std::string> all;
  for (const auto& each : names) all.emplace_back(each.second);
  return all;
}

template <typename T, size_t kCount>
absl::StatusOr<T> FromName(const char* what, const Names<T, kCount>& names,
                           std::string_view wanted) {
  for (const auto& [value, name] : names) {
    if (name == wanted) return value;
  }
  return absl::InvalidArgumentError(
      fmt::format("{}: one of {} expected, got '{}'", what, fmt::join(AllOf(names), ", "), wanted));
}

}  // namespace

std::string_view WorkloadName(Workload workload) { return NameOf(kWorkloads, workload); }
std::vector<std::string> WorkloadNames() { return AllOf(kWorkloads); }
absl::StatusOr<Workload> WorkloadFromName(std::string_view name) {
  return FromName("workload", kWorkloads, name);
}

std::string_view OptimizerName(Optimizer optimizer) { return NameOf(kOptimizers, optimizer); }
absl::StatusOr<Optimizer> OptimizerFromName(std::string_view name) {
  return FromName("optimizer", kOptimizers, name);
}

std::vector<std::string> DataTypeNames() {
  std::vector<std::string> names;
  for (const DataType dtype : kDataTypes) names.emplace_back(DataTypeName(dtype));
  return names;
}
absl::StatusOr<DataType> DataTypeFromName(std::string_view name) {
  for (const DataType dtype : kDataTypes) {
    if (DataTypeName(dtype) == name) return dtype;
  }
  return absl::InvalidArgumentError(
      fmt::format("dtype: one of {} expected, got '{}'", fmt::join(DataTypeNames(), ", "), name));
}

std::vector<size_t> KeyElements(const Case& measured) {
  if (!measured.model.empty()) return ModelElements(measured.model);
  return std::vector<size_t>(measured.keys, measured.value_bytes / DataTypeBytes(measured.dtype));
}

uint64_t BytesOf(const Case& measured) {
  if (measured.model.empty()) return ItemBytes(measured) * measured.keys;
  const std::vector<size_t> elements = ModelElements(measured.model);
  return std::accumulate(elements.begin(), elements.end(), uint64_t{0}) *
         DataTypeBytes(measured.dtype);
}

uint64_t OperationBytes(const Case& measured) {
  return InRounds(measured.workload) && !InOneMessage(measured.workload) ? BytesOf(measured)
                                                                         : ItemBytes(measured);
}

size_t DefaultKeys(size_t value_bytes) {
  return std::clamp<size_t>(kBytesInFlightMax / value_bytes, 1, kKeysMax);
}

size_t WindowFor(size_t value_bytes, size_t keys) {
  return std::clamp<size_t>(kBytesInFlightMax / value_bytes, 1, keys);
}

}  // namespace kvstore::bench
