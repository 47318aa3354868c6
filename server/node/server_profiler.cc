#include "server/node/server_profiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <new>
#include <system_error>

#include "common/base/status_macros.h"
#include "common/trace/trace_file.h"

namespace kvstore {

void ServerProfiler::Stop() {
  std::thread thread;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    ordered_.NotifyAll();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void ServerProfiler::set_rank(uint32_t rank) {
  const MutexLock lock(mutex_);
  rank_ = rank;
}

void ServerProfiler::Order(ProfilerOrder order, const Done& done) {
  absl::Status refused = CheckProfilerOrder(static_cast<int32_t>(order.verb), order.parameters);
  if (refused.ok()) {
    const MutexLock lock(mutex_);
    try {
      if (stopping_) return;
      if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
      orders_.emplace_back(std::move(order), done);
      ordered_.NotifyAll();
      return;
    } catch (const std::system_error& error) {
      refused = absl::ResourceExhaustedError(
          fmt::format("profiler: a thread to work on expected: {}", error.what()));
    }
  }
  done(refused);
}

void ServerProfiler::Run() {
  while (true) {
    std::pair<ProfilerOrder, Done> next;
    {
      const MutexLock lock(mutex_);
      while (orders_.empty() && !stopping_) ordered_.Wait(mutex_);
      if (stopping_) return;
      next = std::move(orders_.front());
      orders_.pop_front();
    }
    absl::Status outcome;
    try {
      outcome = CarryOut(next.first);
    } catch (const std::bad_alloc&) {
      outcome = absl::ResourceExhaustedError("profiler: memory expected, the system has no more");
    }
    next.second(outcome);
  }
}

absl::Status ServerProfiler::CarryOut(const ProfilerOrder& order) {
  if (order.verb == ProfilerVerb::kSetConfig) return Configure(order.parameters);
  KVS_ASSIGN_OR_RETURN(const bool on, ParseProfilerSwitch(order.verb, order.parameters));
  switch (order.verb) {
    case ProfilerVerb::kState:
      if (on) {
        recorder_.Start();
      } else {
        recorder_.Stop();
      }
      spdlog::info("profiler: recording {}", on ? "begins" : "ends");
      return absl::OkStatus();
    case ProfilerVerb::kPause:
      recorder_.Pause(on);
      return absl::OkStatus();
    default:  // kDump
      if (on) recorder_.Stop();
      return Dump();
  }
}

v1::ProfilePiece ServerProfiler::Read(const v1::ReadProfileRequest& asked) {
  TraceNode node;
  {
    const MutexLock lock(mutex_);
    node.rank = rank_.value_or(0);
  }
  v1::ProfilePiece piece;
  piece.set_recording(recorder_.recording());
  piece.set_rank(node.rank);
  if (asked.lane() == 0 && asked.event() == 0) {
    piece.set_node_data(TraceNodeData(node, recorder_));
    piece.set_names(TraceNames(node, recorder_));
  }
  const auto& lanes = recorder_.lanes();
  if (asked.lane() < lanes.size()) {
    const std::vector<NamedEvent> events = lanes[asked.lane()]->Read(asked.event());
    for (const NamedEvent& event : events) {
      AppendTraceLines(node, asked.lane(), event, asked.shift_ns(), piece.mutable_events());
    }
    const bool more = events.size() == TraceLane::kBlockEvents;
    piece.set_next_lane(more ? asked.lane() : asked.lane() + 1);
    piece.set_next_event(more ? asked.event() + events.size() : 0);
    piece.set_last(piece.next_lane() == lanes.size());
  }
  piece.set_steady_ns(SteadyNowNs());
  return piece;
}

absl::Status ServerProfiler::Configure(const std::string& parameters) {
  KVS_ASSIGN_OR_RETURN(ProfilerConfig config, ParseProfilerConfig(parameters));
  KVS_RETURN_IF_ERROR(CheckTraceFolder(config.filename));
  if (!config.without_effect.empty()) {
    spdlog::warn(
        "profiler: {} have no effect here: a server records all that it does, and writes "
        "its file at kDump",
        fmt::join(config.without_effect, ", "));
  }
  config_ = std::move(config);
  return absl::OkStatus();
}

absl::Status ServerProfiler::Dump() {
  TraceNode node;
  {
    const MutexLock lock(mutex_);
    if (!rank_) return absl::FailedPreconditionError("profiler: this server has no rank yet");
    node.rank = *rank_;
  }
  const std::string path = ProfileFileOf(config_.filename, fmt::format("rank{}", node.rank));
  KVS_RETURN_IF_ERROR(WriteTraceFile(node, recorder_, path));
  spdlog::info("profiler: {} written", path);
  return absl::OkStatus();
}

}  // namespace kvstore
