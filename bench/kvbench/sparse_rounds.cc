// rowsparse: every worker pushes the gradients of the rows of one batch of words and pulls these
// rows, batch after batch. The table is initialised by its shape alone and updated with SGD.
//
// Some rows are looked at every round; after the measured time all rows of all batches are pulled
// and checked in whole (row_sets.h has the closed form).

#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <vector>

#include "bench/kvbench/cpu_meter.h"
#include "bench/kvbench/row_sets.h"
#include "bench/kvbench/worker_case.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

constexpr size_t kLookInterval = 61;  // rows

class SparseRounds final : public WorkerCase {
 public:
  SparseRounds(const PrepareCommand& command, KVStore* store)
      : command_(command),
        case_(command.measured),
        width_(case_.value_bytes / sizeof(float)),
        store_(*store),
        cpu_(command.server_pids),
        sets_(command.seed, case_.height, case_.keys, case_.workers, store->get_rank()),
        key_({command.first_key}) {
    const std::vector<int64_t> shape = {case_.height, static_cast<int64_t>(width_)};
    const auto rows = static_cast<int64_t>(case_.keys);
    for (size_t set = 0; set < RowSets::kSets; ++set) {
      const std::vector<int64_t>& indices = sets_.rows(set);
      NDArray ids({rows}, DataType::kInt64);
      NDArray values({rows, static_cast<int64_t>(width_)});
      for (size_t i = 0; i < case_.keys; ++i) {
        ids.data_as<int64_t>()[i] = indices[i];
        for (size_t j = 0; j < width_; ++j) {
          values.data_as<float>()[i * width_ + j] =
              static_cast<float>(sets_.Gradient(indices[i], j) * (store_.get_rank() + 1));
        }
      }
      ids_.push_back(ids);
      gradients_.push_back({NDArray::RowSparse(shape, indices, values)});
    }
    output_ = NDArray::RowSparse(shape);

    store_.SetOptimizer(OptimizerSpec("sgd").Set("learning_rate", 1));
    store_.Barrier();  // nobody pushes before the servers have the optimizer
    store_.Init(key_, {NDArray::RowSparse(shape)});
  }

  absl::StatusOr<Sample> Run(const RunCommand& command) override {
    store_.Barrier();
    Sample sample;
    cpu_.Start();
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t round = 0; round < command.rounds; ++round) {
      const size_t set = RowSets::SetOf(++rounds_);
      store_.Push(key_, gradients_[set]);
      store_.PullRowSparse(key_, {{&output_, ids_[set]}});
      output_.WaitToRead();
      KVS_RETURN_IF_ERROR(Look(set, kLookInterval));
    }
    store_.WaitAll();
    sample.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    cpu_.Stop(&sample);
    sample.operations = command.rounds * case_.keys;
    sample.payload_bytes = command.rounds * BytesOf(case_) * DirectionsOf(case_.workload);
    for (size_t set = 0; set < RowSets::kSets; ++set) {
      store_.PullRowSparse(key_, {{&output_, ids_[set]}});
      output_.WaitToRead();
      KVS_RETURN_IF_ERROR(Look(set, 1));
    }
    return sample;
  }

 private:
  // Compares every `interval`-th row of what was pulled: one element of it, or all if it is every
  // row.
  absl::Status Look(size_t set, size_t interval) const {
    if (output_.indices() != sets_.rows(set)) {
      return absl::DataLossError(
          fmt::format("key {} in round {}: the {} rows of set {} expected, "
                      "got other ones ({})",
                      key_[0], rounds_, case_.keys, set, output_.indices().size()));
    }
    const float* got = output_.data_as<float>();
    for (size_t i = 0; i < case_.keys; i += interval) {
      for (size_t j = 0; j < (interval == 1 ? width_ : 1); ++j) {
        const double expected = sets_.WeightAfter(rounds_, set, i, j);
        if (got[i * width_ + j] == expected) continue;
        return absl::DataLossError(fmt::format(
            "key {} in round {}: row {}, element {} of {}: {} expected, got {}", key_[0], rounds_,
            sets_.rows(set)[i], j, width_, expected, got[i * width_ + j]));
      }
    }
    return absl::OkStatus();
  }

  const PrepareCommand command_;
  const Case case_;
  const size_t width_;  // elements of a row
  KVStore& store_;
  CpuMeter cpu_;
  const RowSets sets_;
  const std::vector<int> key_;                   // one
  std::vector<NDArray> ids_;                     // by set
  std::vector<std::vector<NDArray>> gradients_;  // by set: one
  NDArray output_;
  uint64_t rounds_ = 0;
};

}  // namespace

std::unique_ptr<WorkerCase> MakeSparseRounds(const PrepareCommand& command, KVStore* store) {
  return std::make_unique<SparseRounds>(command, store);
}

}  // namespace kvstore::bench
