// round: every worker pushes the gradients of a whole model and pulls the new weights, round after
// round, as a training job without a model would; the servers update the weights with plain SGD.
//
// Gradients are small integers and the learning rate is 1, so the weights after any number of
// rounds are known exactly (pattern.h). They are looked at every round, and checked in whole after
// the measured time.

#include <fmt/format.h>

#include <chrono>
#include <vector>

#include "bench/kvbench/cpu_meter.h"
#include "bench/kvbench/memory.h"
#include "bench/kvbench/pattern.h"
#include "bench/kvbench/worker_case.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

class Rounds final : public WorkerCase {
 public:
  Rounds(const PrepareCommand& command, KVStore* store)
      : command_(command),
        case_(command.measured),
        count_(case_.value_bytes / sizeof(float)),
        store_(*store),
        cpu_(command.server_pids),
        gradient_memory_(case_.value_bytes * case_.keys),
        weight_memory_(case_.value_bytes * case_.keys) {
    const std::vector<int64_t> shape = {static_cast<int64_t>(count_)};
    for (size_t k = 0; k < case_.keys; ++k) {
      keys_.push_back(command.first_key + static_cast<int>(k));
      float* gradient = gradient_memory_.floats() + k * count_;
      float* weight = weight_memory_.floats() + k * count_;
      const RoundPattern pattern = PatternOf(k);
      for (size_t i = 0; i < count_; ++i) {
        gradient[i] = pattern.Gradient(i, store_.get_rank());
        weight[i] = pattern.WeightAfter(i, 0);
      }
      gradients_.push_back(NDArray::FromBlob(gradient, shape));
      weights_.push_back(NDArray::FromBlob(weight, shape));
    }
    for (NDArray& array : weights_) outputs_.push_back(&array);

    store_.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    store_.Barrier();  // nobody pushes before the servers have the optimizer
    store_.Broadcast(keys_, keys_, weights_, outputs_);
    store_.WaitAll();
  }

  absl::StatusOr<Sample> Run(const RunCommand& command) override {
    if (rounds_ + command.rounds > PatternOf(0).rounds_max()) {
      return absl::OutOfRangeError(
          fmt::format("at most {} rounds expected in one run, got {}: f32 would no longer hold "
                      "the weights exactly; use fewer seconds or repeats",
                      PatternOf(0).rounds_max(), rounds_ + command.rounds));
    }
    store_.Barrier();
    Sample sample;
    cpu_.Start();
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t round = 0; round < command.rounds; ++round) {
      store_.Push(keys_, gradients_);
      store_.Pull(keys_, outputs_);
      ++rounds_;
      KVS_RETURN_IF_ERROR(LookAtWeights());
    }
    store_.WaitAll();
    sample.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    cpu_.Stop(&sample);
    sample.operations = command.rounds;
    sample.payload_bytes =
        command.rounds * case_.value_bytes * case_.keys * DirectionsOf(Workload::kRound);
    for (size_t k = 0; k < keys_.size(); ++k) {
      KVS_RETURN_IF_ERROR(
          CheckWeights(PatternOf(k), rounds_, weights_[k].data_as<float>(), count_));
    }
    return sample;
  }

 private:
  RoundPattern PatternOf(size_t k) const {
    return {{command_.seed, command_.first_key + static_cast<int>(k), 0}, case_.workers};
  }

  // Waits for the weights of this round and checks one element of each part.
  absl::Status LookAtWeights() {
    for (size_t k = 0; k < weights_.size(); ++k) {
      weights_[k].WaitToRead();
      const RoundPattern pattern = PatternOf(k);
      for (size_t i = 0; i < count_; i += kPartElements) {
        const float got = weights_[k].data_as<float>()[i];
        const float expected = pattern.WeightAfter(i, rounds_);
        if (got == expected) continue;
        return absl::DataLossError(
            fmt::format("key {} in round {}: element {} of {}: {} expected, got {}", keys_[k],
                        rounds_, i, count_, expected, got));
      }
    }
    return absl::OkStatus();
  }

  const PrepareCommand command_;
  const Case case_;
  const size_t count_;  // elements of a key
  KVStore& store_;
  CpuMeter cpu_;
  Memory gradient_memory_;
  Memory weight_memory_;
  std::vector<int> keys_;
  std::vector<NDArray> gradients_;
  std::vector<NDArray> weights_;
  std::vector<NDArray*> outputs_;
  uint64_t rounds_ = 0;
};

}  // namespace

std::unique_ptr<WorkerCase> MakeRounds(const PrepareCommand& command, KVStore* store) {
  return std::make_unique<Rounds>(command, store);
}

}  // namespace kvstore::bench
