// InprocLoop: an event loop that is one thread sleeping on a condition variable.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>

#include "common/base/mutex.h"
#include "common/transport/inproc/inproc_stream.h"
#include "common/transport/task_queue.h"
#include "common/transport/transport.h"

namespace kvstore {

class InprocLoop final : public EventLoop {
 public:
  InprocLoop(const std::string& name, bool serves);
  ~InprocLoop() override;

  void Post(std::function<void()> task) override { tasks_->Post(std::move(task)); }
  void PostAfter(int64_t delay_ms, std::function<void()> task) override {
    tasks_->PostAfter(delay_ms, std::move(task));
  }
  bool InLoop() const override { return tasks_->InOwner(); }

  bool serves() const { return serves_; }
  // What streams hold of their loop: it outlives it.
  const std::shared_ptr<LoopEnd>& end() const { return end_; }

 private:
  void Run(const std::string& name);
  void SleepUntil(int64_t due_ms) KVS_EXCLUDES(mutex_);

  const bool serves_;
  std::shared_ptr<TaskQueue> tasks_;
  std::shared_ptr<LoopEnd> end_;
  Mutex mutex_;
  CondVar woken_cond_;
  bool woken_ KVS_GUARDED_BY(mutex_) = false;
  bool stopping_ = false;  // loop's thread only
  std::thread thread_;
};

}  // namespace kvstore
