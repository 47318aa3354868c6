// What can be made to go wrong with the simulated GPUs, and in which order their streams are
// served.
#pragma once

#include <dlfcn.h>

#include <catch2/catch.hpp>

#include "tests/support/cuda_sim/faults.h"

namespace kvstore::testing {

// Of the object that the SDK opens, too. Devices are counted at the first use of either.
inline const cuda_sim::Control& Simulation() {
  static const cuda_sim::Control& control = []() -> const cuda_sim::Control& {
    void* const handle = ::dlopen(KVS_CUDA_SIM, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(handle != nullptr);
    void* const function = ::dlsym(handle, CUDA_SIM_CONTROL_SYMBOL);
    REQUIRE(function != nullptr);
    return *reinterpret_cast<const cuda_sim::Control* (*)()>(function)();
  }();
  return control;
}

// Nothing fails any more, nothing is remembered of what has, and streams go in order.
class Sound {
 public:
  Sound() { Restore(); }
  ~Sound() { Restore(); }
  Sound(const Sound&) = delete;
  Sound& operator=(const Sound&) = delete;

  static void Restore() {
    for (const cuda_sim::Call call : {cuda_sim::Call::kAllocation, cuda_sim::Call::kCopy,
                                      cuda_sim::Call::kLaunch, cuda_sim::Call::kCopyUnderWay}) {
      Simulation().fail(call, -1);
    }
    Simulation().refuse_peers(false);
    Simulation().forget_errors();
    Simulation().seed(0);
  }
};

}  // namespace kvstore::testing
