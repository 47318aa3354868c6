// std::mutex and std::condition_variable with clang's thread-safety attributes, so that the clang
// preset proves which lock guards which field. (absl::Mutex lives in an uninstrumented library, in
// which ThreadSanitizer sees false races.)
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define KVS_THREAD_ATTRIBUTE_(x) __attribute__((x))
#else
#define KVS_THREAD_ATTRIBUTE_(x)
#endif
#define KVS_CAPABILITY(x) KVS_THREAD_ATTRIBUTE_(capability(x))
#define KVS_SCOPED_CAPABILITY KVS_THREAD_ATTRIBUTE_(scoped_lockable)
#define KVS_GUARDED_BY(x) KVS_THREAD_ATTRIBUTE_(guarded_by(x))
#define KVS_REQUIRES(...) KVS_THREAD_ATTRIBUTE_(requires_capability(__VA_ARGS__))
#define KVS_EXCLUDES(...) KVS_THREAD_ATTRIBUTE_(locks_excluded(__VA_ARGS__))
#define KVS_ACQUIRE(...) KVS_THREAD_ATTRIBUTE_(acquire_capability(__VA_ARGS__))
#define KVS_RELEASE(...) KVS_THREAD_ATTRIBUTE_(release_capability(__VA_ARGS__))
#define KVS_NO_THREAD_SAFETY_ANALYSIS KVS_THREAD_ATTRIBUTE_(no_thread_safety_analysis)

namespace kvstore {

class KVS_CAPABILITY("mutex") Mutex {
 public:
  void Lock() KVS_ACQUIRE() { mutex_.lock(); }
  void Unlock() KVS_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class KVS_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) KVS_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() KVS_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits are spelled as loops at the call site (`while (!ready) cond.Wait(mutex)`), because the
// analysis does not look into predicates.
class CondVar {
 public:
  void Wait(Mutex& mutex) KVS_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cond_.wait(lock);
    lock.release();
  }
  // False when `deadline` passed.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point deadline) KVS_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = cond_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void NotifyOne() { cond_.notify_one(); }
  void NotifyAll() { cond_.notify_all(); }

 private:
  std::condition_variable cond_;
};

}  // namespace kvstore
