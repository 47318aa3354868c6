// StalenessTable: how stale the value was that the last pull of each key was given, on a store that
// applies pushes as they come.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "common/base/mutex.h"
#include "common/cluster/identity.h"

namespace kvstore {

class StalenessTable {
 public:
  // Makes room for the key: then Note takes no memory. May throw std::bad_alloc.
  void Expect(KeyId key) {
    MutexLock lock(mutex_);
    of_.try_emplace(key, 0);
  }
  // A pull of the key, which is expected, is over.
  void Note(KeyId key, uint64_t staleness) noexcept {
    MutexLock lock(mutex_);
    of_.find(key)->second = staleness;
  }
  // Of the last pull that is over; 0 before the first.
  uint64_t Of(KeyId key) const {
    MutexLock lock(mutex_);
    const auto at = of_.find(key);
    return at == of_.end() ? 0 : at->second;
  }

 private:
  mutable Mutex mutex_;
  std::unordered_map<KeyId, uint64_t> of_ KVS_GUARDED_BY(mutex_);
};

}  // namespace kvstore
