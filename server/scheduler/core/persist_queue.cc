#include "server/scheduler/core/persist_queue.h"

#include <utility>

#include "common/base/check.h"

namespace kvstore {

void PersistQueue::Add(std::optional<v1::SchedulerState> state, std::function<void()> publish) {
  calls_.push_back({given_ + (state ? 1 : 0), std::move(publish)});
  if (state) {
    newest_.Swap(&*state);
    ++given_;
  }
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

void PersistQueue::NotBegun(v1::SchedulerState state) {
  KVS_CHECK(writing_ != 0);
  if (writing_ == given_) newest_.Swap(&state);
  writing_ = 0;
}

void PersistQueue::Publish() {
  while (!calls_.empty() && calls_.front().state <= written_) {
    const std::function<void()> publish = std::move(calls_.front().publish);
    calls_.pop_front();
    publish();
  }
}

}  // namespace kvstore
