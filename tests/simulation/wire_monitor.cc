#include "tests/simulation/wire_monitor.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvstore::sim {

void WireMonitor::Submitted(Op op, PartId id, Round round, uint32_t fragment) {
  parts_[id].submitted.push_back({op, round, fragment, false});
}

void WireMonitor::Completed(Op op, PartId id, Round round) {
  for (Ask& ask : parts_[id].submitted) {
    if (ask.completed || ask.op != op || ask.round != round) continue;
    ask.completed = true;
    return;
  }
}

// C1, C2, C8: requests of a part go out in the order of submission, fragment by fragment, with the
// round that was named then; a push waits for the pulls before it.
void WireMonitor::FirstSent(const RequestEntry& entry) {
  PartLog& part = parts_[entry.id()];
  while (part.sent < part.submitted.size() && part.submitted[part.sent].completed) ++part.sent;
  if (part.sent == part.submitted.size()) world_.Fail(who_ + " sends what nobody submitted");
  const Ask& ask = part.submitted[part.sent++];
  if (ask.op != entry.op || ask.fragment != entry.piece.fragment ||
      (entry.op != Op::kInit && ask.round != entry.round)) {
    world_.Fail(
        fmt::format("{}: C1, C2, C8: {} round {} fragment {} of part {} expected next, sent "
                    "{} round {} fragment {}",
                    who_, OpName(ask.op), ask.round, ask.fragment, entry.part, OpName(entry.op),
                    entry.round, entry.piece.fragment));
  }
  if (entry.op != Op::kPush) return;
  for (size_t i = 0; i + 1 < part.sent; ++i) {
    const Ask& earlier = part.submitted[i];
    // C9.
    if (earlier.op == Op::kPush && !earlier.completed &&
        entry.round - earlier.round >= options_.rounds_ahead_max) {
      world_.Fail(
          fmt::format("{}: C9: round {} of part {} is sent while round {} is open, in a "
                      "window of {} rounds",
                      who_, entry.round, entry.part, earlier.round, options_.rounds_ahead_max));
    }
    if (part.submitted[i].op == Op::kPull && !part.submitted[i].completed) {
      world_.Fail(
          fmt::format("{}: C1: round {} of part {} is sent before an earlier pull has its "
                      "answer",
                      who_, entry.round, entry.part));
    }
  }
}

void WireMonitor::Abandoned(RequestId request) {
  for (auto& [stream, unanswered] : unanswered_) unanswered.erase(request);
}

void WireMonitor::Sent(ConnId stream, const RequestFrame& frame) {
  std::map<RequestId, uint64_t>& unanswered = unanswered_[stream];
  for (const RequestEntry& entry : frame.entries) {
    const uint64_t bytes = HashBytes(entry.piece.data.ToString());
    const auto [it, first] = requests_.try_emplace(entry.request, RequestLog{entry, bytes, false});
    RequestLog& log = it->second;
    if (first && (entry.op == Op::kInit || entry.op == Op::kPush || entry.op == Op::kPull)) {
      FirstSent(entry);
    }
    if (entry.op == Op::kProbe) {
      // Asked after before it was ever sent: nothing to compare with yet.
      if (first) requests_.erase(it);
      continue;
    }
    // C3.
    if (entry.op != log.first.op || entry.key != log.first.key || entry.part != log.first.part ||
        entry.round != log.first.round || entry.life != log.first.life ||
        entry.takes_back != log.first.takes_back || !entry.piece.SameFields(log.first.piece) ||
        bytes != log.bytes) {
      world_.Fail(fmt::format("{}: C3: request {} is sent again with other bytes, round or part",
                              who_, entry.request));
    }
    if (log.owned && !entry.piece.data.empty()) {
      world_.Fail(fmt::format("{}: C3: request {} is sent again although the server owns it", who_,
                              entry.request));
    }
    // C5.
    if (entry.piece.data.empty() || entry.op == Op::kNorms) continue;
    unanswered[entry.request] = entry.piece.data.size();
    uint64_t total = 0;
    for (const auto& [request, size] : unanswered) total += size;
    if (total > options_.window_bytes && unanswered.size() > 1) {
      world_.Fail(fmt::format("{}: C5: {} bytes unanswered on a stream, the window is {}", who_,
                              total, options_.window_bytes));
    }
  }
}

void WireMonitor::Delivered(ConnId stream, const ReplyFrame& frame) {
  for (const ReplyEntry& entry : frame.entries) {
    const auto it = requests_.find(entry.request);
    if (it == requests_.end()) continue;
    unanswered_[stream].erase(entry.request);
    it->second.owned = entry.code == absl::StatusCode::kOk && entry.retry_after_ms == 0 &&
                       entry.progress == Progress::kReceived;
  }
}

}  // namespace kvstore::sim
