#include "common/updater/part_updater.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/kernels/updates.h"
#include "common/model/number_reader.h"

namespace kvstore {
namespace {

// Elements of f16 and bf16 are updated in blocks that stay in the cache.
constexpr size_t kBlock = 1024;
// The most tensors that any updater keeps beside a value.
constexpr size_t kTensorsMax = 3;

bool Fits(const UpdaterState* state, const StateLayout& layout, size_t bytes) {
  if (state == nullptr || state->dtype != layout.dtype || state->names != layout.names) {
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

absl::Status CheckMultipliers(const Updater& updater, std::string_view key,
                              const KeyMultipliers& multipliers) {
  constexpr NumberRange kRange = NumberRange::kNotNegative;
  const auto check = [&](std::string_view what, double factor, std::string_view of, double number) {
    if (!InRange(factor, kRange)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {}: {} expected, got {}", key, what, RangeText(kRange), factor));
    }
    if (InRange(number * factor, kRange)) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("{}: {} * {}: {} expected, got {} * {}", key, of,
                                                  what, RangeText(kRange), number, factor));
  };
  const UpdateNumbers numbers =
      updater.numbers() != nullptr ? *updater.numbers() : UpdateNumbers{0, 1, 0};
  KVS_RETURN_IF_ERROR(
      check("lr_mult", multipliers.lr_mult, "learning_rate", numbers.learning_rate));
  return check("wd_mult", multipliers.wd_mult, "wd", numbers.wd);
}

absl::StatusOr<Optimizer> MakeOptimizer(const OptimizerConfig& config) {
  Optimizer optimizer;
  KVS_ASSIGN_OR_RETURN(optimizer.updater, MakeUpdater(config.name, config.parameters));
  if (config.average > Average::kContributors) {
    return absl::InvalidArgumentError(fmt::format(
        "optimizer '{}': average: 0 (none), 1 (workers) or 2 (contributors) expected, got {}",
        config.name, static_cast<uint32_t>(config.average)));
  }
  if (config.schedule.name.empty()) return optimizer;
  if (optimizer.updater->numbers() == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("optimizer '{}': no lr_scheduler expected, there is no learning rate, got '{}'",
                    config.name, Quotable(config.schedule.name)));
  }
  std::optional<double> learning_rate;
  if (const auto given = config.parameters.find("learning_rate");
      given != config.parameters.end()) {
    learning_rate = given->second;
  }
  KVS_ASSIGN_OR_RETURN(optimizer.schedule, LrSchedule::Make(config.schedule, learning_rate));
  UpdaterParameters parameters = config.parameters;
  parameters["learning_rate"] = optimizer.schedule->max_lr();
  KVS_ASSIGN_OR_RETURN(optimizer.updater, MakeUpdater(config.name, parameters));
  return optimizer;
}

PartUpdater::PartUpdater() { KVS_CHECK(Set({"assign", {}}).ok()); }

absl::Status PartUpdater::Set(OptimizerConfig config) {
  KVS_ASSIGN_OR_RETURN(Optimizer optimizer, MakeOptimizer(config));
  for (const auto& [key, both] : config.multipliers) {
    KVS_RETURN_IF_ERROR(CheckMultipliers(*optimizer.updater,
                                         fmt::format("key {}", static_cast<int64_t>(key)), both));
  }
  const size_t tensors = optimizer.updater->StateNames().size();
  KVS_CHECK(tensors <= kTensorsMax);
  // From here on nothing is allocated.
  tensors_ = tensors;
  optimizer_ = std::move(optimizer);
  config_ = std::move(config);
  return absl::OkStatus();
}

absl::Status PartUpdater::CheckDType(DType dtype) const {
  const bool floats = UpdatesCompute(AccumulatorOf(dtype));
  if (!floats && config_.average != Average::kNone) {
    return absl::InvalidArgumentError(
        fmt::format("optimizer '{}': average: dtype f32, f64, f16 or bf16 expected, got {}",
                    optimizer_.updater->name(), DTypeName(dtype)));
  }
  if (floats || optimizer_.updater->takes_every_dtype()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("optimizer '{}': dtype f32, f64, f16 or bf16 expected, got {}",
                  optimizer_.updater->name(), DTypeName(dtype)));
}

absl::Status PartUpdater::CheckDense(DType dtype) const {
  KVS_RETURN_IF_ERROR(CheckDType(dtype));
  if (!optimizer_.updater->keeps_one_per_row()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "optimizer '{}': a row_sparse key expected, got a dense one", optimizer_.updater->name()));
}

absl::Status PartUpdater::CheckRows(DType dtype) const {
  KVS_RETURN_IF_ERROR(CheckDType(dtype));
  if (optimizer_.updater->Measurings("") == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("optimizer '{}': a dense key expected, whose norm is that of all its elements, "
                  "got a row_sparse one",
                  optimizer_.updater->name()));
}

bool PartUpdater::KeepsMaster(DType dtype) const {
  return optimizer_.updater->options().multi_precision && AccumulatorOf(dtype) != dtype;
}

StateLayout PartUpdater::LayoutFor(DType dtype) const {
  StateLayout layout{optimizer_.updater->StateNames(), dtype,
                     optimizer_.updater->keeps_one_per_row(),
                     optimizer_.updater->draws_noise() || optimizer_.schedule != nullptr};
  if (optimizer_.updater->keeps_wide_state()) layout.dtype = AccumulatorOf(dtype);
  if (KeepsMaster(dtype)) {
    layout.names.insert(layout.names.begin(), "master");
    layout.dtype = AccumulatorOf(dtype);
  }
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
  // From here on nothing is allocated: it is done as a whole.
  if (fresh != nullptr || !keeps_state) *state = std::move(fresh);
  uint64_t update = 1;
  void* tensors[kTensorsMax + 1] = {};  // and the master
  if (keeps_state) {
    update = ++(*state)->updates;
    for (size_t i = 0; i < (*state)->tensors.size(); ++i) tensors[i] = (*state)->tensors[i]->data();
  }
  UpdaterRun run = RunOf(key, dtype, update, elements);
  run.first = first_element;
  run.norms = norms;
  Divide(run.dtype, counts, sum->data(), elements);
  Run(run, dtype, value.data(), sum->data(), result->data(), tensors);
  return result;
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
  UpdaterRun run = RunOf(key, dtype, fits ? state->updates + 1 : 1, elements);
  run.norms = norms;
  const size_t width = DTypeBytes(run.dtype);
  const size_t masters = KeepsMaster(dtype) ? 1 : 0;
  // What the update will see of a run of elements, in the dtype that it computes in.
  double wide_value[kRun];
  double wide_sum[kRun];
  double wide_state[kTensorsMax][kRun];
  void* const states[kTensorsMax] = {wide_state[0], wide_state[1], wide_state[2]};
  uint8_t rounded[kRun * sizeof(uint16_t)];
  NormMeasure measure;
  for (size_t i = 0; i < elements; i += kRun) {
    run.elements = std::min(kRun, elements - i);
    const uint8_t* const own_value = value.data() + i * DTypeBytes(dtype);
    std::memcpy(wide_sum, sum.data() + i * width, run.elements * width);
    Divide(run.dtype, counts, wide_sum, run.elements);
    if (dtype == run.dtype) {
      std::memcpy(wide_value, own_value, run.elements * width);
    } else if (masters == 0) {
      Widen(dtype, wide_value, own_value, run.elements);
      Narrow(dtype, rounded, wide_sum, run.elements);
      Widen(dtype, wide_sum, rounded, run.elements);
    } else if (!fits) {
      Widen(dtype, wide_value, own_value, run.elements);
    } else {
      std::memcpy(wide_value, state->tensors[0]->data() + i * width, run.elements * width);
      TakeOver(dtype, own_value, reinterpret_cast<uint8_t*>(wide_value), run.elements);
    }
    for (size_t k = 0; k < tensors_; ++k) {
      if (!fits) {
        std::memset(wide_state[k], 0, run.elements * width);
        continue;
      }
      const uint8_t* const own = state->tensors[k + masters]->data() + i * DTypeBytes(layout.dtype);
      if (layout.dtype == run.dtype) {
        std::memcpy(wide_state[k], own, run.elements * width);
      } else {
        Widen(dtype, wide_state[k], own, run.elements);
      }
    }
    optimizer_.updater->Measure(step, run, wide_value, wide_sum, states, &measure);
  }
  NormSums sums;
  for (size_t i = 0; i < NormSums::kCount; ++i) sums.squares[i] = measure[i].Total();
  return sums;
}

void PartUpdater::UpdateRows(KeyId key, DType dtype, uint64_t update, size_t rows,
                             size_t row_elements, const RowNumbers& numbers, void* value, void* sum,
                             void* const* state, const RoundCounts& counts) const {
  Divide(AccumulatorOf(dtype), counts, sum, rows * row_elements);
  if (!optimizer_.updater->keeps_one_per_row() && !optimizer_.updater->draws_noise()) {
    Run(RunOf(key, dtype, update, rows * row_elements), dtype, value, sum, value, state);
    return;
  }
  UpdaterRun run = RunOf(key, dtype, update, row_elements);
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

UpdaterRun PartUpdater::RunOf(KeyId key, DType dtype, uint64_t update, size_t elements) const {
  UpdaterRun run{AccumulatorOf(dtype), elements,
                 optimizer_.updater->options().begin_num_update + update};
  run.key = key;
  const UpdateNumbers* const numbers = optimizer_.updater->numbers();
  if (numbers == nullptr) return run;
  run.learning_rate =
      optimizer_.schedule != nullptr ? optimizer_.schedule->At(run.update) : numbers->learning_rate;
  run.wd = numbers->wd;
  if (const auto own = config_.multipliers.find(key); own != config_.multipliers.end()) {
    run.learning_rate *= own->second.lr_mult;
    run.wd *= own->second.wd_mult;
  }
  return run;
}

void PartUpdater::Divide(DType dtype, const RoundCounts& counts, void* sum, size_t elements) const {
  const uint32_t divisor = config_.average == Average::kWorkers        ? counts.workers
                           : config_.average == Average::kContributors ? counts.contributors
                                                                       : 1;
  if (divisor > 1) DivideBy(dtype, divisor, sum, elements);
}

void PartUpdater::Run(const UpdaterRun& run, DType dtype, const void* value, void* sum,
                      void* result, void* const* state) const {
  if (run.dtype != dtype) {
    const auto run_narrow =
        KeepsMaster(dtype) ? &PartUpdater::RunOnMaster : &PartUpdater::RunRounded;
    (this->*run_narrow)(run, dtype, static_cast<const uint8_t*>(value), static_cast<uint8_t*>(sum),
                        static_cast<uint8_t*>(result), state);
    return;
  }
  optimizer_.updater->Update(run, value, sum, state);
  if (result != sum && run.elements > 0) {
    std::memcpy(result, sum, run.elements * DTypeBytes(dtype));
  }
}

void PartUpdater::RunRow(const UpdaterRun& run, DType dtype, uint8_t* value, uint8_t* sum,
                         void* const* state) const {
  if (!optimizer_.updater->keeps_one_per_row()) {
    Run(run, dtype, value, sum, value, state);
    return;
  }
  if (run.dtype == dtype || KeepsMaster(dtype)) {
    optimizer_.updater->BeginRow(run, sum, run.dtype == dtype ? state : state + 1);
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
  optimizer_.updater->BeginRow(run, sum, wide_state);
  float wide_value[kBlock];
  UpdaterRun block = run;
  for (size_t i = 0; i < run.elements; i += kBlock) {
    block.elements = std::min(kBlock, run.elements - i);
    block.first = run.first + i;
    uint8_t* const block_value = value + i * DTypeBytes(dtype);
    Widen(dtype, wide_value, block_value, block.elements);
    optimizer_.updater->Update(block, wide_value, sum + i * sizeof(float), wide_state);
    Narrow(dtype, block_value, sum + i * sizeof(float), block.elements);
  }
  for (size_t k = 0; k < tensors_; ++k) Narrow(dtype, state[k], &numbers[k], 1);
}

void PartUpdater::RunRounded(const UpdaterRun& run, DType dtype, const uint8_t* value, uint8_t* sum,
                             uint8_t* result, void* const* state) const {
  const size_t tensors = tensors_;
  float wide_value[kBlock];
  float wide_state[kTensorsMax][kBlock];
  const bool wide = optimizer_.updater->keeps_wide_state();  // the state is updated where it lies
  void* state_arrays[kTensorsMax] = {wide_state[0], wide_state[1], wide_state[2]};
  uint8_t rounded[kBlock * sizeof(uint16_t)];
  UpdaterRun block = run;
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
    optimizer_.updater->Update(block, wide_value, block_sum, state_arrays);
    for (size_t k = 0; k < tensors && !wide; ++k) {
      Narrow(dtype, narrow_state(k), wide_state[k], block.elements);
    }
    Narrow(dtype, result + at, block_sum, block.elements);
  }
}

void PartUpdater::RunOnMaster(const UpdaterRun& run, DType dtype, const uint8_t* value,
                              uint8_t* sum, uint8_t* result, void* const* state) const {
  const size_t tensors = tensors_;
  const size_t width = DTypeBytes(dtype);
  UpdaterRun block = run;
  for (size_t i = 0; i < run.elements; i += kBlock) {
    block.elements = std::min(kBlock, run.elements - i);
    block.first = run.first + i;
    const auto wide_at = [i](void* tensor) { return static_cast<uint8_t*>(tensor) + i * 4; };
    const uint8_t* block_value = value + i * width;
    uint8_t* const master = wide_at(state[0]);
    TakeOver(dtype, block_value, master, block.elements);
    void* state_arrays[kTensorsMax] = {};
    for (size_t k = 0; k < tensors; ++k) {
      state_arrays[k] =
          optimizer_.updater->keeps_one_per_row() ? state[k + 1] : wide_at(state[k + 1]);
    }
    optimizer_.updater->Update(block, master, wide_at(sum), state_arrays);
    std::memcpy(master, wide_at(sum), block.elements * 4);
    Narrow(dtype, result + i * width, master, block.elements);
  }
}

}  // namespace kvstore
