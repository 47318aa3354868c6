#include "tests/support/cuda_sim/faults.h"

#include <cuda_runtime.h>

#include <array>
#include <atomic>

namespace cuda_sim {
namespace {

constexpr int64_t kNever = -1;

struct Faults {
  // Calls of each kind that are spared; below 0 none is to fail.
  std::array<std::atomic<int64_t>, 4> spared = {kNever, kNever, kNever, kNever};
  std::atomic<bool> failed{false};
  std::atomic<bool> peers_refused{false};
  std::atomic<uint64_t> bytes_to_host{0};
};
Faults& All() {
  static Faults& faults = *new Faults;
  return faults;
}

std::atomic<int64_t>& SparedOf(Call call) { return All().spared[static_cast<size_t>(call)]; }

}  // namespace

bool FailsNow(Call call) {
  std::atomic<int64_t>& spared = SparedOf(call);
  int64_t left = spared.load();
  while (left >= 0 && !spared.compare_exchange_weak(left, left - 1)) {
  }
  if (left != 0) return false;
  All().failed = true;
  return true;
}

void CountToHost(size_t bytes) { All().bytes_to_host += bytes; }

bool PeersRefused() { return All().peers_refused; }

}  // namespace cuda_sim

extern "C" __attribute__((visibility("default"))) const cuda_sim::Control*
kvstore_cuda_sim_control() {
  using namespace cuda_sim;  // NOLINT
  static const Control kControl = {
      [](Call call, int64_t spared) {
        if (spared >= 0) All().failed = false;
        SparedOf(call) = spared;
      },
      [] { return All().failed.load(); },
      [](bool refused) { All().peers_refused = refused; },
      &ForgetErrors,
      [] { return uint64_t{LiveAllocations()}; },
      &DeviceOf,
      &SeedStreams,
      [] { return All().bytes_to_host.load(); },
      [] { return uint64_t{LivePinned()}; },
  };
  return &kControl;
}
