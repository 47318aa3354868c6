#include "bench/kvbench/cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace kvstore::bench {
namespace {

constexpr size_t kBytesInFlightMax = size_t{64} << 20;
constexpr size_t kKeysMax = 1024;

constexpr std::array<std::pair<Workload, std::string_view>, 5> kNames = {{
    {Workload::kPush, "push"},
    {Workload::kPull, "pull"},
    {Workload::kPushPull, "pushpull"},
    {Workload::kLatency, "latency"},
    {Workload::kRound, "round"},
}};

}  // namespace

std::string_view WorkloadName(Workload workload) {
  for (const auto& [value, name] : kNames) {
    if (value == workload) return name;
  }
  return "?";
}

absl::StatusOr<Workload> WorkloadFromName(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return absl::InvalidArgumentError(fmt::format(
      "workload: one of push, pull, pushpull, latency, round expected, got '{}'", name));
}

size_t DefaultKeys(size_t value_bytes) {
  return std::clamp<size_t>(kBytesInFlightMax / value_bytes, 1, kKeysMax);
}

size_t WindowFor(size_t value_bytes, size_t keys) {
  return std::clamp<size_t>(kBytesInFlightMax / value_bytes, 1, keys);
}

}  // namespace kvstore::bench
