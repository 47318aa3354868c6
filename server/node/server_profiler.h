// ServerProfiler: the profiler of one server: carries out what SetServerProfilerCommand and
// `kvctl profile` order, on a thread of its own, because a dump writes a file of up to some hundred
// MiB. Its recorder is filled by the shards' threads (server/service/shard_recorder.h).
//
// Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/model/profiler_order.h"
#include "common/trace/trace_json.h"
#include "common/trace/trace_recorder.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

class ServerProfiler {
 public:
  using Done = std::function<void(absl::Status)>;

  explicit ServerProfiler(uint64_t bytes_max) : recorder_(bytes_max) {}
  ~ServerProfiler() { Stop(); }
  // Ends its thread, after the order that it is at. Others that have not begun are dropped; their
  // `done` is not called.
  void Stop() KVS_EXCLUDES(mutex_);

  TraceRecorder& recorder() { return recorder_; }
  void set_rank(uint32_t rank) KVS_EXCLUDES(mutex_);

  // Has the order carried out, after those before it; then calls `done`, once, on the profiler's
  // thread. May throw std::bad_alloc, and then does neither; std::system_error means the same here
  // and becomes RESOURCE_EXHAUSTED.
  // Errors: INVALID_ARGUMENT: CheckProfilerOrder's; FAILED_PRECONDITION: a folder that is not
  // there, a file that cannot be written, a dump of a server that has no rank yet.
  void Order(ProfilerOrder order, const Done& done) KVS_EXCLUDES(mutex_);
  // A piece of what is recorded by now, of at most TraceLane::kBlockEvents events.
  v1::ProfilePiece Read(const v1::ReadProfileRequest& asked) KVS_EXCLUDES(mutex_);

 private:
  void Run() KVS_EXCLUDES(mutex_);
  absl::Status CarryOut(const ProfilerOrder& order) KVS_EXCLUDES(mutex_);
  absl::Status Configure(const std::string& parameters);
  absl::Status Dump() KVS_EXCLUDES(mutex_);

  TraceRecorder recorder_;
  ProfilerConfig config_;  // the profiler's thread's

  Mutex mutex_;
  CondVar ordered_;
  bool stopping_ KVS_GUARDED_BY(mutex_) = false;
  std::optional<uint32_t> rank_ KVS_GUARDED_BY(mutex_);
  std::deque<std::pair<ProfilerOrder, Done>> orders_ KVS_GUARDED_BY(mutex_);
  std::thread thread_ KVS_GUARDED_BY(mutex_);  // begun by the first order
};

}  // namespace kvstore
