// How fast one thread copies memory: the ceiling for anything that copies once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bench/kvbench/machine.h"
#include "bench/kvbench/memory.h"

namespace kvstore::bench {

// Two buffers of `bytes` each, allocated and touched once. Thread-compatible.
class MemcpyBaseline {
 public:
  MemcpyBaseline(size_t bytes, Cores cores);

  // Copies front to back again and again for `seconds`. Returns bytes copied per second.
  double Run(double seconds);

 private:
  const Cores cores_;
  Memory source_;
  Memory destination_;
};

}  // namespace kvstore::bench
