// TraceEvent: one thing that a thread of a node did, as the profiler keeps it; and the ids that
// join what different nodes did for one contribution.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/hash.h"
#include "common/cluster/identity.h"

namespace kvstore {

// The kinds of work, and all names of spans in our files. docs/profiling.md says what each means on
// a worker and on a server; tools/check_trace.py knows the same list.
enum class TraceKind : uint8_t { kPush, kFold, kUpdate, kPull, kWait };

constexpr std::string_view TraceKindName(TraceKind kind) {
  constexpr std::string_view kNames[] = {"push", "fold", "update", "pull", "wait"};
  return kNames[static_cast<size_t>(kind)];
}

// How a contribution passes through a span: it begins there, comes by, or ends. As "s", "t" and "f"
// of the trace-event format.
enum class FlowStep : uint8_t { kNone, kBegins, kPasses, kEnds };

inline constexpr WorkerRank kNoRank = ~WorkerRank{0};

// Fixed size, so that the memory of a recording is known beforehand.
struct TraceEvent {
  int64_t begin_ns = 0;  // of the steady clock
  int64_t duration_ns = 0;
  KeyId key = 0;
  Round round = 0;
  uint64_t bytes = 0;
  uint64_t flow = 0;  // FlowId, where `step` is not kNone
  PartIndex part = 0;
  WorkerRank rank = kNoRank;  // kNoRank: of no single worker
  TraceKind kind = TraceKind::kPush;
  FlowStep step = FlowStep::kNone;
  // False: not a span, but one more contribution that passes through the span of the same thread
  // that began at begin_ns.
  bool is_span = true;
};
static_assert(sizeof(TraceEvent) == 64);

// Names a contribution: what `rank` pushed to `round` of a part. Worker and server compute the same
// number, so nothing has to be told. Two of a trace of a million have the same with a probability
// of 3e-8; then a picture has an arrow too many.
constexpr uint64_t FlowId(JobId job, PartId part, Round round, WorkerRank rank) {
  return Mix64(Mix64(Mix64(Mix64(part.key) + part.part) + round) + (job << 32) + rank);
}

}  // namespace kvstore
