#include "common/transport/inproc/inproc_loop.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include "common/base/check.h"

namespace kvstore {

InprocLoop::InprocLoop(const std::string& name, bool serves) : serves_(serves) {
  tasks_ = std::make_shared<TaskQueue>([this] {
    MutexLock lock(mutex_);
    woken_ = true;
    woken_cond_.NotifyOne();
  });
  end_ = std::make_shared<LoopEnd>(tasks_);
  thread_ = std::thread([this, name] { Run(name); });
}

InprocLoop::~InprocLoop() {
  KVS_CHECK(!InLoop());
  Post([this] { stopping_ = true; });
  thread_.join();
}

void InprocLoop::Run(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  tasks_->Adopt();
  for (;;) {
    tasks_->RunDue();
    if (stopping_ && tasks_->Empty()) break;
    SleepUntil(tasks_->PrepareSleep());
  }
  end_->Stop();
  tasks_->Close();
}

void InprocLoop::SleepUntil(int64_t due_ms) {
  {
    MutexLock lock(mutex_);
    while (!woken_ && due_ms != 0) {
      if (due_ms == TaskQueue::kNever) {
        woken_cond_.Wait(mutex_);
      } else {
        const std::chrono::steady_clock::time_point due{std::chrono::milliseconds(due_ms)};
        if (!woken_cond_.WaitUntil(mutex_, due)) break;
      }
    }
    if (!woken_) return;
    woken_ = false;
  }
  tasks_->WakeArrived();
}

}  // namespace kvstore
