// WorkQueue: tasks that run one at a time, on a background thread of the queue. The highest
// priority goes first, equal ones in the order in which they came; a task lends its priority to
// those of its key that came before it, so that tasks of one key run in their order. Every
// kAgingInterval-th turn goes to the task that has waited longest, so that a low priority waits a
// bounded time.
//
// Example: key 1 has tasks of priority 0 and 9, key 2 one of priority 5, all waiting. Key 1's first
// task goes first, with the priority 9 of the one behind it; then its second; then key 2's.
//
// A task that takes less time than waking a thread may run where it is (RunIfIdle), if it would be
// the next one anyway.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "common/base/flat_map.h"
#include "common/base/mutex.h"
#include "common/cluster/identity.h"

namespace kvstore {

// Thread-safe.
class WorkQueue {
 public:
  static constexpr uint64_t kAgingInterval = 16;

  // `run` is false when the queue was stopped before the task's turn came: then it only says so to
  // whoever waits for it. Must not throw.
  using Task = absl::AnyInvocable<void(bool run)>;

  // `name` (at most 15 bytes) is the thread's.
  explicit WorkQueue(const std::string& name);
  ~WorkQueue();  // Stop
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // May throw std::bad_alloc; then the task was not taken. What is taken will run: nothing after
  // this takes memory.
  void Add(KeyId key, int priority, Task task) KVS_EXCLUDES(mutex_);
  // Runs the task now, on this thread, if no other one runs or waits. False: nothing was done. Must
  // not wait for other tasks.
  bool RunIfIdle(absl::FunctionRef<void()> task) KVS_EXCLUDES(mutex_);
  // Whether the caller is a task.
  bool InTask() const { return runner_ == std::this_thread::get_id(); }
  // Waits for the task that runs; the others, and those still to come, are called with false.
  // Idempotent. Not from a task.
  void Stop() KVS_EXCLUDES(mutex_);

 private:
  // A task that waits: in the list of its priority, in that of all, and in the chain of its key.
  struct Waiting {
    KeyId key = 0;
    int priority = 0;
    uint64_t number = 0;  // in order of arrival
    Task task;
    Waiting* previous = nullptr;  // of this priority
    Waiting* next = nullptr;
    Waiting* older = nullptr;  // of all
    Waiting* newer = nullptr;
    Waiting* before = nullptr;  // of the key
    Waiting* behind = nullptr;
  };
  // In the order of arrival.
  struct List {
    Waiting* first = nullptr;
    Waiting* last = nullptr;
  };
  using Lists = std::map<int, List, std::greater<>>;  // by priority; none is empty

  void Loop() KVS_EXCLUDES(mutex_);
  void Link(Waiting* waiting, List* list) KVS_REQUIRES(mutex_);
  void Unlink(Waiting* waiting) KVS_REQUIRES(mutex_);
  std::unique_ptr<Waiting> Take() KVS_REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ KVS_GUARDED_BY(mutex_) = false;
  bool busy_ KVS_GUARDED_BY(mutex_) = false;                // a task runs
  std::atomic<std::thread::id> runner_{std::thread::id()};  // where; nowhere
  uint64_t last_number_ KVS_GUARDED_BY(mutex_) = 0;
  uint64_t turns_ KVS_GUARDED_BY(mutex_) = 0;
  Lists lists_ KVS_GUARDED_BY(mutex_);
  Waiting* oldest_ KVS_GUARDED_BY(mutex_) = nullptr;
  Waiting* newest_ KVS_GUARDED_BY(mutex_) = nullptr;
  FlatMap<KeyId, Waiting*> last_of_key_ KVS_GUARDED_BY(mutex_);
  std::thread thread_;  // last: starts when the rest is there
};

}  // namespace kvstore
