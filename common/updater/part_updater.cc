#include "common/updater/part_updater.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/kernels/updates.h"
#include "common/model/worker_tensors.h"

namespace kvstore {
namespace {

// Elements of f16 and bf16 are updated in blocks that stay in the cache.
constexpr size_t kBlock = 1024;

bool Fits(const UpdaterState* state, const StateLayout& layout, size_t bytes) {
  if (state == nullptr || state->dtype != layout.dtype ||
      !AreTensors(state->names, layout.names, layout.by_worker)) {
    return false;
  }
  for (const MutableBufferPtr& tensor : state->tensors) {
    if (tensor->size() != bytes) return false;
  }
  return true;
}

// Makes at most kBlock elements of the master, in f32, those of the value where they are not the
// value, rounded.
void TakeOver(DType dtype, const uint8_t* value, uint8_t* master, size_t elements) {
  const size_t width = DTypeBytes(dtype);
  uint8_t rounded[kBlock * sizeof(uint16_t)];
  Narrow(dtype, rounded, master, elements);
  if (std::memcmp(rounded, value, elements * width) == 0) return;
  for (size_t k = 0; k < elements; ++k) {
    const uint8_t* own = value + k * width;
    if (std::memcmp(rounded + k * width, own, width) != 0) Widen(dtype, master + k * 4, own, 1);
  }
}

std::unique_ptr<UpdaterState> ZeroState(StateLayout layout, size_t bytes) {
  auto state = std::make_unique<UpdaterState>();
  state->dtype = layout.dtype;
  for (size_t i = 0; i < layout.names.size(); ++i) {
    auto tensor = std::make_shared<Buffer>(bytes);
    if (bytes > 0) std::memset(tensor->data(), 0, bytes);
    state->tensors.push_back(std::move(tensor));
  }
  state->names = std::move(layout.names);
  return state;
}

}  // namespace

absl::Status PartUpdater::CheckDType(DType dtype) const {
  const bool floats = UpdatesCompute(AccumulatorOf(dtype));
  if (!floats && config_->average != Average::kNone) {
    return absl::InvalidArgumentError(
        fmt::format("optimizer '{}': average: dtype f32, f64, f16 or bf16 expected, got {}",
                    first().updater->name(), DTypeName(dtype)));
  }
  if (floats || first().updater->takes_every_dtype()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("optimizer '{}': dtype f32, f64, f16 or bf16 expected, got {}",
                  first().updater->name(), DTypeName(dtype)));
}

absl::Status PartUpdater::CheckDense(DType dtype) const {
  KVS_RETURN_IF_ERROR(CheckDType(dtype));
  if (!first().updater->keeps_one_per_row()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "optimizer '{}': a row_sparse key expected, got a dense one", first().updater->name()));
}

absl::Status PartUpdater::CheckRows(DType dtype) const {
  KVS_RETURN_IF_ERROR(CheckDType(dtype));
  if (!updates_by_worker()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("optimizer '{}': per_worker = 0 expected for a row_sparse key, got 1",
                  first().updater->name()));
}

bool PartUpdater::KeepsMaster(DType dtype) const {
  return first().updater->options().multi_precision && AccumulatorOf(dtype) != dtype;
}

StateLayout PartUpdater::LayoutFor(DType dtype) const {
  StateLayout layout{first().updater->StateNames(), dtype, first().updater->keeps_one_per_row(),
                     first().updater->draws_noise() || first().schedule != nullptr};
  if (first().updater->keeps_wide_state()) layout.dtype = AccumulatorOf(dtype);
  if (KeepsMaster(dtype)) {
    layout.names.insert(layout.names.begin(), "master");
    layout.dtype = AccumulatorOf(dtype);
  }
  layout.by_worker = first().updater->WorkerStateName();
  return layout;
}

absl::StatusOr<MutableBufferPtr> PartUpdater::Update(KeyId key, DType dtype, const Buffer& value,
                                                     MutableBufferPtr sum,
                                                     std::unique_ptr<UpdaterState>* state,
                                                     uint64_t first_element,
                                                     const RoundCounts& counts,
                                                     const NormSums& norms) const {
  KVS_RETURN_IF_ERROR(CheckDense(dtype));
  const size_t elements = value.size() / DTypeBytes(dtype);
  KVS_CHECK(value.size() == elements * DTypeBytes(dtype) &&
            sum->size() == elements * DTypeBytes(AccumulatorOf(dtype)));
  MutableBufferPtr result =
      AccumulatorOf(dtype) == dtype ? sum : std::make_shared<Buffer>(value.size());
  const StateLayout layout = LayoutFor(dtype);
  const bool keeps_state = layout.keeps_state();
  std::unique_ptr<UpdaterState> fresh;
  if (keeps_state && !Fits(state->get(), layout, elements * DTypeBytes(layout.dtype))) {
    fresh = ZeroState(layout, elements * DTypeBytes(layout.dtype));
  }
  WorkerTensor of_worker;
  if (!layout.by_worker.empty()) {
    KVS_ASSIGN_OR_RETURN(of_worker, TensorOfWorker(layout, dtype, value, counts.worker,
                                                   fresh != nullptr ? fresh.get() : state->get()));
  }
  // From here on nothing is allocated: it is done as a whole.
  if (fresh != nullptr || !keeps_state) *state = std::move(fresh);
  uint64_t update = 1;
  void* tensors[kTensorsMax + 1] = {};  // and the master
  if (keeps_state) {
    update = ++(*state)->updates;
    if (of_worker.fresh != nullptr) of_worker.AddTo(state->get());
    for (size_t i = 0; i < layout.names.size(); ++i) tensors[i] = (*state)->tensors[i]->data();
    if (!layout.by_worker.empty()) {
      tensors[layout.names.size()] = (*state)->tensors[of_worker.place]->data();
    }
  }
  PartRun run = RunOf(key, dtype, counts.step, update, elements);
  run.first = first_element;
  run.norms = norms;
  Divide(run.dtype, counts, sum->data(), elements);
  Run(run, dtype, value.data(), sum->data(), result->data(), tensors);
  return result;
}

void PartUpdater::WorkerTensor::AddTo(UpdaterState* state) noexcept {
  const auto at = static_cast<std::ptrdiff_t>(place);
  state->names.insert(state->names.begin() + at, std::move(name));
  state->tensors.insert(state->tensors.begin() + at, std::move(fresh));
}

absl::StatusOr<PartUpdater::WorkerTensor> PartUpdater::TensorOfWorker(
    const StateLayout& layout, DType dtype, const Buffer& value, std::optional<WorkerRank> worker,
    UpdaterState* state) const {
  if (!worker.has_value()) {
    return absl::InvalidArgumentError(
        fmt::format("optimizer '{}' with per_worker: an update by one worker's push expected, got "
                    "one by the sum of all workers'",
                    first().updater->name()));
  }
  WorkerTensor found;
  found.place = layout.names.size();
  for (; found.place < state->names.size(); ++found.place) {
    const std::optional<WorkerRank> rank =
        WorkerOfTensor(layout.by_worker, state->names[found.place]);
    if (rank == worker) return found;
    if (*rank > *worker) break;
  }
  if (state->names.size() - layout.names.size() == kWorkerTensorsMax) {
    return absl::ResourceExhaustedError(
        fmt::format("optimizer '{}' with per_worker: at most {} workers expected, got one more",
                    first().updater->name(), kWorkerTensorsMax));
  }
  found.name = WorkerTensorName(layout.by_worker, *worker);
  const size_t elements = value.size() / DTypeBytes(dtype);
  const auto first_seen = std::make_shared<Buffer>(elements * DTypeBytes(layout.dtype));
  if (!KeepsMaster(dtype)) {
    if (elements > 0) std::memcpy(first_seen->data(), value.data(), value.size());
  } else {
    if (elements > 0) {
      std::memcpy(first_seen->data(), state->tensors[0]->data(), first_seen->size());
    }
    for (size_t i = 0; i < elements; i += kBlock) {
      TakeOver(dtype, value.data() + i * DTypeBytes(dtype), first_seen->data() + i * sizeof(float),
               std::min(kBlock, elements - i));
    }
  }
  found.fresh = first_seen;
  state->names.reserve(state->names.size() + 1);
  state->tensors.reserve(state->tensors.size() + 1);
  return found;
}

absl::StatusOr<NormSums> PartUpdater::Measure(size_t step, KeyId key, DType dtype,
                                              const Buffer& value, const Buffer& sum,
                                              const UpdaterState* state, const RoundCounts& counts,
                                              const NormSums& norms) const {
  KVS_RETURN_IF_ERROR(CheckDense(dtype));
  constexpr size_t kRun = Updater::kMeasuredMax;
  const size_t elements = value.size() / DTypeBytes(dtype);
  const StateLayout layout = LayoutFor(dtype);
  const bool fits = Fits(state, layout, elements * DTypeBytes(layout.dtype));
  PartRun run = RunOf(key, dtype, counts.step, fits ? state->updates + 1 : 1, elements);
  run.norms = norms;
  NormMeasure measure;
  for (size_t i = 0; i < elements; i += kRun) {
    const uint8_t* tensors[kTensorsMax + 1] = {};
    for (size_t k = 0; fits && k < layout.names.size(); ++k) {
      tensors[k] = state->tensors[k]->data() + i * DTypeBytes(layout.dtype);
    }
    MeasureRun(step, run, dtype, counts,
               {std::min(kRun, elements - i), value.data() + i * DTypeBytes(dtype),
                sum.data() + i * DTypeBytes(run.dtype), fits ? tensors : nullptr},
               &measure);
  }
  return TotalOf(measure);
}

void PartUpdater::MeasureRows(const Measuring& measuring, const MeasuredElements& elements,
                              NormMeasure* measure) const {
  PartRun run = RunOf(measuring.key, measuring.dtype, measuring.counts.step, measuring.update,
                      elements.elements);
  run.norms = measuring.norms;
  MeasureRun(measuring.step, run, measuring.dtype, measuring.counts, elements, measure);
}

// Shows the updater what the update will see, in the dtype that it computes in.
void PartUpdater::MeasureRun(size_t step, PartRun run, DType dtype, const RoundCounts& counts,
                             const MeasuredElements& elements, NormMeasure* measure) const {
  constexpr size_t kRun = Updater::kMeasuredMax;
  run.elements = elements.elements;
  const size_t width = DTypeBytes(run.dtype);
  const size_t masters = KeepsMaster(dtype) ? 1 : 0;
  const bool wide_kept = masters > 0 || dtype == run.dtype || run.updater->keeps_wide_state();
  double wide_value[kRun];
  double wide_sum[kRun];
  double wide_state[kTensorsMax][kRun];
  void* const states[kTensorsMax] = {wide_state[0], wide_state[1], wide_state[2]};
  uint8_t rounded[kRun * sizeof(uint16_t)];
  std::memcpy(wide_sum, elements.sum, run.elements * width);
  Divide(run.dtype, counts, wide_sum, run.elements);
  if (dtype == run.dtype) {
    std::memcpy(wide_value, elements.value, run.elements * width);
  } else if (masters == 0) {
    Widen(dtype, wide_value, elements.value, run.elements);
    Narrow(dtype, rounded, wide_sum, run.elements);
    Widen(dtype, wide_sum, rounded, run.elements);
  } else if (elements.state == nullptr) {
    Widen(dtype, wide_value, elements.value, run.elements);
  } else {
    std::memcpy(wide_value, elements.state[0], run.elements * width);
    TakeOver(dtype, elements.value, reinterpret_cast<uint8_t*>(wide_value), run.elements);
  }
  for (size_t k = 0; k < tensors_; ++k) {
    if (elements.state == nullptr) {
      std::memset(wide_state[k], 0, run.elements * width);
    } else if (wide_kept) {
      std::memcpy(wide_state[k], elements.state[k + masters], run.elements * width);
    } else {
      Widen(dtype, wide_state[k], elements.state[k + masters], run.elements);
    }
  }
  run.updater->Measure(step, run, wide_value, wide_sum, states, measure);
}

void PartUpdater::UpdateRows(KeyId key, DType dtype, uint64_t update, size_t rows,
                             size_t row_elements, const RowNumbers& numbers, void* value, void* sum,
                             void* const* state, const RoundCounts& counts,
                             const NormSums& norms) const {
  Divide(AccumulatorOf(dtype), counts, sum, rows * row_elements);
  if (!first().updater->keeps_one_per_row() && !first().updater->draws_noise()) {
    PartRun run = RunOf(key, dtype, counts.step, update, rows * row_elements);
    run.norms = norms;
    Run(run, dtype, value, sum, value, state);
    return;
  }
  PartRun run = RunOf(key, dtype, counts.step, update, row_elements);
  const StateLayout layout = LayoutFor(dtype);
  void* tensors[kTensorsMax + 1] = {};
  for (size_t row = 0; row < rows; ++row) {
    run.first = numbers[row] * row_elements;
    for (size_t i = 0; i < layout.names.size(); ++i) {
      tensors[i] = static_cast<uint8_t*>(state[i]) +
                   row * layout.RowElements(i, row_elements) * DTypeBytes(layout.dtype);
    }
    RunRow(run, dtype, static_cast<uint8_t*>(value) + row * row_elements * DTypeBytes(dtype),
           static_cast<uint8_t*>(sum) + row * row_elements * DTypeBytes(run.dtype), tensors);
  }
}

PartUpdater::PartRun PartUpdater::RunOf(KeyId key, DType dtype, uint64_t step, uint64_t update,
                                        size_t elements) const {
  const Optimizer& optimizer = At(step);
  PartRun run;
  run.dtype = AccumulatorOf(dtype);
  run.elements = elements;
  run.update = optimizer.updater->options().begin_num_update + update;
  run.key = key;
  run.updater = optimizer.updater.get();
  const UpdateNumbers* const numbers = optimizer.updater->numbers();
  if (numbers == nullptr) return run;
  run.learning_rate =
      optimizer.schedule != nullptr ? optimizer.schedule->At(run.update) : numbers->learning_rate;
  run.wd = numbers->wd;
  if (const auto own = config_->multipliers.find(key); own != config_->multipliers.end()) {
    run.learning_rate *= own->second.lr_mult;
    run.wd *= own->second.wd_mult;
  }
  return run;
}

void PartUpdater::Divide(DType dtype, const RoundCounts& counts, void* sum, size_t elements) const {
  const uint32_t divisor = config_->average == Average::kWorkers        ? counts.workers
                           : config_->average == Average::kContributors ? counts.contributors
                                                                        : 1;
  if (divisor > 1) DivideBy(dtype, divisor, sum, elements);
}

void PartUpdater::Run(const PartRun& run, DType dtype, const void* value, void* sum, void* result,
                      void* const* state) const {
  if (run.dtype != dtype) {
    const auto run_narrow =
        KeepsMaster(dtype) ? &PartUpdater::RunOnMaster : &PartUpdater::RunRounded;
    (this->*run_narrow)(run, dtype, static_cast<const uint8_t*>(value), static_cast<uint8_t*>(sum),
                        static_cast<uint8_t*>(result), state);
    return;
  }
  run.updater->Update(run, value, sum, state);
  if (result != sum && run.elements > 0) {
    std::memcpy(result, sum, run.elements * DTypeBytes(dtype));
  }
}

void PartUpdater::RunRow(const PartRun& run, DType dtype, uint8_t* value, uint8_t* sum,
                         void* const* state) const {
  if (!run.updater->keeps_one_per_row()) {
    Run(run, dtype, value, sum, value, state);
    return;
  }
  if (run.dtype == dtype || KeepsMaster(dtype)) {
    run.updater->BeginRow(run, sum, run.dtype == dtype ? state : state + 1);
    Run(run, dtype, value, sum, value, state);
    return;
  }
  // As RunRounded, but for the state: the whole sum is rounded before the row begins, and the row's
  // numbers are wide until it ends.
  uint8_t rounded[kBlock * sizeof(uint16_t)];
  for (size_t i = 0; i < run.elements; i += kBlock) {
    const size_t elements = std::min(kBlock, run.elements - i);
    Narrow(dtype, rounded, sum + i * sizeof(float), elements);
    Widen(dtype, sum + i * sizeof(float), rounded, elements);
  }
  float numbers[kTensorsMax] = {};
  void* wide_state[kTensorsMax] = {};
  for (size_t k = 0; k < tensors_; ++k) {
    Widen(dtype, &numbers[k], state[k], 1);
    wide_state[k] = &numbers[k];
  }
  run.updater->BeginRow(run, sum, wide_state);
  float wide_value[kBlock];
  PartRun block = run;
  for (size_t i = 0; i < run.elements; i += kBlock) {
    block.elements = std::min(kBlock, run.elements - i);
    block.first = run.first + i;
    uint8_t* const block_value = value + i * DTypeBytes(dtype);
    Widen(dtype, wide_value, block_value, block.elements);
    run.updater->Update(block, wide_value, sum + i * sizeof(float), wide_state);
    Narrow(dtype, block_value, sum + i * sizeof(float), block.elements);
  }
  for (size_t k = 0; k < tensors_; ++k) Narrow(dtype, state[k], &numbers[k], 1);
}

void PartUpdater::RunRounded(const PartRun& run, DType dtype, const uint8_t* value, uint8_t* sum,
                             uint8_t* result, void* const* state) const {
  const size_t tensors = tensors_;
  float wide_value[kBlock];
  float wide_state[kTensorsMax][kBlock];
  const bool wide = run.updater->keeps_wide_state();  // the state is updated where it lies
  void* state_arrays[kTensorsMax] = {wide_state[0], wide_state[1], wide_state[2]};
  uint8_t rounded[kBlock * sizeof(uint16_t)];
  PartRun block = run;
  for (size_t i = 0; i < run.elements; i += kBlock) {
    block.elements = std::min(kBlock, run.elements - i);
    block.first = run.first + i;
    const size_t at = i * DTypeBytes(dtype);
    uint8_t* block_sum = sum + i * sizeof(float);
    const auto narrow_state = [&](size_t k) { return static_cast<uint8_t*>(state[k]) + at; };
    Widen(dtype, wide_value, value + at, block.elements);
    Narrow(dtype, rounded, block_sum, block.elements);
    Widen(dtype, block_sum, rounded, block.elements);
    for (size_t k = 0; k < tensors; ++k) {
      if (wide) {
        state_arrays[k] = static_cast<uint8_t*>(state[k]) + i * sizeof(float);
      } else {
        Widen(dtype, wide_state[k], narrow_state(k), block.elements);
      }
    }
    run.updater->Update(block, wide_value, block_sum, state_arrays);
    for (size_t k = 0; k < tensors && !wide; ++k) {
      Narrow(dtype, narrow_state(k), wide_state[k], block.elements);
    }
    Narrow(dtype, result + at, block_sum, block.elements);
  }
}

void PartUpdater::RunOnMaster(const PartRun& run, DType dtype, const uint8_t* value, uint8_t* sum,
                              uint8_t* result, void* const* state) const {
  const size_t tensors = tensors_;
  const size_t width = DTypeBytes(dtype);
  PartRun block = run;
  for (size_t i = 0; i < run.elements; i += kBlock) {
    block.elements = std::min(kBlock, run.elements - i);
    block.first = run.first + i;
    const auto wide_at = [i](void* tensor) { return static_cast<uint8_t*>(tensor) + i * 4; };
    const uint8_t* block_value = value + i * width;
    uint8_t* const master = wide_at(state[0]);
    TakeOver(dtype, block_value, master, block.elements);
    void* state_arrays[kTensorsMax] = {};
    for (size_t k = 0; k < tensors; ++k) {
      state_arrays[k] = run.updater->keeps_one_per_row() ? state[k + 1] : wide_at(state[k + 1]);
    }
    run.updater->Update(block, master, wide_at(sum), state_arrays);
    std::memcpy(master, wide_at(sum), block.elements * 4);
    Narrow(dtype, result + i * width, master, block.elements);
  }
}

}  // namespace kvstore
