// The arithmetic that ServerCore asks for. The daemons run it on dense tensors and tables of rows
// (server/values), the simulator on hashes, so that all run the same core.
//
// The core owns values, sums and states, and never looks into one.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "common/wire/frame.h"

namespace kvstore {

// A part at its version.
class PartValue {
 public:
  virtual ~PartValue() = default;
};

// The fold of contributions that is under way.
class PartSum {
 public:
  virtual ~PartSum() = default;
};

// What an updater keeps beside a part's value (momentum, …).
class PartState {
 public:
  virtual ~PartState() = default;
};

// What an entry brings about a part, as it came. Of a dense key: all of the part's bytes. Of a
// row-sparse one: `rows` ids, then their rows; in a pull the ids alone.
struct Piece {
  uint32_t rows = 0;
  Payload data;
};

// Shard-bound; pure: no clock, thread, I/O. Every piece passed Check() first. Nothing keeps a
// reference to a piece's memory, which is gRPC's.
class PartMath {
 public:
  virtual ~PartMath() = default;

  // The memory that a part takes: its value, a sum where that is as large, and what the updater
  // that is set keeps beside it.
  virtual uint64_t BytesOf(const KeySpec& key, PartIndex part) const = 0;
  // Whether `op` (kInit, kPush or kPull) may bring this.
  // Errors: INVALID_ARGUMENT, OUT_OF_RANGE: name key and part, what was expected and what came.
  virtual absl::Status Check(const KeySpec& key, PartId part, Op op, const Piece& piece) const = 0;

  // Puts a piece of an Init where it belongs; null: begins the value.
  virtual void Fill(const KeySpec& key, PartId part, const Piece& piece,
                    std::unique_ptr<PartValue>* value) = 0;
  // One step of the left fold; null: begins it.
  virtual void Fold(const KeySpec& key, PartId part, const Piece& piece,
                    std::unique_ptr<PartSum>* sum) = 0;
  // One update of the part by the finished sum. `*state` is created on first use.
  // Errors: value and state stay as they were, the round is marked failed.
  virtual absl::Status Update(const KeySpec& key, PartId part, std::unique_ptr<PartSum> sum,
                              std::unique_ptr<PartValue>* value,
                              std::unique_ptr<PartState>* state) = 0;
  // What a pull that asks for `asked` is answered. Later updates do not change it.
  virtual Payload Read(const KeySpec& key, PartId part, const PartValue& value,
                       const Piece& asked) = 0;

  // Whether there is an updater although no SetOptimizer came: what an asynchronous push needs.
  virtual bool has_own_updater() const { return false; }
  // Replaces the updater of this shard; values and states wait as they are for their next Update,
  // which keeps a state that fits. Errors: INVALID_ARGUMENT names the parameter and the known ones.
  virtual absl::Status SetOptimizer(const OptimizerConfig& spec) = 0;
};

}  // namespace kvstore
