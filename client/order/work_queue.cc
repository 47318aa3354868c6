#include "client/order/work_queue.h"

#include <pthread.h>

#include <utility>

namespace kvstore {

WorkQueue::WorkQueue(const std::string& name) : thread_([this] { Loop(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

WorkQueue::~WorkQueue() { Stop(); }

// A task that is new goes to the end; one whose priority was raised goes behind those that are
// older than it.
void WorkQueue::Link(Waiting* waiting, List* list) {
  Waiting* previous = list->last;
  while (previous != nullptr && previous->number > waiting->number) previous = previous->previous;
  waiting->previous = previous;
  waiting->next = previous != nullptr ? previous->next : list->first;
  (waiting->previous != nullptr ? waiting->previous->next : list->first) = waiting;
  (waiting->next != nullptr ? waiting->next->previous : list->last) = waiting;
}

void WorkQueue::Unlink(Waiting* waiting) {
  const auto place = lists_.find(waiting->priority);
  List& list = place->second;
  (waiting->previous != nullptr ? waiting->previous->next : list.first) = waiting->next;
  (waiting->next != nullptr ? waiting->next->previous : list.last) = waiting->previous;
  if (list.first == nullptr) lists_.erase(place);
}

void WorkQueue::Add(KeyId key, int priority, Task task) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      auto made = std::make_unique<Waiting>();
      Waiting** const last_of_key = &last_of_key_[key];
      List* const list = &lists_[priority];
      // From here on nothing takes memory.
      Waiting* const waiting = made.release();
      waiting->key = key;
      waiting->priority = priority;
      waiting->number = ++last_number_;
      waiting->task = std::move(task);
      waiting->before = std::exchange(*last_of_key, waiting);
      if (waiting->before != nullptr) waiting->before->behind = waiting;
      waiting->older = std::exchange(newest_, waiting);
      (waiting->older != nullptr ? waiting->older->newer : oldest_) = waiting;
      Link(waiting, list);
      for (Waiting* earlier = waiting->before; earlier != nullptr && earlier->priority < priority;
           earlier = earlier->before) {
        Unlink(earlier);
        earlier->priority = priority;
        Link(earlier, list);
      }
      if (!busy_) changed_.NotifyOne();  // else whoever ends the task looks
      return;
    }
  }
  task(false);
}

// The one whose turn it is; there is one.
std::unique_ptr<WorkQueue::Waiting> WorkQueue::Take() {
  const bool ages = ++turns_ % kAgingInterval == 0;
  Waiting* const waiting = ages ? oldest_ : lists_.begin()->second.first;
  Unlink(waiting);
  (waiting->older != nullptr ? waiting->older->newer : oldest_) = waiting->newer;
  (waiting->newer != nullptr ? waiting->newer->older : newest_) = waiting->older;
  // Those of its key that came before it are gone already.
  if (waiting->behind != nullptr) {
    waiting->behind->before = nullptr;
  } else {
    last_of_key_.erase(waiting->key);
  }
  return std::unique_ptr<Waiting>(waiting);
}

bool WorkQueue::RunIfIdle(absl::FunctionRef<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopping_ || busy_ || oldest_ != nullptr) return false;
    busy_ = true;
    runner_ = std::this_thread::get_id();
  }
  task();
  MutexLock lock(mutex_);
  runner_ = std::thread::id();
  busy_ = false;
  if (oldest_ != nullptr || stopping_) changed_.NotifyAll();
  return true;
}

void WorkQueue::Loop() {
  while (true) {
    std::unique_ptr<Waiting> taken;
    {
      MutexLock lock(mutex_);
      while ((oldest_ == nullptr || busy_) && !stopping_) changed_.Wait(mutex_);
      if (stopping_) return;
      taken = Take();
      busy_ = true;
      runner_ = std::this_thread::get_id();
    }
    taken->task(true);
    taken = nullptr;  // what it captured goes before the next one of the key runs
    MutexLock lock(mutex_);
    runner_ = std::thread::id();
    busy_ = false;
    if (stopping_) changed_.NotifyAll();
  }
}

void WorkQueue::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  while (true) {
    std::unique_ptr<Waiting> dropped;
    {
      MutexLock lock(mutex_);
      while (busy_) changed_.Wait(mutex_);
      if (oldest_ == nullptr) return;
      dropped = Take();
    }
    dropped->task(false);
  }
}

}  // namespace kvstore
