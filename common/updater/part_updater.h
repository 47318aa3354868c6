// PartUpdater: the updater of the optimizer that is set, applied to dense parts and to rows. The
// servers and the local store both run exactly this, which is why their bits agree.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/cluster/identity.h"
#include "common/model/norm_sums.h"
#include "common/model/optimizer_config.h"
#include "common/tensor/buffer.h"
#include "common/tensor/dtype.h"
#include "common/updater/lr_schedule.h"
#include "common/updater/updater.h"

namespace kvstore {

// What carries out an optimizer.
struct Optimizer {
  std::unique_ptr<Updater> updater;
  std::unique_ptr<LrSchedule> schedule;  // null: the learning rate stays as it is
};

// The optimizer that `config` says, its multipliers aside. With a schedule the updater's own
// learning rate is the schedule's highest. Errors: those of MakeUpdater and LrSchedule::Make,
// INVALID_ARGUMENT for a schedule where there is no learning rate, and for an unknown average.
absl::StatusOr<Optimizer> MakeOptimizer(const OptimizerConfig& config);

// `key`: "key 17", for the message. Errors: INVALID_ARGUMENT for a factor that is not finite or is
// below 0, or whose product with the updater's number is beyond f32.
absl::Status CheckMultipliers(const Updater& updater, std::string_view key,
                              const KeyMultipliers& multipliers);

// What is kept beside a value: tensors of the value's length, zero before the first update.
struct StateLayout {
  std::vector<std::string> names;  // empty: nothing
  DType dtype = DType::kUnspecified;
  // Row-sparse values: whether the tensors, "master" aside, have one element for each row.
  bool one_per_row = false;
  // Whether updates are counted, which they are too if there are tensors.
  bool counted = false;
  // What the tensors are called, behind the others, that are kept for each worker that has pushed
  // (common/model/worker_tensors.h); empty: there are none.
  std::string by_worker{};

  // Whether there is anything to keep.
  bool keeps_state() const { return counted || !names.empty() || !by_worker.empty(); }
  // How many elements a tensor has for a row of `row_elements`.
  size_t RowElements(size_t tensor, size_t row_elements) const {
    return one_per_row && names[tensor] != "master" ? 1 : row_elements;
  }
};

// Rows of a stripe, which has every stripes-th row of a value: row number i is row
// rows[i] * stripes + stripe of the value.
struct RowNumbers {
  const int64_t* rows = nullptr;
  uint64_t stripes = 1;
  uint64_t stripe = 0;

  uint64_t operator[](size_t i) const { return static_cast<uint64_t>(rows[i]) * stripes + stripe; }
};

// Which measuring of a value, before which update, it is.
struct Measuring {
  size_t step = 0;
  KeyId key = 0;
  DType dtype = DType::kUnspecified;
  uint64_t update = 1;  // as UpdateRows' will be
  RoundCounts counts{};
  NormSums norms{};  // what is known of the whole value
};

// Elements that are measured, at most Updater::kMeasuredMax.
struct MeasuredElements {
  size_t elements = 0;
  const uint8_t* value = nullptr;
  const uint8_t* sum = nullptr;  // in AccumulatorOf(dtype)
  // As many arrays as the state's layout has names; null: what is remembered is zero.
  const uint8_t* const* state = nullptr;
};

// Updates are told their step (RoundCounts::step): a number that was changed from a step on is the
// new one in updates of that step and later, in whatever order they are made.
//
// part_updater_versions.cc has which optimizer an update uses, part_updater.cc the update.
//
// Threading: thread-compatible (one owner: a shard, or a store). A copy shares what does not
// change.
class PartUpdater {
 public:
  // Starts with "assign": the new value is the sum.
  PartUpdater();

  // Sets an optimizer: its updater replaces the one before. States stay with their parts: the next
  // Update of a part keeps its state if the new updater keeps the same tensors (sgd with another
  // learning rate or momentum), else starts from zeros, or drops it. Errors: those of MakeOptimizer
  // and CheckMultipliers; then the old updater stays, and also if std::bad_alloc is thrown.
  absl::Status Set(OptimizerConfig config);

  // Changes numbers of the optimizer from a step on; those before it stay, and so do later changes
  // of the same numbers. At the same step the last call counts. A Set forgets all changes.
  // Errors, and nothing changes, also if std::bad_alloc is thrown: INVALID_ARGUMENT: no number; a
  // step below 1; a parameter that is fixed when the optimizer is set, because it decides what is
  // kept beside values or how updates are counted; those of MakeOptimizer and CheckMultipliers.
  // RESOURCE_EXHAUSTED: more than NumbersChange::kStepsMax steps.
  absl::Status Change(const NumbersChange& change);

  // What was set, without changes.
  const OptimizerConfig& config() const { return *config_; }
  // The changes, by their steps.
  std::map<uint64_t, UpdaterParameters> changes() const;
  // Whether rows that a sum does not have stay as they are. If not, their update is that of a row
  // whose sum is zeros.
  bool lazy_update() const { return first().updater->options().lazy_update && !updates_all_rows(); }
  // Whether the updater has no lazy update.
  bool updates_all_rows() const { return first().updater->updates_all_rows(); }

  // Whether values of `dtype` can be updated, and their sums divided, where they are to be.
  // Errors: INVALID_ARGUMENT names the optimizer and the dtype.
  absl::Status CheckDType(DType dtype) const;
  // The same for a row-sparse value. Errors: INVALID_ARGUMENT for an updater of dense values alone.
  absl::Status CheckRows(DType dtype) const;
  // Whether updates must be by one worker's push each (RoundCounts::worker).
  bool updates_by_worker() const { return !first().updater->WorkerStateName().empty(); }
  // What the updater keeps beside values of `dtype`.
  StateLayout LayoutFor(DType dtype) const;

  // One update of one dense part of `key`. `value`, in `dtype`, stays as it is; `sum`, in
  // AccumulatorOf(dtype) (kernels.h), is used up: it becomes the result where the two dtypes are
  // the same. Both hold as many elements (KVS_CHECKed). `*state` is null before the part's first
  // update, and is created, replaced or dropped as the updater needs it. `first_element`: of the
  // part, its number within the value. `counts`: of the sum, which is divided first if an average
  // was set.
  //
  // f16 and bf16: the sum is rounded to `dtype` first, as if it had been made in it with one
  // rounding. Each element's update is then computed in f32 from value, sum and state, and the new
  // value and state are rounded once; the state is f32 and is not, where the updater keeps it wide.
  // With multi_precision the state is f32, and its first tensor, "master", is the value in f32: the
  // sum is not rounded, the update is that of an f32 value, and the value is the master, rounded.
  // Where a value is not that (at first, or if it came from elsewhere) the master is taken from it.
  // `norms`: of the whole value, if it is to be measured.
  // Errors: those of CheckDType, INVALID_ARGUMENT for an updater of rows alone, or of updates that
  // are by one worker's push each, if this is none; RESOURCE_EXHAUSTED: tensors of more workers
  // than kWorkerTensorsMax. Then neither `sum` nor `*state` has changed, and also if std::bad_alloc
  // is thrown.
  absl::StatusOr<MutableBufferPtr> Update(KeyId key, DType dtype, const Buffer& value,
                                          MutableBufferPtr sum,
                                          std::unique_ptr<UpdaterState>* state,
                                          uint64_t first_element = 0,
                                          const RoundCounts& counts = {},
                                          const NormSums& norms = {}) const;

  // How often the whole value must be measured before its parts can be updated: mostly 0.
  size_t Measurings(std::string_view key_name) const {
    return first().updater->Measurings(key_name);
  }
  // What a part, with the arguments that Update will have, adds to the norms in measuring number
  // `step`; `norms`: what is known of the whole value. Nothing changes. Errors: those of Update.
  absl::StatusOr<NormSums> Measure(size_t step, KeyId key, DType dtype, const Buffer& value,
                                   const Buffer& sum, const UpdaterState* state,
                                   const RoundCounts& counts, const NormSums& norms) const;
  // The same of elements of a row-sparse value, which are added to `measure`; `dtype` passed
  // CheckDType.
  void MeasureRows(const Measuring& measuring, const MeasuredElements& elements,
                   NormMeasure* measure) const;

  // An update, as above, of `rows` rows of a row-sparse value of `key` that lie one after the
  // other, of `row_elements` elements each; `dtype` passed CheckDType. `update`: which update of
  // the key's stripe this is, from 1, counted since its state was zero. `value` is overwritten,
  // `sum` is used up, `state` has as many arrays as LayoutFor(dtype) has names, in its dtype, with
  // the rows' parts of them. None needs alignment; they do not overlap. `numbers`: of the rows,
  // within the value. `norms`: of the whole value, if it is to be measured.
  void UpdateRows(KeyId key, DType dtype, uint64_t update, size_t rows, size_t row_elements,
                  const RowNumbers& numbers, void* value, void* sum, void* const* state,
                  const RoundCounts& counts = {}, const NormSums& norms = {}) const;

 private:
  // The most tensors that any updater keeps beside a value.
  static constexpr size_t kTensorsMax = 3;

  // An optimizer as it is from a step on, until the next version.
  struct Version {
    uint64_t from_step = 0;     // 0: as it was set
    UpdaterParameters changed;  // at that step
    Optimizer optimizer;
  };
  using Versions = std::vector<std::shared_ptr<const Version>>;  // ascending, the first from 0

  // A run, and who carries it out.
  struct PartRun : UpdaterRun {
    const Updater* updater = nullptr;
  };

  static absl::Status CheckMultipliersOf(const OptimizerConfig& config, const Updater& updater);
  // What all versions have in common: name, what is kept, what is measured.
  const Optimizer& first() const { return versions_.front()->optimizer; }
  // The one that updates of this step use.
  const Optimizer& At(uint64_t step) const;
  PartRun RunOf(KeyId key, DType dtype, uint64_t step, uint64_t update, size_t elements) const;
  void MeasureRun(size_t step, PartRun run, DType dtype, const RoundCounts& counts,
                  const MeasuredElements& elements, NormMeasure* measure) const;
  // From `value` to `result`, which may be either of `value` and, where the dtypes are the same,
  // `sum`.
  void Run(const PartRun& run, DType dtype, const void* value, void* sum, void* result,
           void* const* state) const;
  // One row by itself.
  void RunRow(const PartRun& run, DType dtype, uint8_t* value, uint8_t* sum,
              void* const* state) const;
  void RunRounded(const PartRun& run, DType dtype, const uint8_t* value, uint8_t* sum,
                  uint8_t* result, void* const* state) const;
  void RunOnMaster(const PartRun& run, DType dtype, const uint8_t* value, uint8_t* sum,
                   uint8_t* result, void* const* state) const;
  bool KeepsMaster(DType dtype) const;
  // Where a worker's tensor is among those of a state, or is to be put, as it begins.
  struct WorkerTensor {
    size_t place = 0;
    std::string name;
    MutableBufferPtr fresh;  // null: it is there

    // Allocates nothing.
    void AddTo(UpdaterState* state) noexcept;
  };
  // `state`: has the layout's tensors. Makes room in it for one more. Errors: those of Update.
  absl::StatusOr<WorkerTensor> TensorOfWorker(const StateLayout& layout, DType dtype,
                                              const Buffer& value, std::optional<WorkerRank> worker,
                                              UpdaterState* state) const;
  absl::Status CheckDense(DType dtype) const;

  // Divides the sum, where an average was set.
  void Divide(DType dtype, const RoundCounts& counts, void* sum, size_t elements) const;

  std::shared_ptr<const OptimizerConfig> config_;
  Versions versions_;
  size_t tensors_ = 0;  // that the updater keeps
};

}  // namespace kvstore
