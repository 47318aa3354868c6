#include "common/trace/trace_recorder.h"

#include <algorithm>
#include <new>
#include <utility>

namespace kvstore {

bool TraceLane::MakeRoom(KeyId key, std::string_view key_name) {
  if (!key_name.empty() && key_names_.find(key) == key_names_.end()) {
    const uint64_t bytes = key_name.size() + 2 * sizeof(std::string);  // about
    if (!recorder_->Take(bytes)) return false;
    taken_bytes_ += bytes;
    key_names_.emplace(key, key_name);
  }
  if (size_ < blocks_.size() * kBlockEvents) return true;
  if (!recorder_->Take(sizeof(Block))) return false;
  taken_bytes_ += sizeof(Block);
  blocks_.push_back(std::make_unique<Block>());
  return true;
}

void TraceLane::Record(const TraceEvent& event, std::string_view key_name) noexcept {
  const MutexLock lock(mutex_);
  if (event.begin_ns < began_ns_) return;
  try {
    if (lost_ == 0 && MakeRoom(event.key, key_name)) {
      (*blocks_[size_ / kBlockEvents])[size_ % kBlockEvents] = event;
      ++size_;
      return;
    }
  } catch (const std::bad_alloc&) {
  }
  ++lost_;  // and so is all that follows: see the head of the header
}

uint64_t TraceLane::size() const {
  const MutexLock lock(mutex_);
  return size_;
}

uint64_t TraceLane::lost() const {
  const MutexLock lock(mutex_);
  return lost_;
}

std::vector<NamedEvent> TraceLane::Read(uint64_t first) const {
  std::vector<NamedEvent> events;
  const MutexLock lock(mutex_);
  const uint64_t end = std::min(size_, first + kBlockEvents);
  for (uint64_t i = first; i < end; ++i) {
    const TraceEvent& event = (*blocks_[i / kBlockEvents])[i % kBlockEvents];
    const auto name = key_names_.find(event.key);
    events.push_back({event, name == key_names_.end() ? std::string() : name->second});
  }
  return events;
}

void TraceLane::Clear(int64_t began_ns) {
  const MutexLock lock(mutex_);
  blocks_.clear();
  key_names_ = {};
  size_ = 0;
  lost_ = 0;
  began_ns_ = began_ns;
  recorder_->Return(std::exchange(taken_bytes_, 0));
}

TraceLane* TraceRecorder::AddLane(std::string name) {
  lanes_.push_back(std::make_unique<TraceLane>(this, std::move(name)));
  return lanes_.back().get();
}

bool TraceRecorder::Take(uint64_t bytes) noexcept {
  uint64_t left = bytes_left_;
  while (left >= bytes) {
    if (bytes_left_.compare_exchange_weak(left, left - bytes)) return true;
  }
  return false;
}

void TraceRecorder::Start() {
  const MutexLock lock(mutex_);
  on_.store(false, std::memory_order_relaxed);
  const int64_t now_ns = SteadyNowNs();
  for (const std::unique_ptr<TraceLane>& lane : lanes_) lane->Clear(now_ns);
  ++recording_;
  running_ = true;
  Set();
}

void TraceRecorder::Stop() {
  const MutexLock lock(mutex_);
  running_ = false;
  Set();
}

void TraceRecorder::Pause(bool pause) {
  const MutexLock lock(mutex_);
  pauses_ = pause;
  Set();
}

uint64_t TraceRecorder::recording() const {
  const MutexLock lock(mutex_);
  return recording_;
}

}  // namespace kvstore
