// How kernels are launched: by a function, since no host's compiler reads <<<>>>, and the same
// sources are compiled by one for the simulated GPU (tests/support/cuda_sim).
#pragma once

#include <cuda_runtime.h>

namespace kvstore::cuda {

// Where kernels run.
struct Place {
  cudaStream_t stream = nullptr;
  int multiprocessors = 1;
};

// Errors: those of the launch; those of the run come with the stream's next call.
template <typename... P, typename... A>
cudaError_t Launch(void (*kernel)(P...), unsigned blocks, unsigned threads, const Place& place,
                   A... arguments) {
#ifdef __CUDACC__
  kernel<<<blocks, threads, 0, place.stream>>>(arguments...);
  return cudaGetLastError();
#else
  return cuda_sim::Launch(kernel, dim3(blocks), dim3(threads), place.stream, arguments...);
#endif
}

}  // namespace kvstore::cuda
