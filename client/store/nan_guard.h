// NanGuard: what a store does about NaNs and infinities in what is pushed
// (common/model/nan_policy.h), before anything else is done with it: before values of several
// devices are summed, and before anything is encoded, so that what is refused has changed nothing.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "absl/status/status.h"
#include "client/store/row_values.h"
#include "client/store/store_backend.h"
#include "common/base/mutex.h"
#include "common/model/nan_policy.h"

namespace kvstore {

// Thread-safe.
class NanGuard {
 public:
  // `rank`: of this worker, for messages; a local store is worker 0.
  NanGuard(NanPolicy policy, uint32_t rank) : policy_(policy), rank_(rank) {}

  NanPolicy policy() const { return policy_; }
  // Called once for each operation of a key, in program order, when its arrays may be read. Looks
  // at the values of a push to a key of floats, all of them; of the policy "zero" values with
  // numbers that are not finite are replaced, in the operation, by copies in which those are 0. The
  // caller's arrays stay as they are. Costs nothing with "allow". Errors: INVALID_ARGUMENT with
  // "reject": names worker, key, round and element; RESOURCE_EXHAUSTED: no memory for a copy.
  absl::Status Admit(KeyOperation* operation) KVS_EXCLUDES(mutex_);
  // Called with the sum of a push that has several values, once it is made: `data` if the key is
  // dense, else `rows`. Finite values may have an infinite sum, which "reject" refuses here, before
  // anything is sent; with the other policies it is the servers' to deal with.
  // Errors: INVALID_ARGUMENT, as above; then the push does not count as a round.
  absl::Status AdmitSum(const KeyOperation& operation, const uint8_t* data, const Rows& rows)
      KVS_EXCLUDES(mutex_);

 private:
  absl::Status Look(KeyOperation* operation, uint64_t round);
  void Warn(const std::string& line) KVS_EXCLUDES(mutex_);

  const NanPolicy policy_;
  const uint32_t rank_;
  Mutex mutex_;
  std::unordered_map<KeyId, uint64_t> admitted_ KVS_GUARDED_BY(mutex_);  // pushes of each key
  int64_t quiet_until_ms_ KVS_GUARDED_BY(mutex_) = 0;
  uint64_t untold_ KVS_GUARDED_BY(mutex_) = 0;  // warnings since the last line
};

}  // namespace kvstore
