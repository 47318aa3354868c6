// LoopTimer: the alarm clock between a core's NextTimerMs() and its OnTimer(). PostAfter cannot be
// cancelled; this class makes that harmless.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "common/transport/transport.h"

namespace kvstore {

// Loop-bound; may be destroyed while armed, on its loop or after it.
class LoopTimer {
 public:
  // `loop` outlives the timer; `fire` runs on it.
  LoopTimer(EventLoop* loop, std::function<void()> fire)
      : state_(std::make_shared<State>(State{loop, std::move(fire), INT64_MAX})) {}

  // Fires once, at `at_ms` (of the loop's NowMs) or later, unless it is armed for earlier: then
  // only that stands, as a core that is asked too early just names its next time again. INT64_MAX:
  // never.
  void Arm(int64_t at_ms) {
    if (at_ms >= state_->at_ms) return;
    const int64_t delay_ms = std::max<int64_t>(at_ms - state_->loop->NowMs(), 0);
    state_->loop->PostAfter(delay_ms, [weak = std::weak_ptr<State>(state_)] {
      const std::shared_ptr<State> state = weak.lock();
      if (state == nullptr || state->loop->NowMs() < state->at_ms) return;
      state->at_ms = INT64_MAX;
      state->fire();
    });
    state_->at_ms = at_ms;  // last: without memory for the alarm it is not armed
  }

 private:
  struct State {
    EventLoop* loop;
    std::function<void()> fire;
    int64_t at_ms;  // INT64_MAX: not armed
  };
  std::shared_ptr<State> state_;
};

}  // namespace kvstore
