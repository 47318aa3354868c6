// init: one worker creates thousands of small keys in one call, again and again, each time new
// ones.

#include <chrono>
#include <cstring>
#include <numeric>
#include <vector>

#include "bench/kvbench/cpu_meter.h"
#include "bench/kvbench/memory.h"
#include "bench/kvbench/pattern.h"
#include "bench/kvbench/worker_case.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

class Creation final : public WorkerCase {
 public:
  Creation(const PrepareCommand& command, KVStore* store)
      : command_(command),
        case_(command.measured),
        count_(case_.value_bytes / DataTypeBytes(case_.dtype)),
        store_(*store),
        cpu_(command.server_pids),
        value_memory_(BytesOf(case_)),
        output_memory_(BytesOf(case_)) {
    const std::vector<int64_t> shape = {static_cast<int64_t>(count_)};
    for (size_t k = 0; k < case_.keys; ++k) {
      const size_t at = k * case_.value_bytes;
      values_.push_back(NDArray::FromBlob(value_memory_.data() + at, shape, case_.dtype));
      arrays_.push_back(NDArray::FromBlob(output_memory_.data() + at, shape, case_.dtype));
      Fill(PatternOf(k), 0, ElementsOf(values_[k]));
    }
    for (NDArray& array : arrays_) outputs_.push_back(&array);
  }

  absl::StatusOr<Sample> Run(const RunCommand& command) override {
    const uint64_t first = calls_;
    std::vector<std::vector<int>> keys;
    for (uint64_t call = 0; call < command.rounds; ++call) keys.push_back(KeysOf(calls_++));
    Sample sample;
    // Its values differ from those of the repeat before.
    for (size_t k = 0; k < case_.keys; ++k) Stamp(StampOf(first), ElementsOf(values_[k]));
    cpu_.Start();
    const auto start = std::chrono::steady_clock::now();
    for (const std::vector<int>& each : keys) store_.Init(each, values_);
    sample.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    cpu_.Stop(&sample);
    sample.operations = command.rounds * case_.keys;
    sample.payload_bytes = sample.operations * case_.value_bytes;
    for (const std::vector<int>& each : keys) KVS_RETURN_IF_ERROR(CheckAll(each, StampOf(first)));
    return sample;
  }

 private:
  Elements ElementsOf(const NDArray& array) const { return {array.data(), count_, case_.dtype}; }
  Pattern PatternOf(size_t k) const { return {command_.seed, static_cast<int>(k), 0}; }
  static uint32_t StampOf(uint64_t call) { return static_cast<uint32_t>(call + 1); }

  std::vector<int> KeysOf(uint64_t call) const {
    std::vector<int> keys(case_.keys);
    std::iota(keys.begin(), keys.end(), command_.first_key + static_cast<int>(call * case_.keys));
    return keys;
  }

  absl::Status CheckAll(const std::vector<int>& keys, uint32_t stamp) {
    std::memset(output_memory_.data(), 0, output_memory_.bytes());
    store_.Pull(keys, outputs_);
    store_.WaitAll();
    for (size_t k = 0; k < keys.size(); ++k) {
      KVS_RETURN_IF_ERROR(Check(PatternOf(k), stamp, ElementsOf(arrays_[k])));
    }
    return absl::OkStatus();
  }

  const PrepareCommand command_;
  const Case case_;
  const size_t count_;  // elements of a key
  KVStore& store_;
  CpuMeter cpu_;
  Memory value_memory_;
  Memory output_memory_;
  std::vector<NDArray> values_;
  std::vector<NDArray> arrays_;
  std::vector<NDArray*> outputs_;
  uint64_t calls_ = 0;
};

}  // namespace

std::unique_ptr<WorkerCase> MakeCreation(const PrepareCommand& command, KVStore* store) {
  return std::make_unique<Creation>(command, store);
}

}  // namespace kvstore::bench
