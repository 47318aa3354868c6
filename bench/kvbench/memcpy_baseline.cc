#include "bench/kvbench/memcpy_baseline.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace kvstore::bench {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;  // the size of a part

}  // namespace

MemcpyBaseline::MemcpyBaseline(size_t bytes, Cores cores)
    : cores_(std::move(cores)), source_(bytes), destination_(bytes) {}

double MemcpyBaseline::Run(double seconds) {
  double rate = 0;
  // A thread of its own, so that the caller keeps its cores.
  std::thread([&] {
    RunOn(cores_);
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    double elapsed = 0;
    uint64_t copied = 0;
    for (size_t offset = 0; elapsed < seconds; offset += kChunkBytes) {
      if (offset >= source_.bytes()) offset = 0;
      const size_t count = std::min(kChunkBytes, source_.bytes() - offset);
      std::memcpy(destination_.data() + offset, source_.data() + offset, count);
      copied += count;
      elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    rate = static_cast<double>(copied) / elapsed;
  }).join();
  return rate;
}

}  // namespace kvstore::bench
