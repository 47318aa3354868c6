// The calls of DistSession that block: each posts to the loop and waits for what comes of it.
#include <fmt/format.h>

#include <set>
#include <utility>

#include "client/dist/dist_inquiry.h"
#include "client/dist/dist_session.h"
#include "common/base/allocator.h"
#include "common/base/detached_status.h"
#include "common/base/status_macros.h"
#include "kvstore/kvstore.h"

namespace kvstore {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kStatusMethod[] = "/kvstore.v1.Scheduler/GetStatus";
// How long an explanation waits for answers, and a failure report for the end of the job.
constexpr int64_t kInquiryMs = 1000;
// Beyond the deadline that the scheduler was given, for its answer to arrive.
constexpr int64_t kAnswerGraceMs = 2000;

// The answer of all shards to one request, for a caller that blocks.
class BlockingSink final : public PartSink {
 public:
  std::vector<PartRequest> OnPart(Op, size_t, const Completion& completion) override {
    MutexLock lock(mutex_);
    status_ = Detached(completion.status);  // the caller reads it on its own thread
    done_ = true;
    changed_.NotifyAll();
    return {};
  }
  uint64_t operation_id() const override { return 0; }
  // Once. Nothing at the deadline.
  std::optional<absl::Status> Wait(steady_clock::time_point deadline) KVS_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    bool in_time = true;
    while (!done_ && in_time) in_time = changed_.WaitUntil(mutex_, deadline);
    // Moved: the sink may go last on the loop.
    return done_ ? std::optional(std::move(status_)) : std::nullopt;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool done_ KVS_GUARDED_BY(mutex_) = false;
  absl::Status status_ KVS_GUARDED_BY(mutex_);
};

std::string Joined(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

}  // namespace

absl::StatusOr<std::shared_ptr<DistSession>> DistSession::Join(std::shared_ptr<Transport> transport,
                                                               const Environment& environment,
                                                               const std::string& store_type) {
  if (environment.role != NodeRole::kWorkerRole) {
    return absl::FailedPreconditionError(fmt::format(
        "a store of type '{}' needs the role worker, KVSTORE_ROLE or DMLC_ROLE says {}", store_type,
        environment.role == NodeRole::kServerRole ? "server" : "scheduler"));
  }
  if (environment.scheduler.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("a store of type '{}' needs a scheduler: set KVSTORE_SCHEDULER=HOST:PORT (or "
                    "DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT), or run under `kvctl run`",
                    store_type));
  }
  TeachAllocatorLargeBlocks();
  std::shared_ptr<DistSession> session(
      new DistSession(std::move(transport), environment, store_type));
  session->loop_->Post([raw = session.get()] { raw->member_->Start(); });
  KVS_RETURN_IF_ERROR(session->WaitUntilComplete());
  return session;
}

absl::Status DistSession::WaitUntilComplete() {
  const auto deadline = steady_clock::now() + milliseconds(environment_.connect_timeout_ms);
  {
    MutexLock lock(mutex_);
    bool in_time = true;
    while (!routed_ && !job_status_ && in_time) in_time = changed_.WaitUntil(mutex_, deadline);
    if (job_status_) return *job_status_;
    if (routed_) return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      fmt::format("the cluster of scheduler {} is not complete after {} ms: {}",
                  environment_.scheduler, environment_.connect_timeout_ms, DescribeIncomplete()));
}

std::string DistSession::DescribeIncomplete() {
  const absl::StatusOr<std::string> bytes =
      transport_->CallUnary(environment_.scheduler, kStatusMethod, "", Scaled(kInquiryMs));
  v1::ClusterStatus status;
  if (!bytes.ok() || !status.ParseFromString(*bytes)) {
    return fmt::format("the scheduler does not answer ({})", std::string(bytes.status().message()));
  }
  uint32_t workers = 0;
  uint32_t servers = 0;
  for (const v1::NodeStatus& node : status.nodes()) {
    if (node.health() != v1::HEALTH_ALIVE && node.health() != v1::HEALTH_SUSPECT) continue;
    workers += node.role() == v1::ROLE_WORKER ? 1 : 0;
    servers += node.role() == v1::ROLE_SERVER ? 1 : 0;
  }
  std::string text = fmt::format("{} of {} workers and {} of {} servers are there", workers,
                                 status.workers(), servers, status.servers());
  MutexLock lock(mutex_);
  if (!put_off_.empty()) text += fmt::format("; this worker was put off: {}", put_off_);
  return text;
}

absl::Status DistSession::AskShards(ShardRequest request, const std::string& what) {
  auto sink = std::make_shared<BlockingSink>();
  loop_->Post([this, request = std::move(request), sink] { SubmitToShards(request, sink); });
  const auto deadline = steady_clock::now() + milliseconds(operation_timeout_ms());
  if (const std::optional<absl::Status> status = sink->Wait(deadline)) return *status;
  return absl::DeadlineExceededError(fmt::format("{} is not done after {} ms: it waits for {}",
                                                 what, operation_timeout_ms(), LateShards(sink)));
}

std::string DistSession::LateShards(const std::shared_ptr<PartSink>& sink) {
  const auto inquiry = std::make_shared<Inquiry>();
  loop_->Post([this, sink, inquiry] {
    for (const auto& [ticket, open] : open_) {
      if (open.sink == sink) inquiry->tickets.push_back(ticket);
    }
    inquiries_.push_back(inquiry);
    EndInquiries(inquiry.get());
  });
  MutexLock lock(inquiry->mutex);
  while (!inquiry->done) inquiry->changed.Wait(inquiry->mutex);
  return WaitedFor(inquiry->infos);
}

absl::Status DistSession::SetOptimizer(const OptimizerConfig& config) {
  ShardRequest request;
  request.op = Op::kCheckOptimizer;
  request.optimizer = config;
  KVS_RETURN_IF_ERROR(AskShards(request, "SetOptimizer"));
  request.op = Op::kSetOptimizer;
  return AskShards(std::move(request), "SetOptimizer");
}

absl::Status DistSession::SendCommand(Command command) {
  ShardRequest request;
  request.op = Op::kCommand;
  const std::string what = fmt::format("command {}", command.id);
  request.command = std::move(command);
  return AskShards(std::move(request), what);
}

absl::Status DistSession::Barrier() {
  const int64_t timeout_ms = operation_timeout_ms();
  const auto deadline = steady_clock::now() + milliseconds(timeout_ms + Scaled(kAnswerGraceMs));
  auto generation = std::make_shared<uint64_t>(0);  // guarded by mutex_
  loop_->Post([this, generation, timeout_ms] {
    const uint64_t mine = member_->Barrier(static_cast<uint64_t>(timeout_ms));
    MutexLock lock(mutex_);
    *generation = mine;
    barrier_.reset();  // of the same generation, whose deadline passed before
  });
  MutexLock lock(mutex_);
  bool in_time = true;
  while (in_time) {
    if (barrier_ && barrier_->generation == *generation) return barrier_->status;
    if (job_status_) return *job_status_;
    in_time = changed_.WaitUntil(mutex_, deadline);
  }
  return absl::DeadlineExceededError(
      scheduler_connected_
          ? fmt::format("the scheduler {} did not answer the barrier within {} ms",
                        environment_.scheduler, timeout_ms)
          : fmt::format("the scheduler {} was not reachable for {} ms, so nobody knows who is "
                        "missing in the barrier",
                        environment_.scheduler, timeout_ms));
}

absl::Status DistSession::Leave() {
  ShardRequest request;
  request.op = Op::kLeave;
  KVS_RETURN_IF_ERROR(AskShards(std::move(request), "Leave"));
  loop_->Post([this] { member_->Leave(); });
  const auto deadline = steady_clock::now() + milliseconds(operation_timeout_ms());
  MutexLock lock(mutex_);
  bool in_time = true;
  while (!left_ && !job_status_ && in_time) in_time = changed_.WaitUntil(mutex_, deadline);
  if (left_) return absl::OkStatus();
  if (job_status_) return *job_status_;
  return absl::DeadlineExceededError(
      fmt::format("the scheduler {} did not confirm that this worker left within {} ms",
                  environment_.scheduler, operation_timeout_ms()));
}

void DistSession::ReportFailure(const std::string& message) {
  loop_->Post([this, message] { member_->ReportFailure(message); });
  // The scheduler's answer to a failure is the end of the job.
  const auto deadline = steady_clock::now() + milliseconds(Scaled(kInquiryMs));
  {
    MutexLock lock(mutex_);
    bool in_time = true;
    while (!job_status_ && in_time) in_time = changed_.WaitUntil(mutex_, deadline);
  }
  loop_->Post([this, message] { EndJob(absl::CancelledError("this worker gave up: " + message)); });
}

absl::Status DistSession::Explain(const std::vector<OverdueOperation>& operations,
                                  int64_t waited_ms) {
  const auto inquiry = std::make_shared<Inquiry>();
  for (const OverdueOperation& operation : operations) inquiry->operations.push_back(operation.id);
  loop_->Post([this, inquiry] { BeginInquiry(inquiry); });
  loop_->PostAfter(Scaled(kInquiryMs), [this, inquiry] { EndInquiries(inquiry.get()); });
  std::vector<WaitInfo> infos;
  {
    MutexLock lock(inquiry->mutex);
    while (!inquiry->done) inquiry->changed.Wait(inquiry->mutex);
    infos = inquiry->infos;
  }
  return absl::DeadlineExceededError(
      fmt::format("{} is not done after {} ms ({} under way): it waits for {}",
                  operations.front().what, waited_ms,
                  operations.size() == 1 ? "one operation is"
                                         : fmt::format("{} operations are", operations.size()),
                  WaitedFor(infos)));
}

std::string DistSession::WaitedFor(const std::vector<WaitInfo>& infos) const {
  RoutingPtr routing;
  {
    MutexLock lock(mutex_);
    routing = routing_;
  }
  std::set<WorkerRank> workers;
  std::set<ServerRank> unreachable, late;
  for (const WaitInfo& info : infos) {
    workers.insert(info.missing.begin(), info.missing.end());
    if (!info.connected) {
      unreachable.insert(info.shard.server);
    } else if (info.missing.empty()) {
      late.insert(info.shard.server);
    }
  }
  std::vector<std::string> names;
  for (const WorkerRank rank : workers) names.push_back(routing->WorkerName(rank));
  for (const ServerRank rank : unreachable) {
    names.push_back(routing->ServerName(rank) + ", which is not reachable");
  }
  // A server that is late itself is news only if nobody else explains the wait: other parts of the
  // same value may simply be queued behind.
  if (names.empty()) {
    for (const ServerRank rank : late) names.push_back(routing->ServerName(rank));
  }
  if (names.empty()) return "this process: no request to a server is open";
  return Joined(names);
}

absl::StatusOr<int> DistSession::DeadNodes(int node_id, int timeout_s) {
  if (node_id < 1) {
    return absl::InvalidArgumentError(
        fmt::format("a node id or a sum of node groups (1 or more) expected, got {}", node_id));
  }
  // Groups: scheduler 1, servers 2, workers 4, any sum; nodes: server r is 8+2r, worker r 9+2r.
  const bool group = node_id < 8;
  const absl::StatusOr<std::string> bytes =
      transport_->CallUnary(environment_.scheduler, kStatusMethod, "", Scaled(kInquiryMs));
  v1::ClusterStatus status;
  if (!bytes.ok() || !status.ParseFromString(*bytes)) {
    if (node_id == kScheduler) return 1;
    return absl::UnavailableError(fmt::format("the scheduler {} does not answer: {}",
                                              environment_.scheduler,
                                              std::string(bytes.status().message())));
  }
  int dead = 0;
  for (const v1::NodeStatus& node : status.nodes()) {
    if (node.role() != v1::ROLE_SERVER && node.role() != v1::ROLE_WORKER) continue;
    const bool server = node.role() == v1::ROLE_SERVER;
    const int single = (server ? 8 : 9) + 2 * static_cast<int>(node.rank());
    const bool asked =
        group ? (node_id & (server ? kServerGroup : kWorkerGroup)) != 0 : node_id == single;
    if (!asked || node.health() == v1::HEALTH_LEFT) continue;
    const bool silent =
        timeout_s >= 0 && node.silent_ms() >= uint64_t{1000} * static_cast<uint64_t>(timeout_s);
    if (node.health() == v1::HEALTH_DEAD || silent) ++dead;
  }
  return dead;
}

}  // namespace kvstore
