// Meeting: lets threads of a test meet.
#pragma once

#include "common/base/mutex.h"

namespace kvstore {

// The `expected`-th thread to arrive releases all of them; then it may be used again. Thread-safe.
class Meeting {
 public:
  explicit Meeting(int expected) : expected_(expected) {}
  void Arrive() KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const int round = round_;
    if (++arrived_ == expected_) {
      arrived_ = 0;
      ++round_;
      changed_.NotifyAll();
      return;
    }
    while (round == round_) changed_.Wait(mutex_);
  }

 private:
  const int expected_;
  Mutex mutex_;
  CondVar changed_;
  int arrived_ KVS_GUARDED_BY(mutex_) = 0;
  int round_ KVS_GUARDED_BY(mutex_) = 0;
};

}  // namespace kvstore
