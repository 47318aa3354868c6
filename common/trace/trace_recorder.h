// TraceRecorder: what the threads of a node did while it was recording, in memory, for
// trace_json.h to write down. Each thread has a lane.
//
// Memory is bounded: all lanes together take at most `bytes_max`, in blocks of kBlockEvents events.
// When that is used up, or the system has none, what comes later is counted as lost and not kept.
// So a recording is whole up to the moment when it was full: no arrow of it lacks its beginning.
// (Overwriting the oldest would keep the newest, and cut the contributions that are under way.)
//
// Cost. Off: one relaxed load and a branch. On: two readings of the clock, a lock that nobody else
// wants, and 64 bytes written. bench/micro/trace_bench.cc measures both.
//
// Thread-safe; a lane's Record is for its own thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/flat_map.h"
#include "common/base/mutex.h"
#include "common/trace/trace_event.h"

namespace kvstore {

inline constexpr uint64_t kTraceBytesDefault = 64u << 20;

// An event, and the name of its key (empty for keys that are numbers).
struct NamedEvent {
  TraceEvent event;
  std::string key_name;
};

class TraceRecorder;

class TraceLane {
 public:
  static constexpr size_t kBlockEvents = 1024;

  TraceLane(TraceRecorder* recorder, std::string name)
      : recorder_(recorder), name_(std::move(name)) {}

  bool on() const;
  const std::string& name() const { return name_; }
  // Keeps the event, or counts it as lost. One that began before the recording did is neither.
  // `key_name`: empty for keys that are numbers.
  void Record(const TraceEvent& event, std::string_view key_name) noexcept KVS_EXCLUDES(mutex_);

  // How many events are kept. They stay, and stay in their order, until the next Start.
  uint64_t size() const KVS_EXCLUDES(mutex_);
  uint64_t lost() const KVS_EXCLUDES(mutex_);
  // Events `first`, `first` + 1, …, at most kBlockEvents of them; none after the last one.
  std::vector<NamedEvent> Read(uint64_t first) const KVS_EXCLUDES(mutex_);

 private:
  friend class TraceRecorder;
  using Block = std::array<TraceEvent, kBlockEvents>;

  // Gives the memory back; events from `began_ns` on are kept from now on.
  void Clear(int64_t began_ns) KVS_EXCLUDES(mutex_);
  // Whether there is a place for one more event about the key.
  bool MakeRoom(KeyId key, std::string_view key_name) KVS_REQUIRES(mutex_);

  TraceRecorder* const recorder_;
  const std::string name_;
  mutable Mutex mutex_;
  std::vector<std::unique_ptr<Block>> blocks_ KVS_GUARDED_BY(mutex_);
  FlatMap<KeyId, std::string> key_names_ KVS_GUARDED_BY(mutex_);
  uint64_t size_ KVS_GUARDED_BY(mutex_) = 0;
  uint64_t lost_ KVS_GUARDED_BY(mutex_) = 0;
  uint64_t taken_bytes_ KVS_GUARDED_BY(mutex_) = 0;
  int64_t began_ns_ KVS_GUARDED_BY(mutex_) = 0;
};

class TraceRecorder {
 public:
  explicit TraceRecorder(uint64_t bytes_max) : bytes_max_(bytes_max), bytes_left_(bytes_max) {}

  // One for each thread that records. They live as long as the recorder. Before anything else is
  // called.
  TraceLane* AddLane(std::string name);
  const std::vector<std::unique_ptr<TraceLane>>& lanes() const { return lanes_; }
  uint64_t bytes_max() const { return bytes_max_; }

  bool on() const { return on_.load(std::memory_order_relaxed); }
  // Forgets what was recorded, and records from now on.
  void Start() KVS_EXCLUDES(mutex_);
  // Records no more; what was recorded stays.
  void Stop() KVS_EXCLUDES(mutex_);
  // While it pauses, nothing is recorded; started or not is another matter.
  void Pause(bool pause) KVS_EXCLUDES(mutex_);
  // Counts the calls of Start: what is read of one recording must not be joined to another.
  uint64_t recording() const KVS_EXCLUDES(mutex_);

 private:
  friend class TraceLane;

  // Takes so much of what is left. False: there is not so much.
  bool Take(uint64_t bytes) noexcept;
  void Return(uint64_t bytes) noexcept { bytes_left_ += bytes; }
  void Set() KVS_REQUIRES(mutex_) { on_.store(running_ && !pauses_, std::memory_order_relaxed); }

  const uint64_t bytes_max_;
  std::atomic<uint64_t> bytes_left_;
  // A lane may see a change a moment late: events at the edges of a recording are nobody's promise.
  std::atomic<bool> on_{false};
  std::vector<std::unique_ptr<TraceLane>> lanes_;
  mutable Mutex mutex_;
  bool running_ KVS_GUARDED_BY(mutex_) = false;
  bool pauses_ KVS_GUARDED_BY(mutex_) = false;
  uint64_t recording_ KVS_GUARDED_BY(mutex_) = 0;
};

inline bool TraceLane::on() const { return recorder_->on(); }

}  // namespace kvstore
