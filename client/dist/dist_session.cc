// What happens on the loop of a DistSession.
#include "client/dist/dist_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

#include "client/base/sdk_log.h"
#include "client/dist/dist_inquiry.h"
#include "common/base/detached_status.h"

namespace kvstore {
namespace {

// Requests that one inquiry asks after: enough to name who is waited for.
constexpr size_t kTicketsPerInquiryMax = 256;

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
  registration.set_nonce((uint64_t{random()} << 32) | random() | 1);  // never 0
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

}  // namespace

DistSession::DistSession(std::shared_ptr<Transport> transport, const Environment& environment,
                         std::string store_type)
    : transport_(std::move(transport)),
      environment_(environment),
      store_type_(std::move(store_type)),
      loop_owner_(transport_->MakeLoop("kvs-session")) {
  loop_ = loop_owner_.get();
  timer_ = std::make_unique<LoopTimer>(loop_, [this] { OnTimer(); });
  member_ = std::make_unique<SchedulerSession>(
      transport_.get(), loop_, environment_.scheduler, MembershipOf(environment_, store_type_),
      [this](const MembershipOutbox& learned) { OnLearned(learned); });
}

DistSession::~DistSession() {
  loop_->Post([this] {
    EndJob(absl::CancelledError("the store was destroyed"));
    if (core_ != nullptr) SubmitQueued();
    shards_.clear();
    member_->Stop();
    timer_.reset();
  });
  loop_owner_.reset();
}

int64_t DistSession::Scaled(int64_t ms) const {
  return static_cast<int64_t>(static_cast<double>(ms) * environment_.time_scale);
}

absl::Status DistSession::JobStatus() const {
  MutexLock lock(mutex_);
  if (job_status_) return *job_status_;
  return left_ ? absl::FailedPreconditionError("this worker left the job") : absl::OkStatus();
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

// ---- on the loop

void DistSession::SubmitQueued() {
  std::vector<Queued> queued;
  {
    MutexLock lock(mutex_);
    queued.swap(queued_);
    flush_posted_ = false;
  }
  Submit(std::move(queued));
}

void DistSession::Submit(std::vector<Queued> queued) {
  std::vector<PartRequest> requests;
  size_t count = 0;
  for (const Queued& each : queued) count += each.requests.size();
  requests.reserve(count);
  for (Queued& each : queued) {
    for (size_t i = 0; i < each.requests.size(); ++i) {
      PartRequest& request = each.requests[i];
      request.ticket = ++last_ticket_;
      open_[request.ticket] = {each.sink, request.op, i};
      requests.push_back(std::move(request));
    }
  }
  ClientOutbox out;
  core_->Submit(SteadyNowMs(), std::move(requests), &out);
  HandleClient(std::move(out));
}

void DistSession::SubmitToShards(ShardRequest request, std::shared_ptr<PartSink> sink) {
  request.ticket = ++last_ticket_;
  open_[request.ticket] = {std::move(sink), request.op, 0};
  ClientOutbox out;
  core_->Submit(SteadyNowMs(), std::move(request), &out);
  HandleClient(std::move(out));
}

void DistSession::HandleClient(ClientOutbox out) {
  for (const ClientOutbox::Send& send : out.frames) {
    shards_.at(send.to)->Send(EncodeFrame(send.frame));
  }
  for (const ShardAddress shard : out.dial) DialShard(shard);
  std::vector<Queued> next;
  for (const Completion& done : out.done) {
    const auto it = open_.find(done.ticket);
    const Open open = std::move(it->second);
    open_.erase(it);
    std::vector<PartRequest> more = open.sink->OnPart(open.op, open.index, done);
    if (!more.empty()) next.push_back({std::move(more), open.sink});
  }
  if (!next.empty()) Submit(std::move(next));
  if (!inquiries_.empty()) EndInquiries(nullptr);
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
    // Nobody knows what was in it: a new stream asks again.
    shards_[shard]->Close();
    core_->OnStreamDown(SteadyNowMs(), shard);
    ArmTimer();
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
    job_status_ = Detached(status);  // callers of other threads get it
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
  if (timer_ == nullptr) return;  // the session is being destroyed
  if (core_ != nullptr) timer_->Arm(core_->NextTimerMs());
}

void DistSession::BeginInquiry(const std::shared_ptr<Inquiry>& inquiry) {
  const std::vector<uint64_t>& operations = inquiry->operations;
  for (const auto& [ticket, open] : open_) {
    const uint64_t id = open.sink->operation_id();
    if (std::find(operations.begin(), operations.end(), id) == operations.end()) continue;
    inquiry->tickets.push_back(ticket);
    if (inquiry->tickets.size() == kTicketsPerInquiryMax) break;
  }
  inquiries_.push_back(inquiry);
  ClientOutbox out;
  if (core_ != nullptr) core_->Probe(inquiry->tickets, &out);
  HandleClient(std::move(out));
}

void DistSession::EndInquiries(const Inquiry* late) {
  for (auto it = inquiries_.begin(); it != inquiries_.end();) {
    Inquiry& inquiry = **it;
    std::vector<WaitInfo> infos;
    if (core_ != nullptr) infos = core_->WaitingFor(inquiry.tickets);
    const bool answered =
        std::all_of(infos.begin(), infos.end(), [](const WaitInfo& info) { return info.answered; });
    if (!answered && &inquiry != late) {
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
