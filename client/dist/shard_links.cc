#include "client/dist/shard_links.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "client/base/no_memory.h"
#include "client/base/sdk_log.h"
#include "common/base/await_memory.h"
#include "common/transport/methods.h"

namespace kvstore {
namespace {

// How many requests one inquiry asks after, at most: enough to name who is waited for.
constexpr size_t kRequestsPerInquiryMax = 256;
// How long to wait before something that found no memory is tried again.
constexpr int64_t kPauseMs = 10;

}  // namespace

ShardLinks::ShardLinks(Transport* transport, EventLoop* loop, ClientCoreOptions options,
                       std::function<void()> wanted, WorkerProfile* profile)
    : transport_(transport),
      loop_(loop),
      options_(options),
      wanted_(std::move(wanted)),
      profile_(profile),
      timer_(std::make_unique<LoopTimer>(loop, [this] { OnTimer(); })) {}

ShardLinks::~ShardLinks() = default;

void ShardLinks::Add(PartAsks&& asks) {
  MutexLock lock(mutex_);
  queued_.push_back(std::move(asks));
}

void ShardLinks::PostFlush() {
  if (flush_posted_) return;
  loop_->Post([this] { SubmitQueued(); });
  flush_posted_ = true;
}

void ShardLinks::AddForGood(PartAsks asks) noexcept {
  AwaitMemory([&] {
    MutexLock lock(mutex_);
    queued_.push_back(std::move(asks));  // if this throws they have not moved
    awaited_ = true;
  });
  AwaitMemory([this] {
    MutexLock lock(mutex_);
    if (awaited_) PostFlush();
  });
}

void ShardLinks::Flush() noexcept {
  Lists refused;
  {
    MutexLock lock(mutex_);
    if (queued_.empty()) return;
    try {
      PostFlush();
    } catch (const std::bad_alloc&) {
      if (!awaited_) refused.swap(queued_);  // else AddForGood flushes these, too
    }
  }
  for (const PartAsks& asks : refused) Refuse(asks);
}

void ShardLinks::Refuse(const PartAsks& asks) noexcept {
  for (const PartAsk& ask : asks) {
    const PartGroup* const group = ask.request.group.get();
    for (size_t i = 0; i < (group == nullptr ? 1 : group->members.size()); ++i) {
      Completion refusal;
      refusal.id = group == nullptr ? ask.request.id : group->members[i].id;
      refusal.member = static_cast<uint32_t>(i);
      refusal.status = WordlessStatus(absl::StatusCode::kResourceExhausted);
      // What the sink asks next because of this is refused, too: there is no memory for it either.
      Refuse(
          ask.sink->OnPart(ask.request.op, group == nullptr ? ask.index : i, std::move(refusal)));
    }
    ask.sink->Told();
  }
}

// SubmitWaiting() comes back to what is left in the queue.
void ShardLinks::SubmitQueued() noexcept {
  try {
    if (core_ == nullptr) return Want();
  } catch (const std::bad_alloc&) {
    return Later();
  }
  if (!late_.empty() && !Submit(std::exchange(late_, {}))) return;
  Lists queued;
  {
    MutexLock lock(mutex_);
    queued.swap(queued_);
    flush_posted_ = false;
    awaited_ = false;
  }
  Submit(std::move(queued));
}

void ShardLinks::Want() {
  if (wanted_ == nullptr) return;
  wanted_();
  wanted_ = nullptr;
}

void ShardLinks::SubmitWaiting() noexcept {
  SubmitQueued();
  while (!waiting_.empty()) {
    auto [request, sink] = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    Completion refusal;
    try {
      AskShards(std::move(request), sink);
    } catch (const std::bad_alloc&) {
      refusal.status = WordlessStatus(absl::StatusCode::kResourceExhausted);
      sink->OnPart(Op::kUnspecified, 0, std::move(refusal));
      sink->Told();
    }
  }
}

bool ShardLinks::Submit(Lists lists) noexcept {
  ClientOutbox out;
  try {
    TrySubmit(&lists, &out);
  } catch (const std::bad_alloc&) {
    if (late_.empty()) {
      late_ = std::move(lists);
    } else {
      for (PartAsks& asks : lists) KeepOrRefuse(&late_, std::move(asks));
    }
    Later();
    return false;
  }
  Handle(std::move(out));
  return true;
}

void ShardLinks::KeepOrRefuse(Lists* lists, PartAsks asks) noexcept {
  try {
    lists->push_back(std::move(asks));
  } catch (const std::bad_alloc&) {
    Refuse(asks);  // they have not moved
  }
}

void ShardLinks::TrySubmit(Lists* lists, ClientOutbox* out) {
  size_t count = 0;
  for (const PartAsks& asks : *lists) count += asks.size();
  std::vector<PartRequest> requests;
  requests.reserve(count);
  open_.MakeRoomFor(count);
  for (PartAsks& asks : *lists) {
    for (PartAsk& ask : asks) {
      const PartGroup* const group = ask.request.group.get();
      ask.request.ticket = open_.Add(ask.sink, ask.request.op, ask.index,
                                     group == nullptr ? 1 : group->members.size());
      requests.push_back(std::move(ask.request));
    }
  }
  try {
    core_->Submit(loop_->NowMs(), std::move(requests), out);
  } catch (const std::bad_alloc&) {
    auto request = requests.begin();
    for (PartAsks& asks : *lists) {
      for (PartAsk& ask : asks) {
        ask.request = std::move(*request++);
        open_.Take(ask.request.ticket);
      }
    }
    throw;
  }
}

void ShardLinks::AskShards(ShardRequest request, std::shared_ptr<PartSink> sink) {
  if (core_ == nullptr) {
    Want();
    waiting_.emplace_back(std::move(request), std::move(sink));
    return;
  }
  request.ticket = open_.Add(std::move(sink), request.op, 0);
  ClientOutbox out;
  try {
    core_->Submit(loop_->NowMs(), request, &out);
  } catch (const std::bad_alloc&) {
    open_.Take(request.ticket);
    throw;
  }
  Handle(std::move(out));
}

void ShardLinks::Handle(ClientOutbox out) noexcept {
  for (const ClientOutbox::Send& send : out.frames) {
    const int64_t since = profile_ == nullptr ? 0 : WorkerProfile::Now();
    try {
      streams_.at(send.to)->Send(EncodeFrame(send.frame));
    } catch (const std::bad_alloc&) {
      BreakStream(send.to);  // it ignores the other frames, as the core takes them for lost
    }
    if (profile_ != nullptr) profile_->Sent(send.frame, since);
  }
  for (const ShardAddress shard : out.dial) Dial(shard);
  Lists next;
  PartSink* told = nullptr;
  std::shared_ptr<PartSink> kept;  // the same, if nothing else keeps it
  for (Completion& done : out.done) {
    PartSink* const sink = open_.Of(done.ticket).sink.get();
    if (told != sink && told != nullptr) told->Told();
    told = sink;
    if (kept.get() != sink) kept = nullptr;
    if (std::shared_ptr<PartSink> last = Tell(std::move(done), &next)) kept = std::move(last);
  }
  if (told != nullptr) told->Told();
  kept = nullptr;  // it may be the last that keeps an operation from being complete
  if (!next.empty()) Submit(std::move(next));
  if (!inquiries_.empty()) EndInquiries(0);
  ArmTimer();
}

std::shared_ptr<PartSink> ShardLinks::Tell(Completion done, Lists* next) noexcept {
  const OpenRequests::Entry& open = open_.Of(done.ticket);
  const Ticket ticket = done.ticket;
  const size_t index = open.index + done.member;  // a group has 0, others are no member
  const WorkerProfile::Taken taken{open.op, done.id, done.request, done.data.size()};
  const int64_t since = profile_ == nullptr ? 0 : WorkerProfile::Now();
  PartAsks more = open.sink->OnPart(open.op, index, std::move(done));
  if (profile_ != nullptr) profile_->Took(taken, since);
  if (!more.empty()) KeepOrRefuse(next, std::move(more));
  return open_.Over(ticket);
}

void ShardLinks::Dial(ShardAddress shard) noexcept {
  try {
    StreamEvents events;
    events.on_message = [this, shard](const Payload& message) { OnMessage(shard, message); };
    events.on_closed = [this, shard](const absl::Status&) { OnStreamDown(shard); };
    std::unique_ptr<MessageStream>& stream = streams_[shard];
    stream = transport_->Dial(*loop_, routing_->servers[shard.server].address,
                              ShardMethod(shard.shard), std::move(events));
  } catch (const std::bad_alloc&) {
    return OnStreamDown(shard);
  }
  ClientOutbox out;
  core_->OnStreamUp(loop_->NowMs(), shard, &out);
  Handle(std::move(out));
}

void ShardLinks::OnStreamDown(ShardAddress shard) noexcept {
  core_->OnStreamDown(loop_->NowMs(), shard);
  ArmTimer();
}

void ShardLinks::BreakStream(ShardAddress shard) noexcept {
  streams_.at(shard)->Close();
  OnStreamDown(shard);
}

void ShardLinks::OnMessage(ShardAddress shard, const Payload& message) noexcept {
  ClientOutbox out;
  bool taken = false;
  try {
    const absl::StatusOr<ReplyFrame> frame = DecodeFrame<ReplyFrame>(message);
    taken = frame.ok();
    if (taken) {
      core_->OnFrame(loop_->NowMs(), shard, *frame, &out);
    } else {
      LogWarningOnce(fmt::format("{} sent bytes that are no frame: {}",
                                 routing_->ServerName(shard.server),
                                 std::string(frame.status().message())));
    }
  } catch (const std::bad_alloc&) {
    taken = false;
  }
  // Nobody can know which requests this answered. Over a new stream the core asks after all that
  // are open.
  if (!taken) BreakStream(shard);
  Handle(std::move(out));
}

void ShardLinks::OnRouting(ClusterId cluster, WorkerRank rank, Incarnation incarnation,
                           RoutingPtr routing) noexcept {
  if (end_) return;
  cluster_ = cluster;
  rank_ = rank;
  incarnation_ = incarnation;
  routing_ = std::move(routing);
  TryRouting();
}

void ShardLinks::TryRouting() noexcept {
  ClientOutbox out;
  try {
    std::unique_ptr<ClientCore> first;  // a core that is not routed would fail what it is asked
    if (core_ == nullptr) {
      first = std::make_unique<ClientCore>(options_, cluster_, rank_, incarnation_);
    }
    (first != nullptr ? first : core_)->OnRouting(loop_->NowMs(), routing_, &out);
    if (first != nullptr) core_ = std::move(first);
    routing_told_ = true;
  } catch (const std::bad_alloc&) {
    routing_told_ = false;
  }
  if (core_ == nullptr) return Later();
  Handle(std::move(out));
  if (routing_told_) SubmitWaiting();
}

void ShardLinks::EndJob(const absl::Status& status) noexcept {
  end_ = status;
  TryEndJob();
}

void ShardLinks::TryEndJob() noexcept {
  ClientOutbox out;
  try {
    // Without a routing table there is no core yet; it takes one to fail what is asked from now on.
    if (core_ == nullptr) core_ = std::make_unique<ClientCore>(options_, 0, 0, 0);
    core_->OnJobEnded(*end_, &out);
    end_told_ = true;
  } catch (const std::bad_alloc&) {
    return Later();
  }
  Handle(std::move(out));
  SubmitWaiting();
}

void ShardLinks::Later() noexcept {
  if (later_) return;
  AwaitMemory([this] { loop_->PostAfter(kPauseMs, [this] { TryAgain(); }); });
  later_ = true;
}

void ShardLinks::TryAgain() noexcept {
  later_ = false;
  if (end_ && !end_told_) return TryEndJob();
  if (!routing_told_) return TryRouting();
  SubmitQueued();
}

void ShardLinks::Stop() noexcept {
  SubmitQueued();
  streams_.clear();
  timer_.reset();
}

void ShardLinks::OnTimer() noexcept {
  const int64_t now_ms = loop_->NowMs();
  if (core_ != nullptr && core_->NextTimerMs() <= now_ms) {
    ClientOutbox out;
    core_->OnTimer(now_ms, &out);
    Handle(std::move(out));
  }
  ArmTimer();
}

// The last thing that every event does. Waits for the memory of its alarm: there may be no other
// event before the program's deadline.
void ShardLinks::ArmTimer() noexcept {
  if (timer_ == nullptr) return;
  if (!late_.empty() || !routing_told_ || (end_ && !end_told_)) Later();
  if (core_ == nullptr) return;
  AwaitMemory([this] { timer_->Arm(core_->NextTimerMs()); });
}

void ShardLinks::Explain(const std::vector<uint64_t>& operations, int64_t within_ms,
                         Told told) noexcept {
  Inquiry inquiry;
  inquiry.number = ++last_inquiry_;
  ClientOutbox out;
  try {
    inquiries_.reserve(inquiries_.size() + 1);
    size_t asked_after = 0;
    open_.ForEach([&](const OpenRequests::Entry& open) {
      const uint64_t id = open.sink->operation_id();
      if (std::find(operations.begin(), operations.end(), id) != operations.end()) {
        inquiry.tickets.push_back(open.ticket);
        asked_after += open.left;
      }
      return asked_after < kRequestsPerInquiryMax;
    });
    if (core_ != nullptr) core_->Probe(inquiry.tickets, &out);
    loop_->PostAfter(within_ms, [this, number = inquiry.number] { EndInquiries(number); });
    inquiry.told = std::move(told);
    inquiries_.push_back(std::move(inquiry));
  } catch (const std::bad_alloc&) {
    told({});
  }
  Handle(std::move(out));
}

std::vector<WaitInfo> ShardLinks::WaitingFor(const PartSink& sink) const {
  if (core_ == nullptr) return {};
  std::vector<Ticket> tickets;
  open_.ForEach([&](const OpenRequests::Entry& open) {
    if (open.sink.get() == &sink) tickets.push_back(open.ticket);
    return true;
  });
  return core_->WaitingFor(tickets);
}

void ShardLinks::EndInquiries(uint64_t late) noexcept {
  for (size_t i = 0; i < inquiries_.size();) {
    std::vector<WaitInfo> infos;
    bool over = inquiries_[i].number == late;
    try {
      if (core_ != nullptr) infos = core_->WaitingFor(inquiries_[i].tickets);
      over |= std::all_of(infos.begin(), infos.end(),
                          [](const WaitInfo& info) { return info.answered; });
    } catch (const std::bad_alloc&) {
    }
    if (!over) {
      ++i;
      continue;
    }
    const Told told = std::move(inquiries_[i].told);
    inquiries_.erase(inquiries_.begin() + static_cast<std::ptrdiff_t>(i));
    told(std::move(infos));
  }
}

}  // namespace kvstore
