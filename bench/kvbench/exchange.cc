// push, pull, pushpull and latency: one worker, keys in turn, a window of operations in flight.
//
// Pushed values carry the number of their push in every part (pattern.h), so each pulled value can
// be checked at once for the price of a few loads; after the measured time every value is pulled
// and checked in whole. Outputs lose their stamps before they are pulled into again: an operation
// that reports success and moves nothing is noticed.

#include <chrono>
#include <cstring>
#include <vector>

#include "bench/kvbench/cpu_meter.h"
#include "bench/kvbench/memory.h"
#include "bench/kvbench/pattern.h"
#include "bench/kvbench/statistics.h"
#include "bench/kvbench/worker_case.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Exchange final : public WorkerCase {
 public:
  Exchange(const PrepareCommand& command, KVStore* store)
      : command_(command),
        case_(command.measured),
        count_(case_.value_bytes / DataTypeBytes(case_.dtype)),
        store_(*store),
        cpu_(command.server_pids),
        values_(case_.value_bytes * case_.keys),
        outputs_(case_.value_bytes * case_.keys) {
    std::vector<int> keys;
    std::vector<NDArray> initial;
    const std::vector<int64_t> shape = {static_cast<int64_t>(count_)};
    for (size_t i = 0; i < case_.keys; ++i) {
      ExchangedKey exchanged;
      exchanged.key = {command.first_key + static_cast<int>(i)};
      exchanged.value = {
          NDArray::FromBlob(values_.data() + i * case_.value_bytes, shape, case_.dtype)};
      exchanged.output =
          NDArray::FromBlob(outputs_.data() + i * case_.value_bytes, shape, case_.dtype);
      keys.push_back(exchanged.key[0]);
      initial.push_back(exchanged.value[0]);
      exchanged_.push_back(exchanged);
    }
    store_.Init(keys, initial);
    store_.WaitAll();
  }

  absl::StatusOr<Sample> Run(const RunCommand& command) override {
    ++generation_;
    for (ExchangedKey& exchanged : exchanged_) {
      Fill(PatternOf(exchanged), ++exchanged.stamp, ElementsOf(exchanged.value[0]));
      if (!Pushes()) store_.Push(exchanged.key, exchanged.value);
    }
    store_.WaitAll();

    KVS_RETURN_IF_ERROR(Phase(command.warmup_s).status());
    latencies_us_.clear();
    Sample sample;
    cpu_.Start();
    const Clock::time_point start = Clock::now();
    KVS_ASSIGN_OR_RETURN(sample.operations, Phase(command.seconds));
    sample.seconds = SecondsSince(start);
    cpu_.Stop(&sample);
    sample.payload_bytes = sample.operations * case_.value_bytes * DirectionsOf(case_.workload);
    if (case_.workload == Workload::kLatency) {
      sample.p50_us = Percentile(&latencies_us_, 0.5);
      sample.p99_us = Percentile(&latencies_us_, 0.99);
    }
    KVS_RETURN_IF_ERROR(CheckAll());
    return sample;
  }

 private:
  struct ExchangedKey {
    std::vector<int> key;        // one
    std::vector<NDArray> value;  // one: what is pushed
    NDArray output;
    uint32_t stamp = 0;  // of the last push
  };

  bool Pushes() const { return case_.workload != Workload::kPull; }
  bool Pulls() const { return case_.workload != Workload::kPush; }
  Pattern PatternOf(const ExchangedKey& exchanged) const {
    return {command_.seed, exchanged.key[0], generation_};
  }
  Elements ElementsOf(const NDArray& array) const { return {array.data(), count_, case_.dtype}; }

  // Works for `seconds` and waits until everything is committed. Returns the operations done.
  absl::StatusOr<uint64_t> Phase(double seconds) {
    const Clock::time_point start = Clock::now();
    uint64_t begun = 0;
    uint64_t done = 0;
    for (; SecondsSince(start) < seconds; ++begun) {
      if (begun - done == case_.window) KVS_RETURN_IF_ERROR(Finish(done++));
      Begin(&exchanged_[begun % exchanged_.size()]);
    }
    while (done < begun) KVS_RETURN_IF_ERROR(Finish(done++));
    store_.WaitAll();
    return begun;
  }

  void Begin(ExchangedKey* exchanged) {
    if (case_.workload == Workload::kLatency) begun_at_ = Clock::now();
    if (Pushes()) Stamp(++exchanged->stamp, ElementsOf(exchanged->value[0]));
    switch (case_.workload) {
      case Workload::kPush:
        store_.Push(exchanged->key, exchanged->value);
        break;
      case Workload::kPull:
        store_.Pull(exchanged->key, {&exchanged->output});
        break;
      default:
        store_.PushPull(exchanged->key, exchanged->key, exchanged->value, {&exchanged->output});
    }
  }

  absl::Status Finish(uint64_t operation) {
    ExchangedKey& exchanged = exchanged_[operation % exchanged_.size()];
    if (Pushes()) exchanged.value[0].WaitToWrite();
    if (!Pulls()) return absl::OkStatus();
    exchanged.output.WaitToRead();
    if (case_.workload == Workload::kLatency) {
      latencies_us_.push_back(1e6 * SecondsSince(begun_at_));
    }
    const Elements got = ElementsOf(exchanged.output);
    KVS_RETURN_IF_ERROR(CheckStamps(exchanged.key[0], exchanged.stamp, got));
    Stamp(exchanged.stamp + 1, got);  // wrong until it is pulled again
    return absl::OkStatus();
  }

  absl::Status CheckAll() {
    std::memset(outputs_.data(), 0, outputs_.bytes());
    for (ExchangedKey& exchanged : exchanged_) store_.Pull(exchanged.key, {&exchanged.output});
    store_.WaitAll();
    for (ExchangedKey& exchanged : exchanged_) {
      KVS_RETURN_IF_ERROR(
          Check(PatternOf(exchanged), exchanged.stamp, ElementsOf(exchanged.output)));
    }
    return absl::OkStatus();
  }

  const PrepareCommand command_;
  const Case case_;
  const size_t count_;  // elements of a value
  KVStore& store_;
  CpuMeter cpu_;
  Memory values_;
  Memory outputs_;
  std::vector<ExchangedKey> exchanged_;
  uint32_t generation_ = 0;
  Clock::time_point begun_at_;
  std::vector<double> latencies_us_;
};

}  // namespace

std::unique_ptr<WorkerCase> MakeExchange(const PrepareCommand& command, KVStore* store) {
  return std::make_unique<Exchange>(command, store);
}

}  // namespace kvstore::bench
