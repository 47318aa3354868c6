// Updater: one rule that makes a part's new value out of its old one and the sum of a round.
//
// A rule is elementwise and sees one part at a time; it holds its numbers, and what it remembers of
// a part lies in that part's UpdaterState. So a value gives the same bits however it is cut, on
// whatever server, and in the local store (kernels.h: the order of operations is a contract).
//
// Adding a rule: a file pair here, one line in register_updaters.cc, a section in
// docs/optimizers.md, vectors in tests/golden/optimizers.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensor/buffer.h"
#include "common/tensor/dtype.h"

namespace kvstore {

// Numbers of a rule by name; absent ones have the rule's default.
using UpdaterParameters = std::map<std::string, double>;

// What a rule remembers of a part: tensors of the part's dtype and length, zero before the first
// update. Plain data, so that it can be counted, checkpointed and replicated.
// Threading: thread-compatible; belongs to the owner of the part.
struct UpdaterState {
  std::vector<std::string> names;         // of the tensors, as in Updater::StateNames
  std::vector<MutableBufferPtr> tensors;  // same order
  DType dtype = DType::kUnspecified;

  size_t bytes() const;
};

// The part that is updated.
struct UpdaterPart {
  DType dtype = DType::kUnspecified;
  size_t elements = 0;
};

// Immutable once made. Threading: const methods from any thread, on different parts.
class Updater {
 public:
  virtual ~Updater() = default;

  // "sgd".
  virtual std::string_view name() const = 0;
  // The tensors that this rule, with these numbers, keeps per part; empty: none.
  virtual std::vector<std::string> StateNames() const { return {}; }
  // `value`: the old value, only read. `sum`: holds the sum of the round, is overwritten with the
  // new value. `state`: has the tensors of StateNames(); null when there are none.
  // Neither array needs alignment; they do not overlap.
  // Errors: UNIMPLEMENTED for a dtype that the rule cannot compute in; then nothing was written.
  virtual absl::Status Update(const UpdaterPart& part, const void* value, void* sum,
                              UpdaterState* state) const = 0;
};

// The rule `name` with `parameters`.
// Errors: INVALID_ARGUMENT for an unknown name (lists the known ones), an unknown parameter (lists
// the rule's parameters), or a number out of its range (names the range and the number).
absl::StatusOr<std::unique_ptr<Updater>> MakeUpdater(std::string_view name,
                                                     const UpdaterParameters& parameters);

// For rules that compute with kernels.h: UNIMPLEMENTED, naming the rule and the dtype, unless the
// kernels have the part's dtype.
absl::Status CheckFloatDType(const Updater& updater, const UpdaterPart& part);

// Names of the known rules, in the order of the list.
std::vector<std::string> UpdaterNames();

}  // namespace kvstore
