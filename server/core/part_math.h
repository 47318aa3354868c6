// The arithmetic that ServerCore asks for. The daemons run it on tensors (server/engine), the
// simulator on hashes, so that both run the same core.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tensor/buffer.h"
#include "common/wire/frame.h"

namespace kvstore {

// What an updater keeps beside a part's value (momentum, …). Owned by the core, opaque to it.
class PartState {
 public:
  virtual ~PartState() = default;
};

// Shard-bound; pure: no clock, thread, I/O.
class PartMath {
 public:
  virtual ~PartMath() = default;

  // A private copy of a contribution's bytes, charged to our own memory (never gRPC's).
  virtual MutableBufferPtr Copy(const Payload& contribution) = 0;
  // accumulator += contribution, elementwise in the key's dtype: one step of the left fold.
  virtual void Accumulate(const KeySpec& key, Buffer& accumulator, const Payload& contribution) = 0;
  // One update of the part: from the stored value and the finished sum to the new value. Takes the
  // sum over (it may become the new value). `*state` is created on first use.
  // Errors: the value stays as it was, the round is marked failed.
  virtual absl::StatusOr<BufferPtr> Update(const KeySpec& key, PartId part, const BufferPtr& value,
                                           MutableBufferPtr sum,
                                           std::unique_ptr<PartState>* state) = 0;
  // Replaces the updater of this shard. The same spec again changes nothing; a new one keeps the
  // states that still fit. Errors: INVALID_ARGUMENT names the parameter and the known ones.
  virtual absl::Status SetOptimizer(const OptimizerConfig& spec) = 0;
};

}  // namespace kvstore
