// WorkRecorder: hears what a core does, for the profiler. The core says where work begins and ends
// and what it is about, and never learns when that was: the clock is on the other side
// (server/service/shard_recorder.h), so that the core stays pure.
#pragma once

#include <cstdint>

#include "common/cluster/identity.h"
#include "common/model/key_spec.h"

namespace kvstore {

enum class Work : uint8_t {
  kPush,    // a push, from its arrival until what it led to is done
  kFold,    // adding some of a contribution to the sum
  kUpdate,  // the next version made of the sum
  kPull,    // reading what a pull is answered
  kWait,    // a request that waits for the others: from when it came to its answer
};

inline constexpr WorkerRank kOfNoWorker = ~WorkerRank{0};

struct WorkItem {
  Work work = Work::kPush;
  const KeySpec* key = nullptr;
  PartIndex part = 0;
  Round round = 0;      // of a pull: the version it is given
  WorkerRank rank = 0;  // whose, or kOfNoWorker
  uint64_t bytes = 0;
  // The contribution that is worked on is this rank's to this round of the part. 0: none.
  Round contribution = 0;
};

// Shard-bound.
class WorkRecorder {
 public:
  virtual ~WorkRecorder() = default;
  // Whether anybody wants to hear of it. What is not on costs this question only.
  bool on() const { return on_; }
  // A moment, to be handed back. Never 0.
  virtual int64_t Now() const noexcept = 0;
  // It was done from `since` until now.
  virtual void Did(const WorkItem& item, int64_t since) noexcept = 0;
  // One more contribution, `item`'s rank's, went into the work that began at `since` and that Did
  // has told of (kUpdate).
  virtual void Joined(const WorkItem& item, int64_t since) noexcept = 0;

 protected:
  bool on_ = false;
};

// Work for as long as it lives. `recorder` may be null.
class WorkSpan {
 public:
  WorkSpan(WorkRecorder* recorder, const WorkItem& item)
      : recorder_(recorder != nullptr && recorder->on() ? recorder : nullptr) {
    if (recorder_ == nullptr) return;
    item_ = item;
    since_ = recorder_->Now();
  }
  ~WorkSpan() { End(); }
  // The work is over already.
  void End() {
    if (recorder_ != nullptr && !ended_) recorder_->Did(item_, since_);
    ended_ = true;
  }
  WorkSpan(const WorkSpan&) = delete;
  WorkSpan& operator=(const WorkSpan&) = delete;

  void set_bytes(uint64_t bytes) { item_.bytes = bytes; }
  // After End, and only if it is recorded: a contribution that went into it.
  bool recorded() const { return recorder_ != nullptr; }
  void Joins(WorkerRank rank, Round round) {
    WorkItem joins = item_;
    joins.rank = rank;
    joins.contribution = round;
    recorder_->Joined(joins, since_);
  }

 private:
  WorkRecorder* const recorder_;
  WorkItem item_;
  int64_t since_ = 0;
  bool ended_ = false;
};

}  // namespace kvstore
