#include "client/base/fork_guard.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <vector>

namespace kvstore {
namespace {

// Relaxed: the only writer is the child's handler, in which no other thread lives.
std::atomic<uint64_t> generation{0};

struct HeldMutexes {
  Mutex mutex;  // taken before all others, and held during the fork too
  std::vector<Mutex*> held;
};

HeldMutexes& Held() {
  // Never destroyed: forks may come while the process exits.
  static HeldMutexes& held = *new HeldMutexes;
  return held;
}

void BeforeFork() KVS_NO_THREAD_SAFETY_ANALYSIS {
  Held().mutex.Lock();
  for (Mutex* mutex : Held().held) mutex->Lock();
}
void ReleaseAll() KVS_NO_THREAD_SAFETY_ANALYSIS {
  for (Mutex* mutex : Held().held) mutex->Unlock();
  Held().mutex.Unlock();
}
void AfterForkInParent() { ReleaseAll(); }
void AfterForkInChild() {
  generation.fetch_add(1, std::memory_order_relaxed);
  ReleaseAll();
}

void RegisterHandlers() {
  static const int registered = pthread_atfork(BeforeFork, AfterForkInParent, AfterForkInChild);
  (void)registered;  // fails only without memory; then a child is not told apart
}

}  // namespace

uint64_t ProcessGeneration() {
  RegisterHandlers();
  return generation.load(std::memory_order_relaxed);
}

absl::Status CheckSameProcess(uint64_t made_in, const char* what) {
  if (made_in == ProcessGeneration()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{} belongs to the parent of process {}: it cannot be used in a forked child",
                  what, getpid()));
}

void HoldAcrossFork(Mutex* mutex) {
  RegisterHandlers();
  MutexLock lock(Held().mutex);
  Held().held.push_back(mutex);
}

}  // namespace kvstore
