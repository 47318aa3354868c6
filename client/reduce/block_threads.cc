#include "client/reduce/block_threads.h"

#include <pthread.h>

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

#include "common/base/machine_limits.h"
#include "common/base/status_macros.h"

namespace kvstore {

BlockThreads::BlockThreads(size_t threads)
    : seats_(threads == 0 ? std::min<size_t>(CpuCount(), kThreadsByDefault)
                          : std::min(threads, kThreadsMax)) {}

BlockThreads::~BlockThreads() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    called_.NotifyAll();
  }
  for (std::thread& helper : helpers_) helper.join();
}

void BlockThreads::Start() {
  try {
    helpers_.reserve(seats_ - 1);
    while (helpers_.size() < seats_ - 1) {
      helpers_.emplace_back([this, seat = helpers_.size() + 1] { Help(seat); });
    }
    started_ = true;
  } catch (const std::system_error&) {
    started_ = true;  // there are no more: it is not asked again and again
  } catch (const std::bad_alloc&) {
  }
}

absl::Status BlockThreads::Run(size_t blocks, Work work) {
  const bool alone = blocks < 2 || seats_ == 1;
  if (!alone && !started_) Start();
  if (alone || helpers_.empty()) {
    for (size_t block = 0; block < blocks; ++block) KVS_RETURN_IF_ERROR(work(block, 0));
    return absl::OkStatus();
  }
  {
    MutexLock lock(mutex_);
    next_.store(0, std::memory_order_relaxed);
    work_ = &work;
    blocks_ = blocks;
    ++run_;
    called_.NotifyAll();
  }
  DoBlocks(work, blocks, 0);
  MutexLock lock(mutex_);
  work_ = nullptr;  // who wakes up only now finds nothing to do
  while (helping_ > 0) idle_.Wait(mutex_);
  failed_ = kNone;
  if (std::exception_ptr thrown = std::exchange(thrown_, nullptr); thrown != nullptr) {
    failure_ = absl::OkStatus();
    std::rethrow_exception(std::move(thrown));
  }
  return std::exchange(failure_, absl::OkStatus());
}

void BlockThreads::Help(size_t seat) {
  pthread_setname_np(pthread_self(), "kvs-reduce");
  uint64_t seen = 0;
  while (true) {
    const Work* work = nullptr;
    size_t blocks = 0;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && (work_ == nullptr || run_ == seen)) called_.Wait(mutex_);
      if (stopping_) return;
      seen = run_;
      work = work_;
      blocks = blocks_;
      ++helping_;
    }
    DoBlocks(*work, blocks, seat);
    MutexLock lock(mutex_);
    if (--helping_ == 0) idle_.NotifyOne();
  }
}

void BlockThreads::DoBlocks(const Work& work, size_t blocks, size_t seat) {
  while (true) {
    const size_t block = next_.fetch_add(1, std::memory_order_relaxed);
    if (block >= blocks) return;
    absl::Status status;
    std::exception_ptr thrown;
    try {
      status = work(block, seat);
    } catch (...) {
      thrown = std::current_exception();
    }
    if (status.ok() && thrown == nullptr) continue;
    next_.store(blocks, std::memory_order_relaxed);
    MutexLock lock(mutex_);
    if (thrown != nullptr) {
      thrown_ = std::move(thrown);
    } else if (block < failed_) {
      failed_ = block;
      failure_ = std::move(status);
    }
    return;
  }
}

}  // namespace kvstore
