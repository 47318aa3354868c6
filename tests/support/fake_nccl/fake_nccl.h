// A NCCL that tests own, over the memory of simulated GPUs: libfake_nccl.so has the functions of
// client/device/nccl_library.h, and one more, by which a test says what is to fail.
//
// Each rank of a collective is a thread; they meet, as GPUs do. Slice i of a ReduceScatter is added
// around the ring, beginning with rank i + 1: another order than that of the list. A rank whose
// collective is missing in its group would be waited for for ever on GPUs: it is an error here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fake_nccl {

struct Control {
  // The collective fails that comes after `spared` others; -1: none does.
  void (*fail)(int64_t spared);
  // Of which device an address is, below 0: of none. Null: nobody looks.
  void (*device_of)(int (*of)(const void* address, size_t bytes));
  int64_t (*collectives)();    // that were done
  int64_t (*communicators)();  // that are alive
};

}  // namespace fake_nccl

#define FAKE_NCCL_CONTROL_SYMBOL "kvstore_fake_nccl_control"
extern "C" const fake_nccl::Control* kvstore_fake_nccl_control();
