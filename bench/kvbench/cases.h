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
  kPush,       // one worker pushes, several keys in flight
  kPull,       // one worker pulls, several keys in flight
  kPushPull,   // both, each key pulled right after its push
  kLatency,    // one PushPull in flight
  kRound,      // all workers push a model, the servers update it, all pull it
  kAsync,      // the same on dist_async: nobody waits for the others
  kSmall,      // the same with thousands of keys of a few bytes
  kInit,       // one worker creates thousands of keys of a few bytes in one call
  kRowSparse,  // all workers push and pull thousands of rows of one large table
};

// "pushpull".
std::string_view WorkloadName(Workload workload);
std::vector<std::string> WorkloadNames();
// Errors: INVALID_ARGUMENT lists the names.
absl::StatusOr<Workload> WorkloadFromName(std::string_view name);

// The optimizer that is set on the servers: what they make of the sum of a round.
enum class Optimizer { kAssign, kSum, kSgd };

// The optimizer's name, "sgd".
std::string_view OptimizerName(Optimizer optimizer);
// Errors: INVALID_ARGUMENT lists the names.
absl::StatusOr<Optimizer> OptimizerFromName(std::string_view name);

// "f16". Errors: INVALID_ARGUMENT lists the names.
absl::StatusOr<DataType> DataTypeFromName(std::string_view name);
std::vector<std::string> DataTypeNames();

// Payload bytes that an operation moves per byte of its value: PushPull and a round count both
// directions.
constexpr uint64_t DirectionsOf(Workload workload) {
  return workload == Workload::kPush || workload == Workload::kPull || workload == Workload::kInit
             ? 1
             : 2;
}

// Whether all workers take part and make the same number of rounds, each one call with all keys.
constexpr bool InRounds(Workload workload) { return workload >= Workload::kRound; }
// Whether what a round moves would fit into one message.
constexpr bool InOneMessage(Workload workload) { return workload >= Workload::kSmall; }

struct Case {
  Workload workload = Workload::kPush;
  size_t value_bytes = 0;  // of one key, or of a row; whole elements; of a model's keys: the mean
  size_t keys = 1;         // or rows
  size_t window = 1;  // operations in flight, at most `keys`; rounds have all of them in flight
  int workers = 1;
  DataType dtype = DataType::kFloat32;
  Optimizer optimizer = Optimizer::kAssign;
  int64_t height = 0;  // rows of the table; only kRowSparse
  // "2bit,threshold=0.5"; empty: none. Then values are not exact.
  std::string compression{};
  std::string model{};  // of models.h, which says the sizes of the keys; empty: all are alike
};

// Elements of each key of a round.
std::vector<size_t> KeyElements(const Case& measured);
// Bytes of a key, or of a row and its id.
constexpr uint64_t ItemBytes(const Case& measured) {
  return measured.value_bytes + (measured.workload == Workload::kRowSparse ? sizeof(int64_t) : 0);
}
// Bytes of all of them.
uint64_t BytesOf(const Case& measured);
// Bytes that one operation of one worker moves in one direction: of a key or row, or of a model.
uint64_t OperationBytes(const Case& measured);

// The keys of a workload unless the user says: a working set of 64 MiB, at most 1024 keys.
size_t DefaultKeys(size_t value_bytes);
// Operations in flight: at most 64 MiB of payload, at most `keys`.
size_t WindowFor(size_t value_bytes, size_t keys);

// One repeat of one side (the store or raw TCP).
struct Sample {
  double seconds = 0;
  // Values or rows pushed and/or pulled, or created; of kRound and kAsync: rounds. Each worker's.
  uint64_t operations = 0;
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
