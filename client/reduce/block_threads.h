// BlockThreads: a few threads that share the blocks of one long piece of arithmetic with the thread
// that has it to do: one core alone moves a half of what the memory of two can, a quarter of four.
//
// The blocks are given out one by one, so that a thread whose core is busy elsewhere takes fewer.
// Which thread does a block must not matter to its result. The helpers start with the first run of
// more than one block; where the system has none to give, the caller does all.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/base/mutex.h"

namespace kvstore {

// Threading: Run by one thread at a time.
class BlockThreads {
 public:
  static constexpr size_t kThreadsMax = 64;
  // Unless told otherwise: as many as MXNet takes. Memory is what they wait for, and the rest of
  // the program wants cores, too.
  static constexpr size_t kThreadsByDefault = 4;

  // `threads`: in all, with the one that calls Run; 0: the CPUs that affinity and cgroup allow, at
  // most kThreadsByDefault.
  explicit BlockThreads(size_t threads);
  ~BlockThreads();
  BlockThreads(const BlockThreads&) = delete;
  BlockThreads& operator=(const BlockThreads&) = delete;

  // No more threads than these ever work; each has a number below it, its seat.
  size_t seats() const { return seats_; }

  // `block` is done by the thread of the seat, on which nothing else is done meanwhile.
  using Work = absl::FunctionRef<absl::Status(size_t block, size_t seat)>;
  // Does each of the blocks [0, blocks), and returns when all are done. After an error no further
  // block is begun; of several errors that of the first block is returned. What a block throws
  // counts as the error of all, and is thrown here.
  absl::Status Run(size_t blocks, Work work) KVS_EXCLUDES(mutex_);

 private:
  static constexpr size_t kNone = SIZE_MAX;

  void Start() KVS_EXCLUDES(mutex_);
  void Help(size_t seat) KVS_EXCLUDES(mutex_);
  void DoBlocks(const Work& work, size_t blocks, size_t seat) KVS_EXCLUDES(mutex_);

  const size_t seats_;
  bool started_ = false;  // fields without a lock are those of the thread that calls Run
  std::vector<std::thread> helpers_;
  std::atomic<size_t> next_{0};  // block to be done; relaxed: the lock orders what they work on

  Mutex mutex_;
  CondVar called_;
  CondVar idle_;
  const Work* work_ KVS_GUARDED_BY(mutex_) = nullptr;  // null: there is none
  size_t blocks_ KVS_GUARDED_BY(mutex_) = 0;
  uint64_t run_ KVS_GUARDED_BY(mutex_) = 0;    // number of the run
  size_t helping_ KVS_GUARDED_BY(mutex_) = 0;  // helpers that are at it
  size_t failed_ KVS_GUARDED_BY(mutex_) = kNone;
  absl::Status failure_ KVS_GUARDED_BY(mutex_);  // of block failed_
  std::exception_ptr thrown_ KVS_GUARDED_BY(mutex_);
  bool stopping_ KVS_GUARDED_BY(mutex_) = false;
};

}  // namespace kvstore
