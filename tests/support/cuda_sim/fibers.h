// The threads of one block of a simulated GPU, as fibers (Boost.Context): who waits at a barrier or
// for other lanes of its warp lets the next one run.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace cuda_sim {

// What ends a kernel.
class KernelError : public std::runtime_error {
 public:
  KernelError(cudaError_t code, const std::string& what) : std::runtime_error(what), error(code) {}
  const cudaError_t error;
};

// Runs the block whole. Throws KernelError: what a thread threw; kLaunchFailure: "the block does
// not get on: a barrier that not all threads reach".
void RunBlock(dim3 grid, dim3 size, uint3 index, const std::function<void()>& thread);

}  // namespace cuda_sim
