// AwaitMemory: for the few steps that must be done, whatever memory there is, because somebody
// waits for them and nobody would try them again.
#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace kvstore {

// Calls `call` until it returns without std::bad_alloc; after such a throw nothing may be half
// done. Blocks the thread meanwhile. It asks every few milliseconds: the system tells nobody
// when memory is free again, and another process may be the one that frees it.
template <typename Call>
void AwaitMemory(const Call& call) noexcept {
  constexpr std::chrono::milliseconds kPause{5};
  while (true) {
    try {
      call();
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(kPause);
    }
  }
}

}  // namespace kvstore
