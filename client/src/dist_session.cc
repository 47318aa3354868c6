#include "client/src/dist_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "client/src/sdk_log.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kStatusMethod[] = "/kvstore.v1.Scheduler/GetStatus";
// How long an explanation waits for the servers' answers, and a failure report for its way out.
constexpr int64_t kInquiryMs = 1000;
// Beyond the deadline that the scheduler was given, for its answer to arrive.
constexpr int64_t kAnswerGraceMs = 2000;

std::string NodeLabel(const Environment& environment) {
  std::string host = environment.node_host;
  if (host.empty()) {
    char name[256] = "localhost";
    if (gethostname(name, sizeof name - 1) != 0) name[0] = '\0';
    host = name;
  }
  return fmt::format("{}:{}", host, getpid());
}

MembershipOptions MembershipOf(const Environment& environment, const std::string& store_type) {
  MembershipOptions options;
  std::random_device random;
  v1::Register& registration = options.registration;
  registration.set_role(v1::ROLE_WORKER);
  registration.set_address(NodeLabel(environment));
  registration.set_nonce((uint64_t{random()} << 32) | random());
  registration.set_store_type(store_type);
  registration.set_protocol(kProtocolVersion);
  if (environment.rank) registration.set_wanted_rank_plus_one(*environment.rank + 1);
  const auto scale = [&](int64_t* ms) {
    *ms = static_cast<int64_t>(static_cast<double>(*ms) * environment.time_scale);
  };
  scale(&options.redial_min_ms);
  scale(&options.redial_max_ms);
  scale(&options.register_timeout_ms);
  return options;
}

absl::Status StatusOf(const v1::JobEnded& ended) {
  if (ended.code() == 0) return absl::FailedPreconditionError("the job is over: every worker left");
  return absl::Status(static_cast<absl::StatusCode>(ended.code()), ended.message());
}

// Counts down the answers of one request, for a caller that blocks.
class BlockingSink final : public PartSink {
 public:
  void OnPart(const Completion& completion) override {
    MutexLock lock(mutex_);
    status_ = completion.status;
    done_ = true;
    changed_.NotifyAll();
  }
  uint64_t operation_id() const override { return 0; }
  // False at the deadline.
  bool Wait(steady_clock::time_point deadline, absl::Status* status) {
    MutexLock lock(mutex_);
    while (!done_) {
      if (!changed_.WaitUntil(mutex_, deadline) && !done_) return false;
    }
    *status = status_;
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool done_ KVS_GUARDED_BY(mutex_) = false;
  absl::Status status_ KVS_GUARDED_BY(mutex_);
};

}  // namespace

// A question to the servers: who is waited for? Shared by the caller and the loop.
struct DistSession::Inquiry {
  std::vector<Ticket> tickets;  // loop
  Mutex mutex;
  CondVar changed;
  bool done KVS_GUARDED_BY(mutex) = false;
  std::vector<WaitInfo> infos KVS_GUARDED_BY(mutex);
};

DistSession::DistSession(std::shared_ptr<Transport> transport, const Environment& environment,
                         std::string store_type)
    : transport_(std::move(transport)),
      environment_(environment),
      store_type_(std::move(store_type)),
      loop_(transport_->MakeLoop("kvs-session")) {
  timer_ = std::make_unique<LoopTimer>(loop_.get(), [this] { OnTimer(); });
  member_ = std::make_unique<SchedulerSession>(
      transport_.get(), loop_.get(), environment_.scheduler,
      MembershipOf(environment_, store_type_),
      [this](const MembershipOutbox& learned) { OnLearned(learned); });
}

DistSession::~DistSession() {
  loop_->Post([this] {
    shards_.clear();
    member_->Stop();
  });
  loop_.reset();
}

int64_t DistSession::Scaled(int64_t ms) const {
  return static_cast<int64_t>(static_cast<double>(ms) * environment_.time_scale);
}

absl::StatusOr<std::shared_ptr<DistSession>> DistSession::Join(std::shared_ptr<Transport> transport,
                                                               const Environment& environment,
                                                               const std::string& store_type) {
  if (environment.scheduler.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("a store of type '{}' needs a scheduler: set KVSTORE_SCHEDULER=HOST:PORT (or "
                    "DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT), or run under `kvctl run`",
                    store_type));
  }
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
    while (!routed_ && !job_status_) {
      if (!changed_.WaitUntil(mutex_, deadline)) break;
    }
    if (job_status_) return *job_status_;
    if (routed_) return absl::OkStatus();
  }
  return absl::DeadlineExceededError(
      fmt::format("the cluster of scheduler {} is not complete after {} ms: {}",
                  environment_.scheduler, environment_.connect_timeout_ms, DescribeIncomplete()));
}

std::string DistSession::DescribeIncomplete() {
  const absl::StatusOr<std::string> bytes =
      transport_->CallUnary(environment_.scheduler, kStatusMethod, "", kInquiryMs);
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

absl::Status DistSession::JobStatus() const {
  MutexLock lock(mutex_);
  return job_status_.value_or(absl::OkStatus());
}

void DistSession::Add(std::vector<PartRequest> requests, std::shared_ptr<PartSink> sink) {
  MutexLock lock(mutex_);
  queued_.push_back({std::move(requests), std::move(sink)});
}

void DistSession::Flush() {
  {
    MutexLock lock(mutex_);
    if (queued_.empty() || flush_posted_) return;
    flush_posted_ = true;
  }
  loop_->Post([this] { SubmitQueued(); });
}

absl::Status DistSession::AskShards(ShardRequest request) {
  auto sink = std::make_shared<BlockingSink>();
  loop_->Post([this, request = std::move(request), sink] { SubmitToShards(request, sink); });
  absl::Status status;
  const auto deadline = steady_clock::now() + milliseconds(operation_timeout_ms());
  if (sink->Wait(deadline, &status)) return status;
  return absl::DeadlineExceededError(
      fmt::format("not every server answered within {} ms", operation_timeout_ms()));
}

absl::Status DistSession::SetOptimizer(const OptimizerConfig& config) {
  ShardRequest request;
  request.op = Op::kSetOptimizer;
  request.optimizer = config;
  return AskShards(std::move(request));
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
  while (true) {
    if (barrier_ && barrier_->generation == *generation) return barrier_->status;
    if (job_status_) return *job_status_;
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  return absl::DeadlineExceededError(
      scheduler_connected_
          ? fmt::format("the scheduler {} did not answer the barrier", environment_.scheduler)
          : fmt::format("the scheduler {} is not reachable, so nobody knows who is missing",
                        environment_.scheduler));
}

absl::Status DistSession::Leave() {
  ShardRequest request;
  request.op = Op::kLeave;
  KVS_RETURN_IF_ERROR(AskShards(std::move(request)));
  loop_->Post([this] { member_->Leave(); });
  const auto deadline = steady_clock::now() + milliseconds(operation_timeout_ms());
  MutexLock lock(mutex_);
  while (!left_ && !job_status_) {
    if (!changed_.WaitUntil(mutex_, deadline)) {
      return absl::DeadlineExceededError(
          fmt::format("the scheduler {} did not confirm that this worker left within {} ms",
                      environment_.scheduler, operation_timeout_ms()));
    }
  }
  return absl::OkStatus();
}

void DistSession::ReportFailure(const std::string& message) {
  loop_->Post([this, message] { member_->ReportFailure(message); });
  // The scheduler's answer to a failure is the end of the job.
  const auto deadline = steady_clock::now() + milliseconds(kInquiryMs);
  MutexLock lock(mutex_);
  while (!job_status_) {
    if (!changed_.WaitUntil(mutex_, deadline)) return;
  }
}

absl::Status DistSession::Explain(const std::vector<OverdueOperation>& operations,
                                  int64_t waited_ms) {
  std::set<uint64_t> ids;
  for (const OverdueOperation& operation : operations) ids.insert(operation.id);
  auto inquiry = std::make_shared<Inquiry>();
  loop_->Post([this, ids, inquiry] {
    for (const auto& [ticket, sink] : sinks_) {
      if (ids.count(sink->operation_id()) > 0) inquiry->tickets.push_back(ticket);
    }
    inquiries_.push_back(inquiry);
    ClientOutbox out;
    if (core_ != nullptr) core_->Probe(inquiry->tickets, &out);
    HandleClient(std::move(out));
  });
  loop_->PostAfter(Scaled(kInquiryMs), [this] { CheckInquiries(/*late=*/true); });

  std::vector<WaitInfo> infos;
  {
    MutexLock lock(inquiry->mutex);
    while (!inquiry->done) inquiry->changed.Wait(inquiry->mutex);
    infos = inquiry->infos;
  }
  const RoutingPtr routing = [this] {
    MutexLock lock(mutex_);
    return routing_;
  }();
  std::set<WorkerRank> workers;
  std::set<ServerRank> servers;
  for (const WaitInfo& info : infos) {
    workers.insert(info.missing.begin(), info.missing.end());
    if (info.missing.empty()) servers.insert(info.shard.server);
  }
  std::vector<std::string> names;
  for (const WorkerRank rank : workers) names.push_back(routing->WorkerName(rank));
  if (workers.empty()) {
    for (const ServerRank rank : servers) names.push_back(routing->ServerName(rank));
  }
  if (names.empty()) names.push_back("operations before it");
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return absl::DeadlineExceededError(
      fmt::format("{} is not done after {} ms ({} operations under way): it waits for {}",
                  operations.front().what, waited_ms, operations.size(), list));
}

absl::StatusOr<int> DistSession::DeadNodes(int node_id, int timeout_s) {
  if (node_id < 1) {
    return absl::InvalidArgumentError(
        fmt::format("a node id or a sum of node groups (1 or more) expected, got {}", node_id));
  }
  // Groups: scheduler 1, servers 2, workers 4, any sum; nodes: server r is 8+2r, worker r 9+2r.
  const bool group = node_id < 8;
  int dead = 0;
  const absl::StatusOr<std::string> bytes =
      transport_->CallUnary(environment_.scheduler, kStatusMethod, "", Scaled(kInquiryMs));
  v1::ClusterStatus status;
  if (!bytes.ok() || !status.ParseFromString(*bytes)) {
    if (node_id == 1) return 1;
    return absl::UnavailableError(fmt::format("the scheduler {} does not answer: {}",
                                              environment_.scheduler,
                                              std::string(bytes.status().message())));
  }
  for (const v1::NodeStatus& node : status.nodes()) {
    const bool server = node.role() == v1::ROLE_SERVER;
    const bool asked = group ? (node_id & (server ? 2 : 4)) != 0
                             : node_id == (server ? 8 : 9) + 2 * static_cast<int>(node.rank());
    if (!asked || node.health() == v1::HEALTH_LEFT) continue;
    const bool silent = timeout_s >= 0 && node.silent_ms() >= uint64_t{1000} * timeout_s;
    if (node.health() == v1::HEALTH_DEAD || silent) ++dead;
  }
  return dead;
}

// ---- on the loop

void DistSession::SubmitQueued() {
  std::vector<Queued> queued;
  {
    MutexLock lock(mutex_);
    queued.swap(queued_);
    flush_posted_ = false;
  }
  std::vector<PartRequest> requests;
  for (Queued& each : queued) {
    for (PartRequest& request : each.requests) {
      request.ticket = ++last_ticket_;
      sinks_[request.ticket] = each.sink;
      requests.push_back(std::move(request));
    }
  }
  ClientOutbox out;
  core_->Submit(SteadyNowMs(), std::move(requests), &out);
  HandleClient(std::move(out));
}

void DistSession::SubmitToShards(ShardRequest request, std::shared_ptr<PartSink> sink) {
  request.ticket = ++last_ticket_;
  sinks_[request.ticket] = std::move(sink);
  ClientOutbox out;
  core_->Submit(SteadyNowMs(), std::move(request), &out);
  HandleClient(std::move(out));
}

void DistSession::HandleClient(ClientOutbox out) {
  for (const ClientOutbox::Send& send : out.frames) {
    shards_.at(send.to)->Send(EncodeFrame(send.frame));
  }
  for (const ShardAddress shard : out.dial) DialShard(shard);
  for (const Completion& done : out.done) {
    const auto it = sinks_.find(done.ticket);
    const std::shared_ptr<PartSink> sink = std::move(it->second);
    sinks_.erase(it);
    sink->OnPart(done);
  }
  if (!inquiries_.empty()) CheckInquiries(/*late=*/false);
  ArmTimer();
}

void DistSession::DialShard(ShardAddress shard) {
  StreamEvents events;
  events.on_message = [this, shard](const Payload& message) { OnShardMessage(shard, message); };
  events.on_closed = [this, shard](const absl::Status&) {
    ClientOutbox out;
    core_->OnStreamDown(SteadyNowMs(), shard);
    HandleClient(std::move(out));
  };
  shards_[shard] =
      transport_->Dial(*loop_, member_->core().routing()->servers[shard.server].address,
                       fmt::format("/kvstore.v1.Data/Shard{}", shard.shard), std::move(events));
  ClientOutbox out;
  core_->OnStreamUp(SteadyNowMs(), shard, &out);
  HandleClient(std::move(out));
}

void DistSession::OnShardMessage(ShardAddress shard, const Payload& message) {
  absl::StatusOr<Frame> frame = DecodeFrame(message);
  if (!frame.ok()) {
    LogWarningOnce(fmt::format("{} sent bytes that are no frame: {}",
                               member_->core().routing()->ServerName(shard.server),
                               std::string(frame.status().message())));
    return;
  }
  ClientOutbox out;
  core_->OnFrame(SteadyNowMs(), shard, *frame, &out);
  HandleClient(std::move(out));
}

void DistSession::OnLearned(const MembershipOutbox& out) {
  if (out.registered && core_ == nullptr) {
    rank_ = out.registered->rank();
    workers_ = out.registered->workers();
    if (environment_.workers != 0 && environment_.workers != workers_) {
      EndJob(absl::FailedPreconditionError(
          fmt::format("this worker was told of {} workers, the scheduler {} of {}",
                      environment_.workers, environment_.scheduler, workers_)));
    }
  }
  if (out.routing) {
    if (core_ == nullptr) {
      ClientCoreOptions options;
      options.try_ms = Scaled(options.try_ms);
      options.redial_min_ms = Scaled(options.redial_min_ms);
      options.redial_max_ms = Scaled(options.redial_max_ms);
      core_ = std::make_unique<ClientCore>(options, member_->core().identity()->cluster(), rank_,
                                           member_->core().identity()->incarnation());
    }
    ClientOutbox client;
    core_->OnRouting(SteadyNowMs(), out.routing, &client);
    HandleClient(std::move(client));
  }
  if (out.refused) EndJob(*out.refused);
  if (out.job_ended) EndJob(StatusOf(*out.job_ended));
  {
    MutexLock lock(mutex_);
    if (out.routing) {
      routing_ = out.routing;
      routed_ = true;
    }
    for (const v1::BarrierReply& reply : out.barriers) {
      barrier_ =
          BarrierResult{reply.generation(),
                        absl::Status(static_cast<absl::StatusCode>(reply.code()), reply.message())};
    }
    left_ |= out.left;
    put_off_ = member_->trouble();
    scheduler_connected_ = member_->core().connected();
    changed_.NotifyAll();
  }
}

void DistSession::EndJob(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    if (job_status_) return;
    job_status_ = status;
    changed_.NotifyAll();
  }
  if (core_ == nullptr) return;
  ClientOutbox out;
  core_->OnJobEnded(status, &out);
  HandleClient(std::move(out));
}

void DistSession::OnTimer() {
  const int64_t now_ms = SteadyNowMs();
  if (core_ != nullptr && core_->NextTimerMs() <= now_ms) {
    ClientOutbox out;
    core_->OnTimer(now_ms, &out);
    HandleClient(std::move(out));
  }
  ArmTimer();
}

void DistSession::ArmTimer() {
  if (core_ != nullptr) timer_->Arm(core_->NextTimerMs());
}

void DistSession::CheckInquiries(bool late) {
  for (auto it = inquiries_.begin(); it != inquiries_.end();) {
    Inquiry& inquiry = **it;
    std::vector<WaitInfo> infos;
    if (core_ != nullptr) infos = core_->WaitingFor(inquiry.tickets);
    const bool answered =
        std::all_of(infos.begin(), infos.end(), [](const WaitInfo& info) { return info.answered; });
    if (!answered && !late) {
      ++it;
      continue;
    }
    {
      MutexLock lock(inquiry.mutex);
      inquiry.infos = std::move(infos);
      inquiry.done = true;
      inquiry.changed.NotifyAll();
    }
    it = inquiries_.erase(it);
  }
}

}  // namespace kvstore
