// PersistQueue: rule S1 (scheduler_core.h) with a disk that takes its time. What a call wants to
// publish waits until the state that the call left behind is on disk. One state is written at a
// time; calls that come meanwhile share the next write, which is of the newest state.
//
// Example: call 1 changes the state, and its write begins. Calls 2 and 3 change it, too; call 4
// does not. When state 1 is on disk call 1 is published, and state 3 is written; when that is on
// disk calls 2, 3 and 4 are published, in this order. State 2 is never written.
//
// Pure: the shell writes to its file, the simulator to its disk.
// Threading: thread-compatible.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "kvstore/v1/scheduler_state.pb.h"

namespace kvstore {

class PersistQueue {
 public:
  // `state`: the state that must be on disk before `publish` runs; nothing if the call changed
  // nothing. All that is published is published in the order of the calls; at once, when nothing
  // has to be written before it. May throw std::bad_alloc; then nothing was added. `publish` must
  // not throw.
  void Add(std::optional<v1::SchedulerState> state, std::function<void()> publish);
  // What is to be written now: nothing while a write is under way, or when all is on disk.
  std::optional<v1::SchedulerState> NextWrite();
  // The last NextWrite() is on disk.
  void Written();
  // The last NextWrite(), which was `state`, was not begun: it is still to be written, or what is
  // newer.
  void NotBegun(v1::SchedulerState state);

 private:
  struct Call {
    uint64_t state = 0;  // the number of the newest state when it came
    std::function<void()> publish;
  };
  void Publish();

  std::deque<Call> calls_;  // not published
  v1::SchedulerState newest_;
  // States by number, from 1: given, being written (0: none is), on disk.
  uint64_t given_ = 0;
  uint64_t writing_ = 0;
  uint64_t written_ = 0;
};

}  // namespace kvstore
