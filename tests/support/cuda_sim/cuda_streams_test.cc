// Streams of the simulated GPU: what may happen in any order happens in any, by the seed; what must
// not, never does.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cuda_sim/faults.h"

namespace {

using cuda_sim::Call;

constexpr uint64_t kSeeds = 60;

// Nothing fails, nothing is on a stream, and the next case finds seed 0.
class Clean {
 public:
  Clean() { Restore(); }
  ~Clean() { Restore(); }

 private:
  static void Restore() {
    cuda_sim::ForgetErrors();
    cuda_sim::SeedStreams(0);
    kvstore_cuda_sim_control()->fail(Call::kCopyUnderWay, -1);
  }
};

void Must(cudaError_t error) {
  INFO(cuda_sim::LastErrorText());
  REQUIRE(error == cudaSuccess);
}

class Stream {
 public:
  Stream() { Must(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(stream_); }
  operator cudaStream_t() const { return stream_; }  // NOLINT: as the runtime's calls want it

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event() { Must(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~Event() { cudaEventDestroy(event_); }
  operator cudaEvent_t() const { return event_; }  // NOLINT: as above

 private:
  cudaEvent_t event_ = nullptr;
};

// One number in a device's memory, or in pinned memory.
class Number {
 public:
  explicit Number(bool pinned) : pinned_(pinned) {
    Must(pinned ? cudaHostAlloc(&memory_, sizeof(int), cudaHostAllocPortable)
                : cudaMalloc(&memory_, sizeof(int)));
  }
  ~Number() { pinned_ ? cudaFreeHost(memory_) : cudaFree(memory_); }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  void* at() const { return memory_; }
  int& host() const { return *static_cast<int*>(memory_); }

 private:
  const bool pinned_;
  void* memory_ = nullptr;
};

void Copy(const void* from, void* to, cudaMemcpyKind kind, cudaStream_t stream) {
  Must(cudaMemcpyAsync(to, from, sizeof(int), kind, stream));
}

// What a device has, now: not before its streams are done.
int Read(const Number& number) {
  int value = 0;
  Must(cudaDeviceSynchronize());
  Copy(number.at(), &value, cudaMemcpyDeviceToHost, nullptr);
  return value;
}

}  // namespace

TEST_CASE("a copy from pinned memory reads it late, one from pageable memory at the call",
          "[cuda_sim][streams]") {
  const Clean clean;
  const Stream stream;
  const Number pinned(true), of_pinned(false), of_pageable(false);
  int pageable = pinned.host() = 1;
  Copy(pinned.at(), of_pinned.at(), cudaMemcpyHostToDevice, stream);
  Copy(&pageable, of_pageable.at(), cudaMemcpyHostToDevice, stream);
  pageable = pinned.host() = 2;
  CHECK(Read(of_pinned) == 2);
  CHECK(Read(of_pageable) == 1);
}

TEST_CASE("a copy to pageable memory is done when the call returns, one to pinned memory later",
          "[cuda_sim][streams]") {
  const Clean clean;
  const Stream stream;
  const Number pinned(true), device(false);
  int pageable = 7;
  pinned.host() = 0;
  Copy(&pageable, device.at(), cudaMemcpyHostToDevice, stream);
  pageable = 0;
  Copy(device.at(), pinned.at(), cudaMemcpyDeviceToHost, stream);
  CHECK(pinned.host() == 0);
  Copy(device.at(), &pageable, cudaMemcpyDeviceToHost, stream);
  CHECK(pageable == 7);
  Must(cudaStreamSynchronize(stream));
  CHECK(pinned.host() == 7);
}

TEST_CASE("an event orders two streams by every seed, and without it they go in either order",
          "[cuda_sim][streams]") {
  const Clean clean;
  const bool waits = GENERATE(true, false);
  std::set<int> found;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    cuda_sim::SeedStreams(seed);
    const Stream first, second;
    const Event written;
    const Number from(true), device(false), to(true);
    from.host() = 1;
    to.host() = 0;
    const int zero = 0;
    Copy(&zero, device.at(), cudaMemcpyHostToDevice, first);
    Must(cudaStreamSynchronize(first));
    Copy(from.at(), device.at(), cudaMemcpyHostToDevice, first);
    Must(cudaEventRecord(written, first));
    if (waits) Must(cudaStreamWaitEvent(second, written, 0));
    Copy(device.at(), to.at(), cudaMemcpyDeviceToHost, second);
    Must(cudaStreamSynchronize(second));
    found.insert(to.host());
    Must(cudaDeviceSynchronize());
  }
  CHECK(found == (waits ? std::set<int>{1} : std::set<int>{0, 1}));
}

TEST_CASE("what is not waited for is early by some seeds and late by others, the same by the same",
          "[cuda_sim][streams]") {
  const Clean clean;
  std::set<int> found;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::vector<int> twice;
    for (int run = 0; run < 2; ++run) {
      cuda_sim::SeedStreams(seed);
      const Stream stream, other;
      const Number from(true), device(false), back(true);
      from.host() = 1;
      back.host() = 0;
      Copy(from.at(), device.at(), cudaMemcpyHostToDevice, stream);
      Copy(device.at(), back.at(), cudaMemcpyDeviceToHost, stream);
      Must(cudaStreamSynchronize(other));
      twice.push_back(back.host());
      Must(cudaDeviceSynchronize());
      CHECK(back.host() == 1);
    }
    CHECK(twice[0] == twice[1]);
    found.insert(twice[0]);
    if (seed == 0) CHECK(twice[0] == 0);
  }
  CHECK(found == std::set<int>{0, 1});
}

TEST_CASE("who asks for an event again and again is told that it has come", "[cuda_sim][streams]") {
  const Clean clean;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    CAPTURE(seed);
    cuda_sim::SeedStreams(seed);
    const Stream stream;
    const Event event;
    const Number from(true), device(false);
    CHECK(cudaEventQuery(event) == cudaSuccess);  // of no record
    from.host() = 3;
    for (int i = 0; i < 10; ++i) Copy(from.at(), device.at(), cudaMemcpyHostToDevice, stream);
    Must(cudaEventRecord(event, stream));
    int asked = 0;
    while (cudaEventQuery(event) == cudaErrorNotReady) REQUIRE(++asked < 1000);
    if (seed == 0) CHECK(asked == 10);
    int value = 0;
    Copy(device.at(), &value, cudaMemcpyDeviceToHost, stream);
    CHECK(value == 3);
  }
}

TEST_CASE("an event that is recorded again is waited for as it was when it was waited for",
          "[cuda_sim][streams]") {
  const Clean clean;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    cuda_sim::SeedStreams(seed);
    const Stream first, second;
    const Event event;
    Must(cudaEventRecord(event, first));
    Must(cudaStreamWaitEvent(second, event, 0));
    Must(cudaStreamWaitEvent(first, event, 0));
    Must(cudaEventRecord(event, second));
    Must(cudaStreamWaitEvent(first, event, 0));
    Must(cudaStreamSynchronize(first));
    Must(cudaEventSynchronize(event));
  }
}

TEST_CASE("work that fails under way is found by who waits, and ends all other work",
          "[cuda_sim][streams]") {
  const Clean clean;
  const Stream stream, other;
  const Event event;
  const Number from(true), device(false), back(true);
  from.host() = 1;
  back.host() = 0;
  kvstore_cuda_sim_control()->fail(Call::kCopyUnderWay, 0);
  Copy(from.at(), device.at(), cudaMemcpyHostToDevice, stream);
  Copy(device.at(), back.at(), cudaMemcpyDeviceToHost, stream);
  Must(cudaEventRecord(event, stream));
  CHECK(cudaStreamSynchronize(other) == cudaSuccess);
  CHECK(cudaEventSynchronize(event) == cudaErrorECCUncorrectable);
  CHECK(back.host() == 0);
  CHECK(cudaStreamSynchronize(other) == cudaErrorECCUncorrectable);
  cuda_sim::ForgetErrors();
  Must(cudaStreamSynchronize(stream));
  CHECK(back.host() == 0);
}

TEST_CASE("memory that is given back before the copy with it is done is an error with a name",
          "[cuda_sim][streams]") {
  const Clean clean;
  const bool pinned = GENERATE(true, false);
  const Stream stream;
  {
    const Number host(true), device(false);
    Copy(host.at(), device.at(), cudaMemcpyHostToDevice, stream);
    if (pinned) Must(cudaStreamSynchronize(stream));
    const Number slot(true);
    Copy(device.at(), slot.at(), cudaMemcpyDeviceToHost, stream);
  }
  CHECK(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress);
  CHECK(std::string(cuda_sim::LastErrorText()) ==
        "a copy: its memory was given back before it was done");
}

TEST_CASE("several threads use streams of their own, and events of one another",
          "[cuda_sim][streams]") {
  const Clean clean;
  cuda_sim::SeedStreams(GENERATE(uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{3}));
  constexpr int kThreads = 4, kRounds = 50;
  std::vector<int> got(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&got, i] {
      cudaSetDevice(i % 2);
      cudaStream_t stream = nullptr;
      cudaEvent_t event = nullptr;
      void *device = nullptr, *slot = nullptr;
      cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
      cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
      cudaMalloc(&device, sizeof(int));
      cudaHostAlloc(&slot, sizeof(int), cudaHostAllocPortable);
      for (int round = 1; round <= kRounds; ++round) {
        const int number = round * (i + 1);
        cudaMemcpyAsync(device, &number, sizeof number, cudaMemcpyHostToDevice, stream);
        cudaMemcpyAsync(slot, device, sizeof number, cudaMemcpyDeviceToHost, stream);
        cudaEventRecord(event, stream);
        cudaEventSynchronize(event);
        got[static_cast<size_t>(i)] += *static_cast<int*>(slot);
      }
      cudaStreamDestroy(stream);
      cudaEventDestroy(event);
      cudaFree(device);
      cudaFreeHost(slot);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kThreads; ++i) {
    CHECK(got[static_cast<size_t>(i)] == kRounds * (kRounds + 1) / 2 * (i + 1));
  }
}
