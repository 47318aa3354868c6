#include "tests/support/cuda_sim/fibers.h"

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/context/preallocated.hpp>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define KVS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KVS_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef KVS_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

namespace cuda_sim {
namespace {

namespace context = boost::context;

constexpr unsigned kWarp = 32;
constexpr size_t kStackBytes = 64 << 10;

// Tells AddressSanitizer which stack is used from here on; nothing without it.
struct Stack {
  const void* bottom = nullptr;
  size_t bytes = 0;
};
#ifdef KVS_ADDRESS_SANITIZER
void Leaving(void** own, const Stack& to) {
  __sanitizer_start_switch_fiber(own, to.bottom, to.bytes);
}
void Entered(void* own, Stack* from) {
  __sanitizer_finish_switch_fiber(own, from == nullptr ? nullptr : &from->bottom,
                                  from == nullptr ? nullptr : &from->bytes);
}
#else
void Leaving(void** /*own*/, const Stack& /*to*/) {}
void Entered(void* /*own*/, Stack* /*from*/) {}
#endif

struct Thread {
  uint3 index;
  context::fiber fiber;
  Stack stack;
  bool done = false;
};

// What a warp exchanges: every lane writes its slot, waits for the others, reads, and leaves; who
// comes to the next exchange waits until all have left.
struct Warp {
  uint64_t slot[kWarp] = {};
  unsigned arrived = 0;
  unsigned leaving = 0;
};

struct Block {
  dim3 grid, size;
  uint3 index;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  size_t current = 0;
  size_t alive = 0;
  size_t at_barrier = 0;
  uint64_t barriers = 0;  // that have opened
  uint64_t steps = 0;     // of any thread: without one in a whole turn nobody gets on
  context::fiber main;
  Stack main_stack;
  std::exception_ptr thrown;
};

thread_local Block* running = nullptr;
// Fresh stacks for each block would cost ten times as much.
thread_local std::unique_ptr<context::pooled_fixedsize_stack> stacks;

// To whoever runs the block, which then runs the next thread. When the block has failed, every
// thread ends here.
struct Abandoned {};
void Yield() {
  void* own = nullptr;
  Leaving(&own, running->main_stack);
  running->main = std::move(running->main).resume();
  Entered(own, &running->main_stack);
  if (running->thrown != nullptr) throw Abandoned();
}

void OpenBarrierIfAll(Block* block) {
  if (block->alive == 0 || block->at_barrier < block->alive) return;
  block->at_barrier = 0;
  ++block->barriers;
}

// Returns when all lanes of the mask are here.
Warp& Meet(uint32_t mask, uint64_t value) {
  Warp& warp = running->warps[running->current / kWarp];
  const unsigned lane = Lane();
  if ((mask >> lane & 1) == 0) {
    throw KernelError(cudaErrorLaunchFailure,
                      "a lane calls a warp's function with a mask that leaves it out");
  }
  while (warp.leaving != 0) Yield();
  warp.slot[lane] = value;
  ++running->steps;
  const auto lanes = static_cast<unsigned>(__builtin_popcount(mask));
  if (++warp.arrived == lanes) {
    warp.leaving = lanes;
  } else {
    while (warp.leaving == 0) Yield();
  }
  return warp;
}

void Leave(Warp* warp) {
  if (--warp->leaving == 0) warp->arrived = 0;
  ++running->steps;
}

}  // namespace

uint3 ThreadIndex() { return running->threads[running->current].index; }
uint3 BlockIndex() { return running->index; }
dim3 BlockSize() { return running->size; }
dim3 GridSize() { return running->grid; }
unsigned Lane() { return static_cast<unsigned>(running->current % kWarp); }

void Barrier() {
  Block& block = *running;
  const uint64_t before = block.barriers;
  ++block.at_barrier;
  ++block.steps;
  OpenBarrierIfAll(&block);
  while (block.barriers == before) Yield();
}

uint64_t Exchange(uint32_t mask, uint64_t value, unsigned from_lane) {
  Warp& warp = Meet(mask, value);
  const uint64_t got = warp.slot[from_lane % kWarp];
  Leave(&warp);
  return got;
}

uint32_t Ballot(uint32_t mask, bool vote) {
  Warp& warp = Meet(mask, vote ? 1 : 0);
  uint32_t votes = 0;
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if ((mask >> lane & 1) != 0) votes |= static_cast<uint32_t>(warp.slot[lane] & 1) << lane;
  }
  Leave(&warp);
  return votes;
}

void RunBlock(dim3 grid, dim3 size, uint3 index, const std::function<void()>& thread) {
  if (stacks == nullptr) stacks = std::make_unique<context::pooled_fixedsize_stack>(kStackBytes);
  Block block;
  block.grid = grid;
  block.size = size;
  block.index = index;
  block.threads.resize(size_t{size.x} * size.y * size.z);
  block.warps.resize((block.threads.size() + kWarp - 1) / kWarp);
  block.alive = block.threads.size();
  for (size_t i = 0; i < block.threads.size(); ++i) {
    const auto number = static_cast<unsigned>(i);
    block.threads[i].index = {number % size.x, number / size.x % size.y, number / size.x / size.y};
    const context::stack_context memory = stacks->allocate();
    block.threads[i].stack = {static_cast<const char*>(memory.sp) - memory.size, memory.size};
    block.threads[i].fiber =
        context::fiber(std::allocator_arg, context::preallocated(memory.sp, memory.size, memory),
                       *stacks, [&block, &thread](context::fiber&& main) {
                         Entered(nullptr, &block.main_stack);
                         block.main = std::move(main);
                         try {
                           if (block.thrown == nullptr) thread();
                         } catch (const Abandoned&) {
                         } catch (...) {
                           if (block.thrown == nullptr) block.thrown = std::current_exception();
                         }
                         block.threads[block.current].done = true;
                         --block.alive;
                         ++block.steps;
                         OpenBarrierIfAll(&block);  // a thread that has returned is not waited for
                         Leaving(nullptr, block.main_stack);
                         return std::move(block.main);
                       });
  }
  Block* const outer = std::exchange(running, &block);
  while (block.alive > 0) {
    const uint64_t before = block.steps;
    for (block.current = 0; block.current < block.threads.size(); ++block.current) {
      Thread& next = block.threads[block.current];
      if (next.done) continue;
      void* own = nullptr;
      Leaving(&own, next.stack);
      next.fiber = std::move(next.fiber).resume();
      Entered(own, nullptr);
    }
    if (block.steps == before && block.thrown == nullptr) {
      block.thrown = std::make_exception_ptr(
          KernelError(cudaErrorLaunchFailure,
                      "the block does not get on: a barrier that not all threads reach"));
    }
  }
  running = outer;
  if (block.thrown != nullptr) std::rethrow_exception(block.thrown);
}

}  // namespace cuda_sim
