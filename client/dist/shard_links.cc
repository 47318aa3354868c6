#include "client/dist/shard_links.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "client/base/sdk_log.h"
#include "common/transport/methods.h"

namespace kvstore {
namespace {

// How many requests one inquiry asks after, at most: enough to name who is waited for.
constexpr size_t kTicketsPerInquiryMax = 256;

}  // namespace

ShardLinks::ShardLinks(Transport* transport, EventLoop* loop, ClientCoreOptions options,
                       std::function<void()> wanted)
    : transport_(transport),
      loop_(loop),
      options_(options),
      wanted_(std::move(wanted)),
      timer_(std::make_unique<LoopTimer>(loop, [this] { OnTimer(); })) {}

ShardLinks::~ShardLinks() = default;

void ShardLinks::Add(std::vector<PartAsk> asks) {
  MutexLock lock(mutex_);
  queued_.push_back(std::move(asks));
}

void ShardLinks::Flush() noexcept {
  {
    MutexLock lock(mutex_);
    if (queued_.empty() || flush_posted_) return;
    flush_posted_ = true;
  }
  loop_->Post([this] { SubmitQueued(); });
}

// Without a core the queue stays as it is; SubmitWaiting() calls this again when there is one.
void ShardLinks::SubmitQueued() {
  if (core_ == nullptr) return Want();
  std::vector<std::vector<PartAsk>> queued;
  {
    MutexLock lock(mutex_);
    queued.swap(queued_);
    flush_posted_ = false;
  }
  Submit(std::move(queued));
}

void ShardLinks::Want() {
  if (wanted_ != nullptr) std::exchange(wanted_, nullptr)();
}

void ShardLinks::SubmitWaiting() {
  SubmitQueued();
  for (auto& [request, sink] : std::exchange(waiting_, {})) {
    AskShards(std::move(request), std::move(sink));
  }
}

void ShardLinks::Submit(std::vector<std::vector<PartAsk>> lists) {
  size_t count = 0;
  for (const std::vector<PartAsk>& asks : lists) count += asks.size();
  std::vector<PartRequest> requests;
  requests.reserve(count);
  for (std::vector<PartAsk>& asks : lists) {
    for (PartAsk& ask : asks) {
      ask.request.ticket = ++last_ticket_;
      open_[ask.request.ticket] = {std::move(ask.sink), ask.request.op, ask.index};
      requests.push_back(std::move(ask.request));
    }
  }
  ClientOutbox out;
  core_->Submit(SteadyNowMs(), std::move(requests), &out);
  Handle(std::move(out));
}

void ShardLinks::AskShards(ShardRequest request, std::shared_ptr<PartSink> sink) {
  if (core_ == nullptr) {
    waiting_.emplace_back(std::move(request), std::move(sink));
    return Want();
  }
  request.ticket = ++last_ticket_;
  open_[request.ticket] = {std::move(sink), request.op, 0};
  ClientOutbox out;
  core_->Submit(SteadyNowMs(), std::move(request), &out);
  Handle(std::move(out));
}

void ShardLinks::Handle(ClientOutbox out) {
  for (const ClientOutbox::Send& send : out.frames) {
    streams_.at(send.to)->Send(EncodeFrame(send.frame));
  }
  for (const ShardAddress shard : out.dial) Dial(shard);
  std::vector<std::vector<PartAsk>> next;
  for (Completion& done : out.done) {
    const auto it = open_.find(done.ticket);
    const Open open = std::move(it->second);
    open_.erase(it);
    std::vector<PartAsk> more = open.sink->OnPart(open.op, open.index, std::move(done));
    if (!more.empty()) next.push_back(std::move(more));
  }
  if (!next.empty()) Submit(std::move(next));
  if (!inquiries_.empty()) EndInquiries(0);
  ArmTimer();
}

void ShardLinks::Dial(ShardAddress shard) {
  StreamEvents events;
  events.on_message = [this, shard](const Payload& message) { OnMessage(shard, message); };
  events.on_closed = [this, shard](const absl::Status&) { OnStreamDown(shard); };
  streams_[shard] = transport_->Dial(*loop_, routing_->servers[shard.server].address,
                                     ShardMethod(shard.shard), std::move(events));
  ClientOutbox out;
  core_->OnStreamUp(SteadyNowMs(), shard, &out);
  Handle(std::move(out));
}

void ShardLinks::OnStreamDown(ShardAddress shard) {
  core_->OnStreamDown(SteadyNowMs(), shard);
  ArmTimer();
}

void ShardLinks::OnMessage(ShardAddress shard, const Payload& message) {
  const absl::StatusOr<ReplyFrame> frame = DecodeFrame<ReplyFrame>(message);
  if (!frame.ok()) {
    LogWarningOnce(fmt::format("{} sent bytes that are no frame: {}",
                               routing_->ServerName(shard.server),
                               std::string(frame.status().message())));
    // Nobody can know which requests this answered. Over a new stream the core asks after all that
    // are open.
    streams_[shard]->Close();
    OnStreamDown(shard);
    return;
  }
  ClientOutbox out;
  core_->OnFrame(SteadyNowMs(), shard, *frame, &out);
  Handle(std::move(out));
}

void ShardLinks::OnRouting(ClusterId cluster, WorkerRank rank, Incarnation incarnation,
                           RoutingPtr routing) {
  if (ended_) return;
  routing_ = routing;
  if (core_ == nullptr) core_ = std::make_unique<ClientCore>(options_, cluster, rank, incarnation);
  ClientOutbox out;
  core_->OnRouting(SteadyNowMs(), std::move(routing), &out);
  Handle(std::move(out));
  SubmitWaiting();
}

void ShardLinks::EndJob(const absl::Status& status) {
  ended_ = true;
  // Without a routing table there is no core yet; it takes one to fail what is asked from now on.
  if (core_ == nullptr) core_ = std::make_unique<ClientCore>(options_, 0, 0, 0);
  ClientOutbox out;
  core_->OnJobEnded(status, &out);
  Handle(std::move(out));
  SubmitWaiting();
}

void ShardLinks::Stop() {
  SubmitQueued();
  streams_.clear();
  timer_.reset();
}

void ShardLinks::OnTimer() {
  const int64_t now_ms = SteadyNowMs();
  if (core_ != nullptr && core_->NextTimerMs() <= now_ms) {
    ClientOutbox out;
    core_->OnTimer(now_ms, &out);
    Handle(std::move(out));
  }
  ArmTimer();
}

void ShardLinks::ArmTimer() {
  if (timer_ != nullptr && core_ != nullptr) timer_->Arm(core_->NextTimerMs());
}

void ShardLinks::Explain(const std::vector<uint64_t>& operations, int64_t within_ms, Told told) {
  Inquiry inquiry;
  inquiry.number = ++last_inquiry_;
  inquiry.told = std::move(told);
  for (const auto& [ticket, open] : open_) {
    const uint64_t id = open.sink->operation_id();
    if (std::find(operations.begin(), operations.end(), id) == operations.end()) continue;
    inquiry.tickets.push_back(ticket);
    if (inquiry.tickets.size() == kTicketsPerInquiryMax) break;
  }
  ClientOutbox out;
  if (core_ != nullptr) core_->Probe(inquiry.tickets, &out);
  loop_->PostAfter(within_ms, [this, number = inquiry.number] { EndInquiries(number); });
  inquiries_.push_back(std::move(inquiry));
  Handle(std::move(out));
}

std::vector<WaitInfo> ShardLinks::WaitingFor(const PartSink& sink) const {
  if (core_ == nullptr) return {};
  std::vector<Ticket> tickets;
  for (const auto& [ticket, open] : open_) {
    if (open.sink.get() == &sink) tickets.push_back(ticket);
  }
  return core_->WaitingFor(tickets);
}

void ShardLinks::EndInquiries(uint64_t late) {
  std::vector<Inquiry> pending;
  for (Inquiry& inquiry : std::exchange(inquiries_, {})) {
    std::vector<WaitInfo> infos;
    if (core_ != nullptr) infos = core_->WaitingFor(inquiry.tickets);
    const bool answered =
        std::all_of(infos.begin(), infos.end(), [](const WaitInfo& info) { return info.answered; });
    if (answered || inquiry.number == late) {
      inquiry.told(std::move(infos));
    } else {
      pending.push_back(std::move(inquiry));
    }
  }
  inquiries_ = std::move(pending);
}

}  // namespace kvstore
