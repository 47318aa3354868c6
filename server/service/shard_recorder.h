// ShardRecorder: has what a shard's core does written into the lane of the shard's thread
// (common/trace).
#pragma once

#include "common/trace/trace_recorder.h"
#include "server/core/work_recorder.h"

namespace kvstore {

// Shard-bound.
class ShardRecorder final : public WorkRecorder {
 public:
  // `lane` outlives this. Null: nothing is ever recorded.
  explicit ShardRecorder(TraceLane* lane) : lane_(lane) {}

  // To be called before each event of the core: recording may have been turned on or off, by
  // another thread, since the last one.
  void Refresh() { on_ = lane_ != nullptr && lane_->on(); }
  // Contributions of different jobs are different ones.
  void set_job(JobId job) { job_ = job; }

  int64_t Now() const noexcept override { return SteadyNowNs(); }

  void Did(const WorkItem& item, int64_t since) noexcept override {
    TraceEvent event = EventOf(item, since);
    event.duration_ns = Now() - since;
    lane_->Record(event, item.key->name);
  }

  void Joined(const WorkItem& item, int64_t since) noexcept override {
    TraceEvent event = EventOf(item, since);
    event.is_span = false;
    lane_->Record(event, item.key->name);
  }

 private:
  TraceEvent EventOf(const WorkItem& item, int64_t since) const {
    TraceEvent event;
    event.begin_ns = since;
    event.key = item.key->key;
    event.round = item.round;
    event.bytes = item.bytes;
    event.part = item.part;
    event.rank = item.rank;
    event.kind = KindOf(item.work);
    if (item.contribution == 0) return event;
    event.step = FlowStep::kPasses;
    event.flow = FlowId(job_, {event.key, event.part}, item.contribution, item.rank);
    return event;
  }
  static TraceKind KindOf(Work work) {
    switch (work) {
      case Work::kPush:
        return TraceKind::kPush;
      case Work::kFold:
        return TraceKind::kFold;
      case Work::kUpdate:
        return TraceKind::kUpdate;
      case Work::kPull:
        return TraceKind::kPull;
      case Work::kWait:
        break;
    }
    return TraceKind::kWait;
  }

  TraceLane* const lane_;
  JobId job_ = 0;
};

static_assert(kOfNoWorker == kNoRank);

}  // namespace kvstore
