#include "server/scheduler/core/persist_queue.h"

#include <utility>

#include "common/base/check.h"

namespace kvstore {

void PersistQueue::Add(std::optional<v1::SchedulerState> state, std::function<void()> publish) {
  if (state) {
    newest_ = *std::move(state);
    ++given_;
  }
  calls_.push_back({given_, std::move(publish)});
  Publish();
}

std::optional<v1::SchedulerState> PersistQueue::NextWrite() {
  if (writing_ != 0 || written_ == given_) return std::nullopt;
  writing_ = given_;
  return std::move(newest_);
}

void PersistQueue::Written() {
  KVS_CHECK(writing_ != 0);
  written_ = writing_;
  writing_ = 0;
  Publish();
}

void PersistQueue::Publish() {
  while (!calls_.empty() && calls_.front().state <= written_) {
    const std::function<void()> publish = std::move(calls_.front().publish);
    calls_.pop_front();
    publish();
  }
}

}  // namespace kvstore
