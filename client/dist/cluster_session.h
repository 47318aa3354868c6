// ClusterSession: a worker's membership of a cluster, or a reader's look at it, shared by the dist
// stores of the process. It
// owns the event loop, on which the session with the scheduler (SchedulerSession) and the links to
// the servers (ShardLinks) live, and it carries out what concerns the cluster as a whole: barriers,
// commands, the optimizer, leaving, and explanations of what is late. Those calls block: each hands
// its question to the loop and waits for the answer on the caller's thread.
//
// Thread-safe, except where a member is said to be of the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/base/environment.h"
#include "client/dist/server_reach.h"
#include "client/dist/shard_links.h"
#include "client/dist/worker_profile.h"
#include "client/order/dependency_engine.h"
#include "common/base/mutex.h"
#include "common/membership/scheduler_session.h"
#include "common/model/profiler_order.h"
#include "common/transport/transport.h"
#include "kvstore/kvstore.h"

namespace kvstore {

class ClusterSession {
 public:
  // Joins the cluster at `environment.scheduler` and returns when it is complete; in the role
  // reader when its job has begun. Errors: INVALID_ARGUMENT no scheduler is named;
  // FAILED_PRECONDITION the role is another one; DEADLINE_EXCEEDED it is not complete in time,
  // naming what is missing; what the scheduler refused it for.
  static absl::StatusOr<std::shared_ptr<ClusterSession>> Join(std::shared_ptr<Transport> transport,
                                                              const Environment& environment,
                                                              const std::string& store_type);
  // Closes all streams. What is still open ends as CANCELLED; no array is touched any more, but the
  // transport may hold borrowed bytes for a moment. Not from the loop.
  ~ClusterSession();

  // OK, or why nothing can be done any more: the job is over, or this worker left it.
  absl::Status JobStatus() const KVS_EXCLUDES(mutex_);
  bool InLoop() const { return loop_->InLoop(); }
  uint32_t rank() const { return rank_; }
  uint32_t workers() const { return workers_; }
  const std::string& store_type() const { return store_type_; }
  // A reader: in no barrier, and nobody to take leave of.
  bool reads() const { return environment_.reads(); }
  int64_t operation_timeout_ms() const { return environment_.operation_timeout_ms; }

  // Add and Flush on any thread, the rest on the loop.
  ShardLinks& links() { return *links_; }

  // The calls below block, for at most the operation timeout at each step. Not from the loop.
  // Asks all shards whether they would take it, then has them take it: what one refuses none takes.
  absl::Status SetOptimizer(const OptimizerConfig& config);
  // Changes numbers of that optimizer, which is set, in updates of a step and later.
  absl::Status ChangeNumbers(const std::string& optimizer, const NumbersChange& change);
  // Returns when every server ran it. Errors: name the servers that refused it or failed.
  absl::Status SendCommand(Command command);
  // The same of the servers' profilers.
  absl::Status SendProfilerOrder(const ProfilerOrder& order);
  absl::Status Barrier() KVS_EXCLUDES(mutex_);
  // Tells the servers (a reader has nothing to tell them), then the scheduler. No operation is
  // open.
  absl::Status Leave() KVS_EXCLUDES(mutex_);
  // Tells the scheduler, and waits a moment for its answer; then the job is over here in any case.
  void ReportFailure(const std::string& message) KVS_EXCLUDES(mutex_);
  // The keys of the job whose names, or numbers, begin with `prefix`, as all servers tell them.
  // Errors: those of KeysOfJob (job_keys.h), and how the job ended.
  absl::StatusOr<std::vector<KeyInfo>> Keys(const std::string& prefix) KVS_EXCLUDES(mutex_);
  // DEADLINE_EXCEEDED naming the workers or servers that the operations wait for.
  absl::Status Explain(const std::vector<OverdueOperation>& operations, int64_t waited_ms);
  // cluster_questions.h. UNAVAILABLE when the scheduler does not answer, unless it is what is asked
  // after: then it is the one that is dead.
  absl::StatusOr<int> DeadNodes(int node_id, int timeout_s);

 private:
  struct BarrierResult {
    uint64_t generation = 0;
    absl::Status status;
  };

  ClusterSession(std::shared_ptr<Transport> transport, const Environment& environment,
                 std::string store_type);
  absl::Status WaitUntilComplete() KVS_EXCLUDES(mutex_);
  std::string DescribeIncomplete() KVS_EXCLUDES(mutex_);
  absl::StatusOr<v1::ClusterStatus> AskScheduler();
  // How far this host's clock is ahead of the scheduler's; 0 where that cannot be told.
  int64_t MeasureClock();
  void WriteProfile() noexcept;
  int64_t Scaled(int64_t ms) const;

  // Loop.
  void OnLearned(const MembershipOutbox& learned) KVS_EXCLUDES(mutex_);
  // Confirms the job when all its servers are reached.
  void OnProposal(const v1::Proposal& proposal);
  // The first end of the job counts.
  void EndJob(const absl::Status& status) KVS_EXCLUDES(mutex_);

  // Runs `task` on the loop, and `refused`, which takes no memory, if it throws std::bad_alloc. May
  // throw that itself; then neither runs.
  template <typename Task, typename Refused>
  void OnLoop(Task task, Refused refused);
  // Waits for the answer of all shards that `request` goes to. `what` names it when that takes too
  // long.
  absl::Status AskShards(const ShardRequest& request, const std::string& what);
  std::string NamesOf(const std::vector<WaitInfo>& infos) KVS_EXCLUDES(mutex_);

  const std::shared_ptr<Transport> transport_;
  EventLoop* loop_ = nullptr;
  const Environment environment_;
  const std::string store_type_;
  uint32_t rank_ = 0;                             // fixed when Join returns
  uint32_t workers_ = 0;                          // likewise
  int64_t clock_ns_ = 0;                          // likewise; only with a profile
  const std::unique_ptr<WorkerProfile> profile_;  // null: nothing is recorded

  // What the loop learned, for callers that wait.
  mutable Mutex mutex_;
  CondVar changed_;
  bool left_ KVS_GUARDED_BY(mutex_) = false;
  // Why the scheduler puts this worker off, or cannot be reached: MembershipCore's words.
  std::string put_off_ KVS_GUARDED_BY(mutex_);
  bool scheduler_connected_ KVS_GUARDED_BY(mutex_) = false;
  RoutingPtr routing_ KVS_GUARDED_BY(mutex_);  // null until the cluster is complete
  bool begun_ KVS_GUARDED_BY(mutex_) = false;  // the scheduler has let this worker begin
  std::optional<absl::Status> job_status_ KVS_GUARDED_BY(mutex_);  // set when the job is over
  std::optional<BarrierResult> barrier_ KVS_GUARDED_BY(mutex_);    // the last one that ended

  // Loop.
  std::unique_ptr<ShardLinks> links_;
  std::unique_ptr<SchedulerSession> member_;
  std::unique_ptr<ServerReach> reach_;

  // Last: its destruction ends all use of the above. The loop's own tasks go through loop_, which
  // stays as it is until they are over.
  std::unique_ptr<EventLoop> loop_owner_;
};

}  // namespace kvstore
