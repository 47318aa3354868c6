// WorkerProfile: what a worker or a reader did, for the profiler, where KVSTORE_PROFILE asks for
// it: its pushes as they are handed to the network, the waits for the answers, and its pulls as
// they are written into arrays. The twin of the server's ShardRecorder; both compute the same id of
// a contribution (FlowId), which joins the worker's push, the server's fold and update, and the
// worker's pull.
//
// Loop-bound, but for Write.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "client/core/client_core.h"
#include "common/base/flat_map.h"
#include "common/trace/trace_json.h"
#include "common/trace/trace_recorder.h"
#include "common/wire/frame.h"

namespace kvstore {

class WorkerProfile {
 public:
  // Records from now on. `path`: as ProfilerConfig::filename; the file is worker<r>_ and its name,
  // of a reader reader-<host>-<pid>_.
  WorkerProfile(std::string path, uint64_t bytes_max);

  // A moment, for the calls below.
  static int64_t Now() { return SteadyNowNs(); }
  // The frame was encoded and handed to the network from `since` until now.
  void Sent(const RequestFrame& frame, int64_t since) noexcept;
  // The answer to a request about a part was taken, and written where it belongs, from `since`
  // until now.
  struct Taken {
    Op op = Op::kUnspecified;
    PartId id;
    RequestId request = 0;
    uint64_t bytes = 0;
  };
  void Took(const Taken& taken, int64_t since) noexcept;

  // Writes the file. `clock_ns`: how far this host's clock is ahead of the scheduler's. When nobody
  // records any more.
  absl::Status Write(const TraceNode& node, int64_t clock_ns) const;

 private:
  // A request that is under way: repeats of it change nothing.
  struct Open {
    int64_t since = 0;
    Round round = 0;
  };
  void NoteSent(const RequestFrame& frame, int64_t since);
  TraceEvent EventOf(TraceKind kind, PartId id, Round round, int64_t since, WorkerRank rank) const;
  void Record(const TraceEvent& event) noexcept;

  const std::string path_;
  TraceRecorder recorder_;
  TraceLane* const lane_;
  JobId job_ = 0;
  WorkerRank rank_ = 0;                // a reader's is kNoRank: what it asks is of no worker
  FlatMap<KeyId, std::string> names_;  // of keys that have one
  FlatMap<RequestId, Open> open_;
};

}  // namespace kvstore
