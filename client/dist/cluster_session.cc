#include "client/dist/cluster_session.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>

#include "client/base/no_memory.h"
#include "client/base/sdk_log.h"
#include "client/dist/answer.h"
#include "client/dist/cluster_questions.h"
#include "client/dist/job_keys.h"
#include "client/dist/worker_options.h"
#include "common/base/allocator.h"
#include "common/base/await_memory.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/transport/methods.h"
#include "kvstore/kvstore.h"

namespace kvstore {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long an explanation waits for the servers' answers, and a failure report for the end of the
// job.
constexpr int64_t kInquiryMs = 1000;
// How much longer than the scheduler's own deadline we wait for its answer, which has to arrive.
constexpr int64_t kAnswerGraceMs = 2000;
// So many questions, of which the quickest tells most about the scheduler's clock.
constexpr int kClockQuestions = 8;

absl::Status StatusOf(const v1::JobEnded& ended) {
  if (ended.code() == 0) return absl::FailedPreconditionError("the job is over: every worker left");
  return absl::Status(static_cast<absl::StatusCode>(ended.code()), ended.message());
}

// The answer of all shards to one request, for a caller that blocks.
class BlockingSink final : public PartSink {
 public:
  PartAsks OnPart(Op, size_t, Completion completion) noexcept override {
    // The caller reads it on its own thread.
    answer.Give(WordedStatus(completion.status.code(),
                             [&completion] { return completion.status.message(); }));
    return {};
  }
  uint64_t operation_id() const override { return 0; }

  Answer<absl::Status> answer;
};

}  // namespace

ClusterSession::ClusterSession(std::shared_ptr<Transport> transport, const Environment& environment,
                               std::string store_type)
    : transport_(std::move(transport)),
      environment_(environment),
      store_type_(std::move(store_type)),
      profile_(environment_.profile.empty()
                   ? nullptr
                   : std::make_unique<WorkerProfile>(environment_.profile,
                                                     environment_.profile_bytes_max)),
      begun_(environment_.reads()),
      loop_owner_(transport_->MakeLoop("kvs-session")) {
  loop_ = loop_owner_.get();
  links_ = std::make_unique<ShardLinks>(
      transport_.get(), loop_, ClientOptionsOf(environment_), [this] { member_->Begin(); },
      profile_.get());
  member_ = std::make_unique<SchedulerSession>(
      transport_.get(), loop_, environment_.scheduler,
      MembershipOptionsOf(environment_, store_type_),
      [this](const MembershipOutbox& learned) { OnLearned(learned); });
  reach_ = std::make_unique<ServerReach>(transport_.get(), loop_, ReachOptionsOf(environment_));
}

ClusterSession::~ClusterSession() {
  const auto stop = [this] {
    EndJob(WordedStatus(absl::StatusCode::kCancelled, [] { return "the store was destroyed"; }));
    links_->Stop();
    reach_->Stop();
    member_->Stop();
  };
  AwaitMemory([&] { loop_->Post(stop); });
  loop_owner_.reset();
  if (profile_ != nullptr && workers_ != 0) WriteProfile();
}

void ClusterSession::WriteProfile() noexcept {
  try {
    const TraceNode node{/*is_server=*/false, rank_, reads() ? NodeLabel(environment_) : ""};
    const absl::Status written = profile_->Write(node, clock_ns_);
    if (!written.ok()) LogWarning(std::string(written.message()));
  } catch (const std::bad_alloc&) {
    LogWarning("no memory to write the profile of this process");
  }
}

int64_t ClusterSession::MeasureClock() {
  int64_t ahead_ns = 0;
  int64_t error_ns = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < kClockQuestions; ++i) {
    const int64_t asked_ns = SteadyNowNs();
    const absl::StatusOr<v1::ClusterStatus> status = AskScheduler();
    const int64_t answered_ns = SteadyNowNs();
    if (!status.ok() || (answered_ns - asked_ns) / 2 >= error_ns) continue;
    error_ns = (answered_ns - asked_ns) / 2;
    ahead_ns = (asked_ns + answered_ns) / 2 - status->steady_ns();
  }
  // On the scheduler's own host there is no difference, and a guess would only bring events out of
  // order.
  return std::abs(ahead_ns) <= error_ns ? 0 : ahead_ns;
}

absl::StatusOr<std::shared_ptr<ClusterSession>> ClusterSession::Join(
    std::shared_ptr<Transport> transport, const Environment& environment,
    const std::string& store_type) {
  if (environment.role != NodeRole::kWorkerRole && !environment.reads()) {
    return absl::FailedPreconditionError(fmt::format(
        "a store of type '{}' needs the role worker, or reader, KVSTORE_ROLE or DMLC_ROLE says {}",
        store_type, environment.role == NodeRole::kServerRole ? "server" : "scheduler"));
  }
  if (environment.scheduler.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("a store of type '{}' needs a scheduler: set KVSTORE_SCHEDULER=HOST:PORT (or "
                    "DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT), or run under `kvctl run`",
                    store_type));
  }
  TeachAllocatorLargeBlocks();
  std::shared_ptr<ClusterSession> session(
      new ClusterSession(std::move(transport), environment, store_type));
  session->loop_->Post([raw = session.get()] { raw->member_->Start(); });
  KVS_RETURN_IF_ERROR(session->WaitUntilComplete());
  if (session->profile_ != nullptr) session->clock_ns_ = session->MeasureClock();
  return session;
}

absl::Status ClusterSession::WaitUntilComplete() {
  const auto deadline = steady_clock::now() + milliseconds(environment_.connect_timeout_ms);
  {
    MutexLock lock(mutex_);
    bool in_time = true;
    while (routing_ == nullptr && !job_status_ && in_time) {
      in_time = changed_.WaitUntil(mutex_, deadline);
    }
    if (job_status_) return *job_status_;
    if (routing_ != nullptr) return absl::OkStatus();
  }
  const std::string what =
      reads()
          ? fmt::format("no job for this reader has begun at scheduler {}", environment_.scheduler)
          : fmt::format("the cluster of scheduler {} is not complete", environment_.scheduler);
  return absl::DeadlineExceededError(fmt::format(
      "{} after {} ms: {}", what, environment_.connect_timeout_ms, DescribeIncomplete()));
}

std::string ClusterSession::DescribeIncomplete() {
  const absl::StatusOr<v1::ClusterStatus> status = AskScheduler();
  if (!status.ok()) {
    return fmt::format("the scheduler does not answer ({})",
                       std::string(status.status().message()));
  }
  std::string text = WhoIsThere(*status);
  MutexLock lock(mutex_);
  if (!put_off_.empty()) {
    text += fmt::format("; this {} was put off: {}", reads() ? "reader" : "worker", put_off_);
  }
  return text;
}

absl::StatusOr<v1::ClusterStatus> ClusterSession::AskScheduler() {
  KVS_ASSIGN_OR_RETURN(const std::string bytes,
                       transport_->CallUnary(environment_.scheduler, kSchedulerStatusMethod, "",
                                             Scaled(kInquiryMs)));
  v1::ClusterStatus status;
  if (!status.ParseFromString(bytes)) {
    return absl::InternalError("a kvstore.v1.ClusterStatus expected, got other bytes");
  }
  return status;
}

int64_t ClusterSession::Scaled(int64_t ms) const { return ScaledTime(environment_, ms); }

absl::Status ClusterSession::JobStatus() const {
  MutexLock lock(mutex_);
  if (job_status_) return *job_status_;
  if (!left_) return absl::OkStatus();
  return absl::FailedPreconditionError(reads() ? "this reader is done with the job"
                                               : "this worker left the job");
}

void ClusterSession::OnLearned(const MembershipOutbox& out) {
  if (out.registered && workers_ == 0) {
    rank_ = out.registered->rank();
    workers_ = out.registered->workers();
    if (environment_.workers != 0 && environment_.workers != workers_) {
      EndJob(absl::FailedPreconditionError(
          fmt::format("this worker was told of {} workers, the scheduler {} of {}",
                      environment_.workers, environment_.scheduler, workers_)));
    }
  }
  if (out.proposal) OnProposal(*out.proposal);
  // The links get no table before this worker may begin (M7): until then it may still be replaced
  // by one with other servers.
  if (out.begun || (out.routing && member_->core().begun())) {
    const v1::Registered& identity = *member_->core().identity();
    links_->OnRouting(identity.cluster(), rank_, identity.incarnation(), member_->core().routing());
  }
  if (out.refused) EndJob(*out.refused);
  if (out.job_ended) EndJob(StatusOf(*out.job_ended));
  MutexLock lock(mutex_);
  if (out.routing) routing_ = out.routing;
  begun_ |= out.begun;
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

void ClusterSession::OnProposal(const v1::Proposal& proposal) {
  std::vector<ServerReach::Server> servers;
  for (const v1::ServerRoute& server : proposal.servers()) {
    servers.push_back({server.rank(), server.address()});
  }
  reach_->Try(std::move(servers), [this, attempt = proposal.attempt()](const absl::Status& status) {
    if (status.ok()) {
      member_->Confirm(attempt);
    } else {
      member_->NotReady(attempt, std::string(status.message()));
    }
  });
}

void ClusterSession::EndJob(const absl::Status& status) {
  {
    MutexLock lock(mutex_);
    if (job_status_) return;
    // Callers of other threads get it.
    job_status_ = WordedStatus(status.code(), [&status] { return status.message(); });
    changed_.NotifyAll();
  }
  links_->EndJob(status);
}

template <typename Task, typename Refused>
void ClusterSession::OnLoop(Task task, Refused refused) {
  loop_->Post([task = std::move(task), refused = std::move(refused)] {
    try {
      task();
    } catch (const std::bad_alloc&) {
      refused();
    }
  });
}

absl::Status ClusterSession::AskShards(const ShardRequest& request, const std::string& what) {
  const auto sink = std::make_shared<BlockingSink>();
  OnLoop([this, request, sink] { links_->AskShards(request, sink); },
         [sink] { sink->answer.Give(WordlessStatus(absl::StatusCode::kResourceExhausted)); });
  const auto deadline = steady_clock::now() + milliseconds(operation_timeout_ms());
  if (auto status = sink->answer.WaitUntil(deadline)) return *std::move(status);

  const auto late = std::make_shared<Answer<std::vector<WaitInfo>>>();
  OnLoop([this, sink, late] { late->Give(links_->WaitingFor(*sink)); }, [late] { late->Give({}); });
  return absl::DeadlineExceededError(fmt::format("{} is not done after {} ms: it waits for {}",
                                                 what, operation_timeout_ms(),
                                                 NamesOf(late->Wait())));
}

absl::Status ClusterSession::SetOptimizer(const OptimizerConfig& config) {
  ShardRequest request;
  request.op = Op::kCheckOptimizer;
  request.optimizer = config;
  KVS_RETURN_IF_ERROR(AskShards(request, "SetOptimizer"));
  request.op = Op::kSetOptimizer;
  return AskShards(request, "SetOptimizer");
}

absl::Status ClusterSession::ChangeNumbers(const std::string& optimizer,
                                           const NumbersChange& change) {
  ShardRequest request;
  request.op = Op::kSetNumbers;
  request.optimizer.name = optimizer;
  request.optimizer.parameters = change.numbers;
  request.step = change.from_step;
  return AskShards(request, "SetOptimizerNumbers");
}

absl::Status ClusterSession::SendCommand(Command command) {
  ShardRequest request;
  request.op = Op::kCommand;
  request.command = std::move(command);
  return AskShards(request, fmt::format("command {}", request.command.id));
}

absl::Status ClusterSession::SendProfilerOrder(const ProfilerOrder& order) {
  ShardRequest request;
  request.op = Op::kProfile;
  request.command = {static_cast<int32_t>(order.verb), order.parameters};
  return AskShards(request, fmt::format("profiler {}", ProfilerVerbName(order.verb)));
}

absl::StatusOr<std::vector<KeyInfo>> ClusterSession::Keys(const std::string& prefix) {
  KeysQuestion question;
  question.prefix = prefix;
  question.timeout_ms = operation_timeout_ms();
  question.try_ms = Scaled(question.try_ms);
  return KeysOfJob(*transport_, question, [this](int64_t pause_ms) -> absl::StatusOr<RoutingPtr> {
    const auto until = steady_clock::now() + milliseconds(pause_ms);
    MutexLock lock(mutex_);
    while (!job_status_ && changed_.WaitUntil(mutex_, until)) {
    }
    if (job_status_) return *job_status_;
    return routing_;
  });
}

absl::Status ClusterSession::Barrier() {
  const int64_t timeout_ms = operation_timeout_ms();
  const auto deadline = steady_clock::now() + milliseconds(timeout_ms + Scaled(kAnswerGraceMs));
  auto generation = std::make_shared<uint64_t>(0);     // guarded by mutex_
  const auto refused = std::make_shared<bool>(false);  // guarded by mutex_
  OnLoop(
      [this, generation, timeout_ms] {
        const uint64_t mine = member_->Barrier(static_cast<uint64_t>(timeout_ms));
        MutexLock lock(mutex_);
        *generation = mine;
        barrier_.reset();  // of the same generation, whose deadline passed before
      },
      [this, refused] {
        MutexLock lock(mutex_);
        *refused = true;
        changed_.NotifyAll();
      });
  MutexLock lock(mutex_);
  bool in_time = true;
  while (in_time) {
    if (*refused) return WordlessStatus(absl::StatusCode::kResourceExhausted);
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

absl::Status ClusterSession::Leave() {
  ShardRequest request;
  request.op = Op::kLeave;
  if (!reads()) KVS_RETURN_IF_ERROR(AskShards(request, "Leave"));
  OnLoop([this] { member_->Leave(); }, [] {});  // then the wait below ends at its deadline
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

void ClusterSession::ReportFailure(const std::string& message) {
  if (reads()) return;  // nobody relies on it
  OnLoop([this, message] { member_->ReportFailure(message); }, [] {});
  // The scheduler's answer to a failure is the end of the job.
  const auto deadline = steady_clock::now() + milliseconds(Scaled(kInquiryMs));
  {
    MutexLock lock(mutex_);
    bool in_time = true;
    while (!job_status_ && in_time) in_time = changed_.WaitUntil(mutex_, deadline);
  }
  OnLoop(
      [this, message] {
        EndJob(WordedStatus(absl::StatusCode::kCancelled,
                            [&message] { return "this worker gave up: " + message; }));
      },
      [] {});
}

absl::Status ClusterSession::Explain(const std::vector<OverdueOperation>& operations,
                                     int64_t waited_ms) {
  const auto answer = std::make_shared<Answer<std::vector<WaitInfo>>>();
  std::vector<uint64_t> ids;
  for (const OverdueOperation& operation : operations) ids.push_back(operation.id);
  OnLoop(
      [this, ids, answer] {
        links_->Explain(ids, Scaled(kInquiryMs),
                        [answer](std::vector<WaitInfo> infos) { answer->Give(std::move(infos)); });
      },
      [answer] { answer->Give({}); });
  return absl::DeadlineExceededError(
      fmt::format("{} is not done after {} ms ({} under way): it waits for {}",
                  operations.front().what, waited_ms,
                  operations.size() == 1 ? "one operation is"
                                         : fmt::format("{} operations are", operations.size()),
                  NamesOf(answer->Wait())));
}

std::string ClusterSession::NamesOf(const std::vector<WaitInfo>& infos) {
  RoutingPtr routing;
  bool begun = false;
  {
    MutexLock lock(mutex_);
    routing = routing_;
    begun = begun_;
  }
  if (!begun) return "the scheduler, to begin the job: " + DescribeIncomplete();
  return WaitedFor(*routing, infos);
}

absl::StatusOr<int> ClusterSession::DeadNodes(int node_id, int timeout_s) {
  KVS_RETURN_IF_ERROR(CheckNodeId(node_id));
  const absl::StatusOr<v1::ClusterStatus> status = AskScheduler();
  if (status.ok()) return CountDead(*status, node_id, timeout_s);
  if (node_id == kScheduler) return 1;
  return absl::UnavailableError(fmt::format("the scheduler {} does not answer: {}",
                                            environment_.scheduler,
                                            std::string(status.status().message())));
}

}  // namespace kvstore
