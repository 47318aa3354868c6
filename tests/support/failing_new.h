// Makes large allocations fail, in an executable that links failing_new.cc.
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

}  // namespace kvstore::testing
