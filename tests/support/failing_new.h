// Makes allocations fail, in an executable that links failing_new.cc.
#pragma once

#include <cstddef>

namespace kvstore::testing {

// While it lives, operator new throws std::bad_alloc for `bytes` or more, on every thread, but for
// the first `spared` of them.
class FailingNew {
 public:
  explicit FailingNew(size_t bytes, int spared = 0);
  ~FailingNew();
  FailingNew(const FailingNew&) = delete;
  FailingNew& operator=(const FailingNew&) = delete;

  // How many it has made fail.
  int failed() const;
};

// While it lives, FailingNth leaves the calling thread alone: what the test itself does in between.
class SparedThread {
 public:
  SparedThread();
  ~SparedThread();
  SparedThread(const SparedThread&) = delete;
  SparedThread& operator=(const SparedThread&) = delete;
};

// While it lives, operator new throws std::bad_alloc on one thread, or on all of one name: it
// spares the first `spared` allocations there, of any size, and fails the `fails` after them. One
// at a time.
class FailingNth {
 public:
  static constexpr int kAll = 1 << 30;

  // On the calling thread.
  FailingNth(int spared, int fails);
  // On the threads of this name (pthread_setname_np).
  FailingNth(const char* thread, int spared, int fails);
  ~FailingNth();
  FailingNth(const FailingNth&) = delete;
  FailingNth& operator=(const FailingNth&) = delete;

  // How many it has made fail.
  int failed() const;
};

}  // namespace kvstore::testing
