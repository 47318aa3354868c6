// What can be made to go wrong on the simulated GPU, and how a test asks for it: by the function
// that libkvstore_cuda_sim.so shows beside the plugin's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_sim {

enum class Call : int {
  kAllocation,    // cudaMalloc, cudaHostAlloc: out of memory
  kCopy,          // any copy or fill: the call fails, and nothing else
  kLaunch,        // of a kernel: it fails when it runs, and so does every later call of the process
  kCopyUnderWay,  // any copy or fill: as a kernel
};

// For the runtime: whether this call is the one that was to fail. Thread-safe.
bool FailsNow(Call call);
// For the runtime: whether devices copy to each other.
bool PeersRefused();
// For the runtime: that so many bytes go to the host.
void CountToHost(size_t bytes);

struct Control {
  // The call of this kind fails that comes after `spared` others of it; -1: none does.
  void (*fail)(Call call, int64_t spared);
  // Whether the last one that was to fail has come.
  bool (*has_failed)();
  // Copies from one device to another are refused, as where there is no way between them.
  void (*refuse_peers)(bool refused);
  // Forgets an error that sticks, and what is on streams, as a new process would.
  void (*forget_errors)();
  uint64_t (*live_allocations)();  // of devices
  // Of which device the bytes are; below 0: of none.
  int (*device_of)(const void* address, size_t bytes);
  // Begins the order in which streams are served anew, with this seed.
  void (*seed)(uint64_t seed);
  // Bytes that copies have brought from devices to the host.
  uint64_t (*bytes_to_host)();
  uint64_t (*live_pinned)();  // allocations of pinned memory
};

}  // namespace cuda_sim

#define CUDA_SIM_CONTROL_SYMBOL "kvstore_cuda_sim_control"
extern "C" const cuda_sim::Control* kvstore_cuda_sim_control();
