// round, async and small: every worker pushes the gradients of a whole model and pulls the new
// weights, round after round, as a training job without a model would.
//
// Gradients are small integers, so the weights after any number of rounds are known exactly
// (pattern.h). They are looked at every round, and checked in whole after the measured time.

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "bench/kvbench/cpu_meter.h"
#include "bench/kvbench/memory.h"
#include "bench/kvbench/pattern.h"
#include "bench/kvbench/worker_case.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

// "2bit,threshold=0.5" as SetGradientCompression takes it.
std::vector<std::pair<std::string, std::string>> ParametersOf(const std::string& compression) {
  std::vector<std::pair<std::string, std::string>> parameters;
  for (const auto each : absl::StrSplit(compression, ',')) {
    std::pair<std::string, std::string> pair = absl::StrSplit(each, absl::MaxSplits('=', 1));
    if (parameters.empty()) pair = {"type", std::move(pair.first)};
    parameters.push_back(std::move(pair));
  }
  return parameters;
}

class Rounds final : public WorkerCase {
 public:
  Rounds(const PrepareCommand& command, KVStore* store)
      : command_(command),
        case_(command.measured),
        counts_(KeyElements(case_)),
        store_(*store),
        cpu_(command.server_pids),
        gradient_memory_(BytesOf(case_)),
        weight_memory_(BytesOf(case_)) {
    size_t at = 0;
    for (size_t k = 0; k < case_.keys; ++k) {
      keys_.push_back(command.first_key + static_cast<int>(k));
      const std::vector<int64_t> shape = {static_cast<int64_t>(counts_[k])};
      gradients_.push_back(NDArray::FromBlob(gradient_memory_.data() + at, shape, case_.dtype));
      weights_.push_back(NDArray::FromBlob(weight_memory_.data() + at, shape, case_.dtype));
      at += counts_[k] * DataTypeBytes(case_.dtype);
      const RoundPattern pattern = PatternOf(k);
      for (size_t i = 0; i < counts_[k]; ++i) {
        ElementsOf(gradients_[k]).Set(i, pattern.Gradient(i, store_.get_rank(), 1));
        ElementsOf(weights_[k]).Set(i, pattern.WeightAfter(i, 0));
      }
    }
    for (NDArray& array : weights_) outputs_.push_back(&array);

    if (!case_.compression.empty()) store_.SetGradientCompression(ParametersOf(case_.compression));
    OptimizerSpec optimizer{std::string(OptimizerName(case_.optimizer))};
    if (case_.optimizer == Optimizer::kSgd) optimizer.Set("learning_rate", 1);
    store_.SetOptimizer(optimizer);
    store_.Barrier();  // nobody pushes before the servers have the optimizer
    store_.Broadcast(keys_, keys_, weights_, outputs_);
    store_.WaitAll();
  }

  absl::StatusOr<Sample> Run(const RunCommand& command) override {
    if (rounds_ + command.rounds > PatternOf(0).rounds_max()) {
      return absl::OutOfRangeError(fmt::format(
          "at most {} rounds expected in one run, got {}: {} would no longer hold "
          "the weights exactly; use fewer seconds or repeats",
          PatternOf(0).rounds_max(), rounds_ + command.rounds, DataTypeName(case_.dtype)));
    }
    begun_after_ = rounds_;
    to_do_ = command.rounds;
    store_.Barrier();
    Sample sample;
    cpu_.Start();
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t round = 0; round < command.rounds; ++round) KVS_RETURN_IF_ERROR(Round());
    store_.WaitAll();
    sample.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    cpu_.Stop(&sample);
    sample.operations = command.rounds * BytesOf(case_) / OperationBytes(case_);
    sample.payload_bytes = command.rounds * BytesOf(case_) * DirectionsOf(case_.workload);
    if (case_.workload == Workload::kAsync) {
      store_.Barrier();  // the others' pushes too
      store_.Pull(keys_, outputs_);
      store_.WaitAll();
    }
    for (size_t k = 0; k < keys_.size() && case_.compression.empty(); ++k) {
      KVS_RETURN_IF_ERROR(CheckWeights(PatternOf(k), rounds_, ElementsOf(weights_[k])));
    }
    return sample;
  }

 private:
  Elements ElementsOf(const NDArray& array) const {
    return {array.data(), static_cast<size_t>(array.size()), case_.dtype};
  }
  RoundPattern PatternOf(size_t k) const {
    return {{command_.seed, command_.first_key + static_cast<int>(k), 0},
            case_.workers,
            case_.optimizer,
            case_.dtype};
  }

  absl::Status Round() {
    ++rounds_;
    // The values of the last round are back: its pulls are.
    for (size_t k = 0; k < keys_.size() && case_.optimizer == Optimizer::kAssign; ++k) {
      PatternOf(k).Restamp(store_.get_rank(), rounds_, ElementsOf(gradients_[k]));
    }
    store_.Push(keys_, gradients_);
    store_.Pull(keys_, outputs_);
    if (case_.workload == Workload::kSmall) store_.WaitAll();
    for (size_t k = 0; k < weights_.size(); ++k) {
      weights_[k].WaitToRead();
      KVS_RETURN_IF_ERROR(Look(k));
    }
    return absl::OkStatus();
  }

  absl::Status Look(size_t k) const {
    if (!case_.compression.empty()) return absl::OkStatus();
    const Elements weights = ElementsOf(weights_[k]);
    const absl::Status status =
        case_.workload == Workload::kAsync
            ? LookAtWeightsBetween(PatternOf(k), store_.get_rank(), rounds_, begun_after_,
                                   begun_after_ + to_do_, weights)
            : LookAtWeights(PatternOf(k), rounds_, weights);
    if (status.ok()) return status;
    return absl::DataLossError(fmt::format("round {}: {}", rounds_, std::string(status.message())));
  }

  const PrepareCommand command_;
  const Case case_;
  const std::vector<size_t> counts_;  // elements of each key
  KVStore& store_;
  CpuMeter cpu_;
  Memory gradient_memory_;
  Memory weight_memory_;
  std::vector<int> keys_;
  std::vector<NDArray> gradients_;
  std::vector<NDArray> weights_;
  std::vector<NDArray*> outputs_;
  uint64_t rounds_ = 0;
  // Of this repeat.
  uint64_t begun_after_ = 0;
  uint64_t to_do_ = 0;
};

}  // namespace

std::unique_ptr<WorkerCase> MakeRounds(const PrepareCommand& command, KVStore* store) {
  return std::make_unique<Rounds>(command, store);
}

}  // namespace kvstore::bench
