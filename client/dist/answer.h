// Answer: one value that a thread waits for and another one gives, later and once.
#pragma once

#include <chrono>
#include <optional>
#include <utility>

#include "common/base/mutex.h"

namespace kvstore {

// Shared by the two threads (shared_ptr). Thread-safe.
template <typename T>
class Answer {
 public:
  void Give(T value) KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (given_) return;
    given_ = true;
    value_ = std::move(value);
    changed_.NotifyAll();
  }

  // The value, once it is given; nothing at the deadline. To be called once: the value is moved
  // out, so that whoever drops the answer last, on whatever thread, destroys nothing of it.
  std::optional<T> WaitUntil(std::chrono::steady_clock::time_point deadline) KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    bool in_time = true;
    while (!given_ && in_time) in_time = changed_.WaitUntil(mutex_, deadline);
    if (!given_) return std::nullopt;
    return std::move(value_);
  }

  // The same without a deadline.
  T Wait() KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (!given_) changed_.Wait(mutex_);
    return std::move(value_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool given_ KVS_GUARDED_BY(mutex_) = false;
  T value_ KVS_GUARDED_BY(mutex_){};
};

}  // namespace kvstore
