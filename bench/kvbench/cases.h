// What kvbench measures: a case is one line of its table, a sample one repeat of one side of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kvstore/kvstore.h"

namespace kvstore::bench {

enum class Workload {
  kPush,      // one worker pushes, several keys in flight
  kPull,      // one worker pulls, several keys in flight
  kPushPull,  // both, each key pulled right after its push
  kLatency,   // one PushPull in flight
  kRound,     // all workers push a model, the servers update it with SGD, all pull it
};

// "pushpull".
std::string_view WorkloadName(Workload workload);
// Errors: INVALID_ARGUMENT lists the names.
absl::StatusOr<Workload> WorkloadFromName(std::string_view name);

// Payload bytes that an operation moves per byte of its value: PushPull and a round count both
// directions.
constexpr uint64_t DirectionsOf(Workload workload) {
  return workload == Workload::kPush || workload == Workload::kPull ? 1 : 2;
}

struct Case {
  Workload workload = Workload::kPush;
  size_t value_bytes = 0;  // of one key; a multiple of 4
  size_t keys = 1;
  size_t window = 1;  // operations in flight, at most `keys`; a round has all of them in flight
  int workers = 1;
};

// The keys of a workload unless the user says: a working set of 64 MiB, at most 1024 keys.
size_t DefaultKeys(size_t value_bytes);
// Operations in flight: at most 64 MiB of payload, at most `keys`.
size_t WindowFor(size_t value_bytes, size_t keys);

// One repeat of one side (the store or raw TCP).
struct Sample {
  double seconds = 0;
  uint64_t operations = 0;     // values pushed and/or pulled; on a round: rounds
  uint64_t payload_bytes = 0;  // of all workers, both directions
  // CPU time spent in `seconds`; below 0: not known.
  double client_cpu_s = -1;
  double server_cpu_s = -1;
  // Of the workers, warm-up and checks included; 0: not counted.
  ByteCounts client_bytes;
  // Of a single operation; only kLatency.
  double p50_us = 0;
  double p99_us = 0;

  double bytes_per_s() const { return static_cast<double>(payload_bytes) / seconds; }
  double operations_per_s() const { return static_cast<double>(operations) / seconds; }
};

}  // namespace kvstore::bench
