// DistSession: a worker's membership of a cluster, shared by the dist stores of the process. One
// event loop runs the session with the scheduler (SchedulerSession) and the streams to the servers
// (ClientCore); callers of other threads hand work over and block on a condition variable.
//
//   caller -> Add(requests) ... Flush() -> loop: ClientCore -> frames -> streams
//   streams -> loop: DecodeFrame -> ClientCore -> PartSink::OnPart
//
// dist_session.cc is what happens on the loop, dist_session_calls.cc the calls that block.
// Thread-safe, except where a method says "loop".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/base/environment.h"
#include "client/core/client_core.h"
#include "client/order/dependency_engine.h"
#include "common/base/mutex.h"
#include "common/membership/scheduler_session.h"
#include "common/transport/loop_timer.h"
#include "common/transport/transport.h"

namespace kvstore {

// What becomes of the parts of one operation.
class PartSink {
 public:
  virtual ~PartSink() = default;
  // One request about a part is over: the one at `index` of the list that it came in. Returns what
  // the operation asks next. On the loop; must not block.
  virtual std::vector<PartRequest> OnPart(Op op, size_t index, const Completion& completion) = 0;
  // Of the operation, for explanations.
  virtual uint64_t operation_id() const = 0;
};

class DistSession {
 public:
  // Joins the cluster at `environment.scheduler` and returns when it is complete.
  // Errors: INVALID_ARGUMENT no scheduler is named; FAILED_PRECONDITION the role is not worker;
  // DEADLINE_EXCEEDED it is not complete in time, naming what is missing; what the scheduler
  // refused it for.
  static absl::StatusOr<std::shared_ptr<DistSession>> Join(std::shared_ptr<Transport> transport,
                                                           const Environment& environment,
                                                           const std::string& store_type);
  // Closes all streams. What is still open ends as CANCELLED; no array is touched any more, but the
  // transport may hold borrowed bytes for a moment. Not from the loop.
  ~DistSession();

  // OK, or why nothing can be done any more: the job is over, or this worker left it.
  absl::Status JobStatus() const KVS_EXCLUDES(mutex_);
  bool InLoop() const { return loop_->InLoop(); }
  uint32_t rank() const { return rank_; }
  uint32_t workers() const { return workers_; }
  const std::string& store_type() const { return store_type_; }

  // Queues requests (their tickets are filled in here); Flush sends what was queued, in few frames.
  void Add(std::vector<PartRequest> requests, std::shared_ptr<PartSink> sink) KVS_EXCLUDES(mutex_);
  void Flush() KVS_EXCLUDES(mutex_);

  // The calls below block, for at most the operation timeout at each step. Not from the loop.
  // Asks all shards whether they would take it, then has them take it: what one refuses none takes.
  absl::Status SetOptimizer(const OptimizerConfig& config);
  // Returns when every server ran it. Errors: name the servers that refused it or failed.
  absl::Status SendCommand(Command command);
  absl::Status Barrier();
  // Tells the servers, then the scheduler. No operation is open.
  absl::Status Leave();
  // Tells the scheduler, and waits a moment for its answer; then the job is over here in any case.
  void ReportFailure(const std::string& message) KVS_EXCLUDES(mutex_);
  // DEADLINE_EXCEEDED naming the workers or servers that the operations wait for.
  absl::Status Explain(const std::vector<OverdueOperation>& operations, int64_t waited_ms);
  absl::StatusOr<int> DeadNodes(int node_id, int timeout_s);

  int64_t operation_timeout_ms() const { return environment_.operation_timeout_ms; }

 private:
  struct Queued {
    std::vector<PartRequest> requests;
    std::shared_ptr<PartSink> sink;
  };
  struct BarrierResult {
    uint64_t generation = 0;
    absl::Status status;
  };

  DistSession(std::shared_ptr<Transport> transport, const Environment& environment,
              std::string store_type);
  absl::Status WaitUntilComplete() KVS_EXCLUDES(mutex_);
  std::string DescribeIncomplete();
  int64_t Scaled(int64_t ms) const;

  // Loop.
  void OnLearned(const MembershipOutbox& learned) KVS_EXCLUDES(mutex_);
  void HandleClient(ClientOutbox out);
  void DialShard(ShardAddress shard);
  void OnShardMessage(ShardAddress shard, const Payload& message);
  void SubmitQueued() KVS_EXCLUDES(mutex_);
  void Submit(std::vector<Queued> queued);
  void SubmitToShards(ShardRequest request, std::shared_ptr<PartSink> sink);
  void OnTimer();
  void ArmTimer();
  // The first end of the job counts.
  void EndJob(const absl::Status& status) KVS_EXCLUDES(mutex_);
  // A question to the servers: who is waited for?
  struct Inquiry;
  void BeginInquiry(const std::shared_ptr<Inquiry>& inquiry);
  // Ends the inquiries to which every server answered, and `late` in any case.
  void EndInquiries(const Inquiry* late);

  // Waits for the answer of all shards that `request` goes to. `what` names it when that takes too
  // long.
  absl::Status AskShards(ShardRequest request, const std::string& what);
  // Whom the request with this sink waits for.
  std::string LateShards(const std::shared_ptr<PartSink>& sink);
  // "worker 1 (host:pid)", "server 0 (host:port), which is not reachable": whom `infos` wait for.
  std::string WaitedFor(const std::vector<WaitInfo>& infos) const KVS_EXCLUDES(mutex_);

  const std::shared_ptr<Transport> transport_;
  EventLoop* loop_ = nullptr;
  const Environment environment_;
  const std::string store_type_;
  uint32_t rank_ = 0;     // fixed when Join returns
  uint32_t workers_ = 0;  // likewise

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<Queued> queued_ KVS_GUARDED_BY(mutex_);
  bool flush_posted_ KVS_GUARDED_BY(mutex_) = false;
  bool routed_ KVS_GUARDED_BY(mutex_) = false;
  bool left_ KVS_GUARDED_BY(mutex_) = false;
  std::string put_off_ KVS_GUARDED_BY(mutex_);
  bool scheduler_connected_ KVS_GUARDED_BY(mutex_) = false;
  RoutingPtr routing_ KVS_GUARDED_BY(mutex_);
  std::optional<absl::Status> job_status_ KVS_GUARDED_BY(mutex_);  // set when the job is over
  std::optional<BarrierResult> barrier_ KVS_GUARDED_BY(mutex_);

  // Loop.
  std::unique_ptr<ClientCore> core_;  // from the first routing table on
  std::map<ShardAddress, std::unique_ptr<MessageStream>> shards_;
  struct Open {
    std::shared_ptr<PartSink> sink;
    Op op = Op::kUnspecified;
    size_t index = 0;
  };
  absl::flat_hash_map<Ticket, Open> open_;
  Ticket last_ticket_ = 0;
  std::vector<std::shared_ptr<Inquiry>> inquiries_;
  std::unique_ptr<LoopTimer> timer_;
  std::unique_ptr<SchedulerSession> member_;

  // Last: its destruction ends all use of the above. The loop's own tasks go through loop_, which
  // stays as it is until they are over.
  std::unique_ptr<EventLoop> loop_owner_;
};

}  // namespace kvstore
