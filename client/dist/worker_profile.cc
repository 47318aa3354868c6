#include "client/dist/worker_profile.h"

#include <fmt/format.h>

#include <new>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/model/profiler_order.h"
#include "common/trace/trace_file.h"

namespace kvstore {

static_assert(kReaderRank == kNoRank);

WorkerProfile::WorkerProfile(std::string path, uint64_t bytes_max)
    : path_(std::move(path)), recorder_(bytes_max), lane_(recorder_.AddLane("kvs-session")) {
  recorder_.Start();
}

TraceEvent WorkerProfile::EventOf(TraceKind kind, PartId id, Round round, int64_t since,
                                  WorkerRank rank) const {
  TraceEvent event;
  event.kind = kind;
  event.begin_ns = since;
  event.duration_ns = Now() - since;
  event.key = id.key;
  event.part = id.part;
  event.round = round;
  event.rank = rank;
  return event;
}

void WorkerProfile::Record(const TraceEvent& event) noexcept {
  const auto name = names_.find(event.key);
  lane_->Record(event, name == names_.end() ? std::string_view() : std::string_view(name->second));
}

void WorkerProfile::Sent(const RequestFrame& frame, int64_t since) noexcept {
  try {
    NoteSent(frame, since);
  } catch (const std::bad_alloc&) {
    // What is not noted is not in the file: its wait is not, and its flow neither.
  }
}

// A frame of many pushes is one span, named by its first one, and the beginning of all of them. The
// span is recorded first: if there is room for what begins in it, there is a span around that.
void WorkerProfile::NoteSent(const RequestFrame& frame, int64_t since) {
  job_ = frame.header.job;
  rank_ = frame.header.rank;
  for (const KeySpec& key : frame.keys) {
    if (!key.name.empty()) names_.emplace(key.key, key.name);
  }
  TraceEvent span;
  for (const RequestEntry& entry : frame.entries) {
    if (entry.op != Op::kPush) continue;
    if (span.round == 0) {
      span = EventOf(TraceKind::kPush, entry.id(), entry.round, since, rank_);
    }
    span.bytes += entry.piece.data.size();
  }
  if (span.round != 0) Record(span);  // rounds of pushes begin with 1
  for (const RequestEntry& entry : frame.entries) {
    if (InfoOf(entry.op).scope != OpScope::kPart || entry.op == Op::kProbe) continue;
    const bool first_time = open_.emplace(entry.request, Open{since, entry.round}).second;
    if (entry.op != Op::kPush || !first_time || entry.piece.fragment != 0) continue;
    TraceEvent begins = EventOf(TraceKind::kPush, entry.id(), entry.round, since, rank_);
    begins.is_span = false;
    begins.step = FlowStep::kBegins;
    begins.flow = FlowId(job_, entry.id(), entry.round, rank_);
    Record(begins);
  }
}

void WorkerProfile::Took(const Taken& taken, int64_t since) noexcept {
  const auto open = open_.find(taken.request);
  if (open == open_.end()) return;
  const Open request = open->second;
  open_.erase(open);
  TraceEvent wait = EventOf(TraceKind::kWait, taken.id, request.round, request.since, rank_);
  wait.duration_ns = since - request.since;
  Record(wait);
  if (taken.op != Op::kPull) return;
  TraceEvent pull = EventOf(TraceKind::kPull, taken.id, request.round, since, rank_);
  pull.bytes = taken.bytes;
  // A reader's is nobody's contribution.
  if (request.round != 0 && rank_ != kReaderRank) {
    pull.step = FlowStep::kEnds;
    pull.flow = FlowId(job_, taken.id, request.round, rank_);
  }
  Record(pull);
}

absl::Status WorkerProfile::Write(const TraceNode& node, int64_t clock_ns) const {
  std::string file = fmt::format("worker{}", node.rank);
  if (!node.reader.empty()) {
    file = "reader-" + node.reader;
    for (char& each : file) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(each)) && each != '.') each = '-';
    }
  }
  return WriteTraceFile(node, recorder_, ProfileFileOf(path_, file),
                        fmt::format(R"(,"clock_minus_scheduler_ns":"{}")", clock_ns));
}

}  // namespace kvstore
