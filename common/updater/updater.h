// Updater: the code that makes a part's new value out of its old one and the sum of a round. An
// optimizer, which is what SetOptimizer names ("sgd" and its numbers), is carried out by the
// updater of that name.
//
// An updater is elementwise and sees one run of elements at a time: a dense part, or rows of a
// row-sparse value. It holds its numbers; what it remembers lies in state tensors beside the value.
// So a value gives the same bits however it is cut, on whatever server, and in the local store
// (kernels.h: the order of operations is a contract).
//
// Adding an updater: its formula (common/kernels/updates.h says where), a file pair here, one line
// in register_updaters.cc, a section in docs/optimizers.md, vectors in tests/golden/optimizers.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/cluster/identity.h"
#include "common/kernels/square_sum.h"
#include "common/model/norm_sums.h"
#include "common/tensor/buffer.h"
#include "common/tensor/dtype.h"

namespace kvstore {

struct UpdateNumbers;  // updates.h

// Numbers of an optimizer by name; absent ones have its default.
using UpdaterParameters = std::map<std::string, double>;

// What an optimizer is told beside the numbers of its formula.
struct UpdaterOptions {
  bool multi_precision = false;   // values of f16 and bf16 are kept as f32 too, and updated there
  bool lazy_update = true;        // rows that a sum does not have stay as they are
  uint64_t begin_num_update = 0;  // the first update is the one after this
};

// What an updater remembers of a dense part: tensors of the part's length, zero before the first
// update, and behind them those of workers (common/model/worker_tensors.h). Plain data, so that it
// can be counted, checkpointed and replicated. Threading: thread-compatible; belongs to the owner
// of the part.
struct UpdaterState {
  std::vector<std::string> names;         // of the tensors, as StateLayout has them
  std::vector<MutableBufferPtr> tensors;  // same order
  DType dtype = DType::kUnspecified;
  uint64_t updates = 0;  // how many there were since the tensors were zero

  size_t bytes() const;
};

// The elements that are updated: value, sum and state have them at the same places.
struct UpdaterRun {
  DType dtype = DType::kUnspecified;
  size_t elements = 0;
  // Which update of the part this is, from 1, or from the one after begin_num_update.
  uint64_t update = 1;
  // Of an updater with numbers(): those of this update of this key.
  double learning_rate = 0;
  double wd = 0;
  KeyId key = 0;
  uint64_t first = 0;  // the number, within the whole value, of the first element
  // Of an updater that measures: what is known of the whole value. In Update all of it is, or all
  // is 0, where the value is not measured.
  NormSums norms{};
};

// The sums of squares that NormSums are made of, as they are made.
using NormMeasure = std::array<SquareSum, NormSums::kCount>;
inline NormSums TotalOf(const NormMeasure& measure) {
  NormSums sums;
  for (size_t i = 0; i < NormSums::kCount; ++i) sums.squares[i] = measure[i].Total();
  return sums;
}

// Immutable once made. Threading: const methods from any thread, on different parts.
class Updater {
 public:
  explicit Updater(const UpdaterOptions& options = {}) : options_(options) {}
  virtual ~Updater() = default;

  // "sgd".
  virtual std::string_view name() const = 0;
  // The tensors that this updater, with these numbers, keeps beside the value; empty: none.
  virtual std::vector<std::string> StateNames() const { return {}; }
  // The name of a tensor that is kept beside the value for each worker that has pushed, and that is
  // as the value was before the worker's first update; empty: there is none. An update is by one
  // worker's push then, of a dense value, and is given the worker's tensor behind the others.
  virtual std::string_view WorkerStateName() const { return {}; }
  const UpdaterOptions& options() const { return options_; }
  // Whether the updater makes sense for ints and bools too.
  virtual bool takes_every_dtype() const { return false; }
  // Whether the tensors beside the value have one element for each row of a row-sparse value
  // instead of one for each of its elements. Such an updater sees each row by itself, and no dense
  // part.
  virtual bool keeps_one_per_row() const { return false; }
  // Whether the tensors are f32 beside values of f16 and bf16, also without multi_precision.
  virtual bool keeps_wide_state() const { return false; }
  // Whether an update of a row-sparse value always changes all of its rows, as one of a dense value
  // with zeros where the sum has no rows.
  virtual bool updates_all_rows() const { return false; }
  // Whether an update depends on which elements of the value it is of, and on how many updates
  // there were, which are counted then although there may be no tensors. Rows come one by one.
  virtual bool draws_noise() const { return false; }
  // The numbers that a key's multipliers are factors of, of which a schedule replaces the learning
  // rate; null: an updater without them. Updates take these two from their run.
  virtual const UpdateNumbers* numbers() const { return nullptr; }
  // Only of an updater that keeps one number per row: changes the row's numbers, `state`, by its
  // whole sum. The run is that row; Updates of its elements, all at once or some after the other,
  // follow, and read the numbers.
  virtual void BeginRow(const UpdaterRun& /*run*/, const void* /*sum*/,
                        void* const* /*state*/) const {}
  // How often an update of the value of `key_name` (empty: it has a number) needs sums over the
  // whole value first, each with what the ones before it found; 0: it is elementwise.
  virtual size_t Measurings(std::string_view /*key_name*/) const { return 0; }
  // The most elements that a run of Measure has.
  static constexpr size_t kMeasuredMax = 1024;
  // Adds the elements of the run to those sums of `measure` that measuring number `step`, from 0,
  // is of; the run is as Update's will be, with what is known of the norms. `value`, `sum` and
  // `state` are only read (state: what is written to it is what was there).
  virtual void Measure(size_t /*step*/, const UpdaterRun& /*run*/, const void* /*value*/,
                       const void* /*sum*/, void* const* /*state*/,
                       NormMeasure* /*measure*/) const {}
  // `value`: the old value, only read. `sum`: holds the sum of the round, is overwritten with the
  // new value. `state`: as many arrays as StateNames(), and the worker's. All have the run's dtype:
  // f32, f64, or any that is its own AccumulatorOf (kernels.h) if the updater takes every dtype.
  // None needs alignment; they do not overlap.
  virtual void Update(const UpdaterRun& run, const void* value, void* sum,
                      void* const* state) const = 0;

 private:
  const UpdaterOptions options_;
};

// The updater of the optimizer `name` with `parameters`.
// Errors: INVALID_ARGUMENT for an unknown name (lists the known ones), an unknown parameter (lists
// the optimizer's parameters), or a number out of its range (names the range and the number).
absl::StatusOr<std::unique_ptr<Updater>> MakeUpdater(std::string_view name,
                                                     const UpdaterParameters& parameters);

// Names of the known optimizers, in the order of the list.
std::vector<std::string> UpdaterNames();

}  // namespace kvstore
