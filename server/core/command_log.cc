#include "server/core/command_log.h"

#include <algorithm>
#include <new>

namespace kvstore {

CommandLog::Arrival CommandLog::Arrived(const ReplyTo& from, const EntryHead& head) {
  const RequestId request = head.request;
  Worker& worker = workers_[from.incarnation];
  const auto known = worker.kept.find(request);
  // A repeat. It may come on a new stream: that is where the answer goes.
  if (known != worker.kept.end()) {
    Entry& entry = known->second;
    entry.to = from;
    return {entry.done ? Kind::kDone : Kind::kRunning, 0, entry.outcome};
  }
  // Perhaps a repeat of a command whose outcome was forgotten; running it once more would be wrong,
  // so it is refused.
  if (request <= worker.forgotten_through) return {Kind::kForgotten, 0, {}};
  // Makes room by forgetting the oldest that is done. Commands that are running must be kept: their
  // answers are still to come.
  auto oldest = worker.kept.end();
  if (worker.kept.size() >= kKeptMax) {
    oldest = std::find_if(worker.kept.begin(), worker.kept.end(),
                          [](const auto& each) { return each.second.done; });
    if (oldest == worker.kept.end()) return {Kind::kFull, 0, {}};
  }
  const auto running =
      running_.emplace(last_ticket_ + 1, std::pair(from.incarnation, request)).first;
  try {
    worker.kept.emplace(request, Entry{from, head, false, {}});
  } catch (const std::bad_alloc&) {
    running_.erase(running);
    throw;
  }
  // From here on nothing is allocated.
  if (oldest != worker.kept.end()) {
    worker.forgotten_through = std::max(worker.forgotten_through, oldest->first);
    worker.kept.erase(oldest);
  }
  return {Kind::kNew, ++last_ticket_, {}};
}

std::optional<CommandLog::Answer> CommandLog::Finish(uint64_t ticket, absl::Status outcome) {
  const auto running = running_.find(ticket);
  if (running == running_.end()) return std::nullopt;
  const auto [incarnation, request] = running->second;
  running_.erase(running);
  Entry& entry = workers_[incarnation].kept[request];
  entry.done = true;
  entry.outcome = std::move(outcome);
  return Answer{entry.to, entry.request};
}

void CommandLog::Clear() {
  workers_.clear();
  running_.clear();
}

}  // namespace kvstore
