#include "client/core/client_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "client/core/frame_cutter.h"
#include "client/core/requests.h"
#include "common/base/check.h"
#include "common/base/mutation.h"

namespace kvstore {
namespace {

using client_internal::FrameCutter;
using client_internal::kNever;
using client_internal::OpenPushes;
using client_internal::PartQueue;
using client_internal::Request;
using client_internal::ShardGroup;
using client_internal::State;
using client_internal::Stream;

constexpr int kBackoffDoublingsMax = 6;
// Requests that are over and wait for their next use: about 2 MiB.
constexpr size_t kSpareMax = 4096;

}  // namespace

class ClientCore::Impl {
 public:
  Impl(ClientCoreOptions options, ClusterId cluster, WorkerRank rank, Incarnation incarnation)
      : options_(options), cluster_(cluster), rank_(rank), incarnation_(incarnation) {}

  void OnRouting(int64_t now_ms, RoutingPtr routing, ClientOutbox* out);
  void OnStreamUp(int64_t now_ms, ShardAddress shard, ClientOutbox* out);
  void OnStreamDown(int64_t now_ms, ShardAddress shard);
  void OnFrame(int64_t now_ms, ShardAddress from, const ReplyFrame& reply, ClientOutbox* out);
  void OnJobEnded(absl::Status status, ClientOutbox* out);
  void OnTimer(int64_t now_ms, ClientOutbox* out);
  int64_t NextTimerMs() const;
  void Submit(int64_t now_ms, std::vector<PartRequest> requests, ClientOutbox* out);
  void Submit(int64_t now_ms, ShardRequest request, ClientOutbox* out);
  void Probe(const std::vector<Ticket>& tickets, ClientOutbox* out);
  std::vector<WaitInfo> WaitingFor(const std::vector<Ticket>& tickets) const;
  size_t open_requests() const { return open_; }

 private:
  Request* Add(PartRequest ask);
  // The last of an open request.
  void Drop(Request& request);
  // The open requests of `tickets`, in that order: several of a whole-shard ticket. Looks at all:
  // for rare questions.
  std::vector<Request*> WithTickets(const std::vector<Ticket>& tickets) const;
  // Moves to the ready queue what nothing earlier of its part holds back any more.
  void Unhold(PartQueue& part);
  void MakeReady(Request& request);
  // Whoever comes before a request of this priority, in its part, is as urgent: the order within a
  // part holds whatever the priorities (C1). Leaves the part's open requests in falling priority.
  void RaiseTo(int priority, PartQueue& part);
  // Takes the request out of whatever queue it is in.
  void TakeBack(Request& request);
  void ReleaseWindow(Request& request);
  // Sends what is ready, as far as the window allows.
  void Pump(int64_t now_ms, ShardAddress shard, ClientOutbox* out);
  void PumpAll(int64_t now_ms, ClientOutbox* out);
  void Retry(Request& request);
  // `entry` is of `reply`.
  void OnReply(int64_t now_ms, Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
               ClientOutbox* out);
  // `done`: the value or description that came; the rest is filled in here.
  void Finish(Request& request, absl::Status status, Completion done, ClientOutbox* out);
  FrameHeader HeaderFor(ShardAddress shard) const;
  // What the servers said, as one.
  absl::Status Joined(const ShardGroup& group) const;

  const ClientCoreOptions options_;
  const ClusterId cluster_;
  const WorkerRank rank_;
  const Incarnation incarnation_;

  RoutingPtr routing_;
  absl::Status job_ended_;
  RequestId last_request_ = 0;
  size_t open_ = 0;
  absl::flat_hash_map<RequestId, std::unique_ptr<Request>> requests_;
  std::vector<std::unique_ptr<Request>> spare_;  // as new
  absl::flat_hash_map<PartId, PartQueue, PartIdHash> parts_;
  std::map<ShardAddress, Stream> streams_;
  std::set<std::pair<int64_t, RequestId>> backoff_;
  std::map<Ticket, ShardGroup> groups_;
};

FrameHeader ClientCore::Impl::HeaderFor(ShardAddress shard) const {
  FrameHeader header;
  header.cluster = cluster_;
  header.epoch = routing_->epoch;
  header.job = routing_->job;
  header.rank = rank_;
  header.incarnation = incarnation_;
  header.server_incarnation = routing_->servers[shard.server].incarnation;
  return header;
}

void ClientCore::Impl::OnRouting(int64_t now_ms, RoutingPtr routing, ClientOutbox* out) {
  if (routing_ != nullptr && routing->epoch <= routing_->epoch) return;
  // Within a job no slot moves yet: only incarnations and labels can differ.
  routing_ = std::move(routing);
  for (ServerRank server = 0; server < routing_->servers.size(); ++server) {
    for (ShardIndex shard = 0; shard < routing_->servers[server].shards; ++shard) {
      const auto [it, created] = streams_.try_emplace({server, shard});
      if (!created) continue;
      it->second.link = Stream::Link::kDialing;
      out->dial.push_back(it->first);
    }
  }
  PumpAll(now_ms, out);
}

void ClientCore::Impl::OnStreamUp(int64_t now_ms, ShardAddress shard, ClientOutbox* out) {
  streams_.at(shard).link = Stream::Link::kUp;
  Pump(now_ms, shard, out);
}

void ClientCore::Impl::OnStreamDown(int64_t now_ms, ShardAddress shard) {
  Stream& stream = streams_.at(shard);
  stream.link = Stream::Link::kDown;
  stream.redial_delay_ms = stream.redial_delay_ms == 0
                               ? options_.redial_min_ms
                               : std::min(options_.redial_max_ms, 2 * stream.redial_delay_ms);
  stream.redial_at_ms = now_ms + stream.redial_delay_ms;
  stream.tries.clear();
  std::vector<Request*> sent;
  for (const auto& [id, request] : stream.sent) sent.push_back(request);
  for (Request* request : sent) Retry(*request);
  // What was under way went down with the stream.
  for (const auto& [order, request] : stream.ready_probes) ReleaseWindow(*request);
}

void ClientCore::Impl::OnJobEnded(absl::Status status, ClientOutbox* out) {
  job_ended_ = std::move(status);
  std::vector<std::pair<uint64_t, Request*>> open;
  for (const auto& [id, request] : requests_) {
    if (!request->over) open.emplace_back(request->order, request.get());
  }
  std::sort(open.begin(), open.end());
  for (const auto& [order, request] : open) Finish(*request, job_ended_, Completion(), out);
}

int64_t ClientCore::Impl::NextTimerMs() const {
  if (!job_ended_.ok()) return kNever;  // nothing is sent or dialled any more
  int64_t next = backoff_.empty() ? kNever : backoff_.begin()->first;
  for (const auto& [shard, stream] : streams_) {
    if (stream.link == Stream::Link::kDown) next = std::min(next, stream.redial_at_ms);
    if (!stream.tries.empty()) next = std::min(next, stream.tries.front().first);
  }
  return next;
}

void ClientCore::Impl::OnTimer(int64_t now_ms, ClientOutbox* out) {
  if (!job_ended_.ok()) return;
  while (!backoff_.empty() && backoff_.begin()->first <= now_ms) {
    Request& request = *requests_.at(backoff_.begin()->second);
    backoff_.erase(backoff_.begin());
    request.backoff_until_ms = kNever;
    if (request.whole_shard) {
      MakeReady(request);
      continue;
    }
    // Unless an earlier one of its part was refused too: then it waits for that (C7).
    request.state = State::kHeld;
    Unhold(parts_.at(request.ask.id));
    if (request.state == State::kHeld) request.refusals = 0;
  }
  for (auto& [shard, stream] : streams_) {
    if (stream.link == Stream::Link::kDown && stream.redial_at_ms <= now_ms) {
      stream.link = Stream::Link::kDialing;
      stream.redial_at_ms = kNever;
      out->dial.push_back(shard);
    }
    while (!stream.tries.empty() && stream.tries.front().first <= now_ms) {
      const auto [due_ms, id] = stream.tries.front();
      stream.tries.pop_front();
      const auto it = stream.sent.find(id);
      if (it != stream.sent.end() && it->second->try_until_ms == due_ms) Retry(*it->second);
    }
  }
  PumpAll(now_ms, out);
}

Request* ClientCore::Impl::Add(PartRequest ask) {
  std::unique_ptr<Request> owned;
  if (spare_.empty()) {
    owned = std::make_unique<Request>();
  } else {
    owned = std::move(spare_.back());
    spare_.pop_back();
  }
  Request* request = owned.get();
  request->id = ++last_request_;
  request->order = request->id;
  request->ask = std::move(ask);
  requests_[request->id] = std::move(owned);
  ++open_;
  return request;
}

void ClientCore::Impl::Drop(Request& request) {
  const auto it = requests_.find(request.id);
  if (spare_.size() < kSpareMax) {
    request = Request();
    spare_.push_back(std::move(it->second));
  }
  requests_.erase(it);
}

std::vector<Request*> ClientCore::Impl::WithTickets(const std::vector<Ticket>& tickets) const {
  absl::flat_hash_map<Ticket, size_t> places;
  for (size_t i = 0; i < tickets.size(); ++i) places[tickets[i]] = i;
  std::vector<std::pair<std::pair<size_t, uint64_t>, Request*>> found;
  for (const auto& [id, request] : requests_) {
    const auto it = places.find(request->ask.ticket);
    if (it != places.end() && !request->over) {
      found.push_back({{it->second, request->order}, request.get()});
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<Request*> requests;
  for (const auto& [place, request] : found) requests.push_back(request);
  return requests;
}

void ClientCore::Impl::Submit(int64_t now_ms, std::vector<PartRequest> requests,
                              ClientOutbox* out) {
  for (PartRequest& ask : requests) {
    if (!job_ended_.ok() || routing_ == nullptr) {
      out->done.push_back({ask.ticket, ask.id,
                           routing_ == nullptr
                               ? absl::FailedPreconditionError("the cluster is not routed yet")
                               : job_ended_,
                           Payload(), 0, nullptr});
      continue;
    }
    Request* request = Add(std::move(ask));
    request->shard = routing_->OwnerOf(request->ask.id);
    PartQueue& part = parts_[request->ask.id];
    RaiseTo(request->ask.priority, part);
    const bool first = request->ask.piece.fragment == 0 || Broken(Mutation::kFragmentsLoseCount);
    const OpRound names = InfoOf(request->ask.op).round;
    if (names == OpRound::kContributes && first) ++part.last_round;
    if (names != OpRound::kNone) request->round = part.last_round;
    part.open.push_back(request);
    Unhold(part);
  }
  PumpAll(now_ms, out);
}

void ClientCore::Impl::Submit(int64_t now_ms, ShardRequest request, ClientOutbox* out) {
  if (!job_ended_.ok() || streams_.empty()) {
    const absl::Status status = job_ended_.ok()
                                    ? absl::FailedPreconditionError("the cluster is not routed yet")
                                    : job_ended_;
    out->done.push_back({request.ticket, {}, status, Payload(), 0, nullptr});
    return;
  }
  ShardGroup& group = groups_[request.ticket];
  for (const auto& [shard, stream] : streams_) {
    if (InfoOf(request.op).scope == OpScope::kFirstShard && shard.shard != 0) continue;
    ++group.remaining;
    PartRequest ask;
    ask.op = request.op;
    ask.ticket = request.ticket;
    Request* each = Add(std::move(ask));
    each->whole_shard = true;
    each->optimizer = request.optimizer;
    each->command = request.command;
    each->shard = shard;
    MakeReady(*each);
  }
  PumpAll(now_ms, out);
}

void ClientCore::Impl::Unhold(PartQueue& part) {
  bool alone_open = false;
  bool read_open = false;
  bool refused = false;  // and not taken since
  OpenPushes pushes;
  for (Request* request : part.open) {
    const OpOrder order = InfoOf(request->ask.op).order;
    if (request->state == State::kHeld) {
      const bool push_held =
          order == OpOrder::kWrite &&
          (read_open || !pushes.InWindow(request->round, options_.rounds_ahead_max));
      if (alone_open || refused || push_held) return;  // and so is everything behind it
      MakeReady(*request);
    }
    alone_open |= order == OpOrder::kAlone;
    refused |= request->refusals > 0 && request->state != State::kOwned;
    read_open |= order == OpOrder::kRead;
    if (order == OpOrder::kWrite) pushes.Add(request->round);
  }
}

void ClientCore::Impl::MakeReady(Request& request) {
  request.state = State::kReady;
  Stream& stream = streams_.at(request.shard);
  if (request.as_probe) {
    stream.ready_probes[request.order] = &request;
  } else {
    stream.ready.Add(&request);
  }
}

void ClientCore::Impl::RaiseTo(int priority, PartQueue& part) {
  for (auto it = part.open.rbegin(); it != part.open.rend(); ++it) {
    Request& earlier = **it;
    if (earlier.ask.priority >= priority) return;
    const bool ready = earlier.state == State::kReady;
    if (ready) TakeBack(earlier);
    earlier.ask.priority = priority;
    if (ready) MakeReady(earlier);
  }
}

void ClientCore::Impl::TakeBack(Request& request) {
  Stream& stream = streams_.at(request.shard);
  switch (request.state) {
    case State::kReady:
      if (request.as_probe) {
        stream.ready_probes.erase(request.order);
      } else {
        stream.ready.Remove(request);
      }
      break;
    case State::kSent:
    case State::kOwned:
      stream.sent.erase(request.id);
      break;
    case State::kBackoff:
      backoff_.erase({request.backoff_until_ms, request.id});
      break;
    case State::kHeld:
      break;
  }
}

void ClientCore::Impl::ReleaseWindow(Request& request) {
  streams_.at(request.shard).window_bytes -= request.window_bytes;
  request.window_bytes = 0;
}

// A request with payload is asked after; one without is cheaper to send again. Its bytes stay in
// the window: as long as the stream lives they are on their way, however slow.
void ClientCore::Impl::Retry(Request& request) {
  TakeBack(request);
  request.as_probe = !request.ask.piece.data.empty();
  MakeReady(request);
}

void ClientCore::Impl::PumpAll(int64_t now_ms, ClientOutbox* out) {
  for (const auto& [shard, stream] : streams_) {
    if (!stream.ready.empty() || !stream.ready_probes.empty()) Pump(now_ms, shard, out);
  }
}

void ClientCore::Impl::Pump(int64_t now_ms, ShardAddress shard, ClientOutbox* out) {
  Stream& stream = streams_.at(shard);
  if (stream.link != Stream::Link::kUp) return;
  FrameCutter cutter(HeaderFor(shard), shard, out);
  const auto send = [&](Request& request) {
    cutter.Add(request, request.as_probe);
    request.sent_before |= !request.as_probe;
    request.state = State::kSent;
    stream.sent[request.id] = &request;
    request.try_until_ms = now_ms + options_.try_ms;
    stream.tries.emplace_back(request.try_until_ms, request.id);
  };
  for (const auto& [order, request] : std::exchange(stream.ready_probes, {})) send(*request);
  while (!stream.ready.empty()) {
    Request& request = stream.ready.Next();
    const size_t bytes = request.ask.piece.data.size();
    if (bytes > 0 && stream.window_bytes > 0 &&
        stream.window_bytes + bytes > options_.window_bytes) {
      break;
    }
    stream.ready.Take();
    if (Broken(Mutation::kResendReencodes) && bytes > 0 && request.sent_before) {
      std::string again = request.ask.piece.data.ToString();
      again.back() = static_cast<char>(again.back() ^ 1);
      request.ask.piece.data = Payload::CopyOf(again);
    }
    request.window_bytes = bytes;
    stream.window_bytes += bytes;
    send(request);
  }
}

void ClientCore::Impl::OnFrame(int64_t now_ms, ShardAddress from, const ReplyFrame& reply,
                               ClientOutbox* out) {
  // A reply to an earlier life of this rank, or of another server, is nobody's.
  if (routing_ == nullptr || reply.header.rank != rank_ ||
      reply.header.incarnation != incarnation_ || reply.header.cluster != cluster_) {
    return;
  }
  const auto stream = streams_.find(from);
  if (stream == streams_.end()) return;
  stream->second.redial_delay_ms = 0;
  for (const ReplyEntry& entry : reply.entries) {
    const auto it = requests_.find(entry.request);
    if (it == requests_.end()) continue;  // over already
    Request& request = *it->second;
    if (!(request.shard == from) || entry.key != request.ask.id.key ||
        entry.part != request.ask.id.part) {
      continue;
    }
    // Over, and still here, only in a broken variant.
    if (request.over &&
        (!InfoOf(request.ask.op).answers_bytes || entry.code != absl::StatusCode::kOk))
      continue;
    OnReply(now_ms, request, reply, entry, out);
  }
  PumpAll(now_ms, out);
}

void ClientCore::Impl::OnReply(int64_t now_ms, Request& request, const ReplyFrame& reply,
                               const ReplyEntry& entry, ClientOutbox* out) {
  if (entry.code != absl::StatusCode::kOk) {
    if (entry.retry_after_ms == 0) {
      Finish(request, absl::Status(entry.code, entry.message), Completion(), out);
      return;
    }
    TakeBack(request);
    ReleaseWindow(request);
    const int doublings = std::min(request.refusals++, kBackoffDoublingsMax);
    request.state = State::kBackoff;
    request.as_probe = false;
    request.backoff_until_ms = now_ms + (int64_t{entry.retry_after_ms} << doublings);
    backoff_.insert({request.backoff_until_ms, request.id});
    return;
  }
  if (entry.op == Op::kProbe) {
    request.probe_answered = true;
    request.missing = entry.missing_ranks;
  }
  switch (entry.progress) {
    case Progress::kDone: {
      const bool contributes = InfoOf(request.ask.op).round == OpRound::kContributes;
      // A probe's word ends a push only: whatever else is answered with more than "done".
      if (request.ask.op != entry.op && !contributes) return;
      Completion done;
      done.data = entry.data;
      done.round = entry.version;
      const bool learns = request.ask.key.shape_unknown;
      if (const KeySpec* key = learns ? FindKeySpec(reply, entry) : nullptr) {
        done.key = std::make_shared<KeySpec>(*key);
      }
      Finish(request, absl::OkStatus(), std::move(done), out);
      return;
    }
    case Progress::kUnknown:
      if (request.state != State::kSent && request.state != State::kOwned) return;
      TakeBack(request);
      ReleaseWindow(request);
      request.as_probe = false;
      MakeReady(request);
      return;
    case Progress::kReceived: {
      // Also to a request that was refused, or is queued to be asked after, since.
      TakeBack(request);
      ReleaseWindow(request);
      request.state = State::kOwned;
      Stream& stream = streams_.at(request.shard);
      stream.sent[request.id] = &request;
      // A round may take as long as its slowest worker: from now on ask rarely.
      request.try_until_ms = now_ms + options_.try_ms;
      stream.tries.emplace_back(request.try_until_ms, request.id);
      if (std::exchange(request.refusals, 0) > 0 && !request.whole_shard) {
        Unhold(parts_.at(request.ask.id));
      }
      return;
    }
    case Progress::kUnspecified:
      return;
  }
}

void ClientCore::Impl::Finish(Request& request, absl::Status status, Completion done,
                              ClientOutbox* out) {
  const bool late = request.over;  // only in a broken variant
  if (!late) {
    TakeBack(request);
    ReleaseWindow(request);
    request.over = true;
    --open_;
  }
  if (request.whole_shard) {
    ShardGroup& group = groups_.at(request.ask.ticket);
    if (!status.ok()) group.refusals.try_emplace(request.shard.server, std::move(status));
    if (--group.remaining == 0) {
      done.ticket = request.ask.ticket;
      done.status = job_ended_.ok() ? Joined(group) : job_ended_;
      out->done.push_back(std::move(done));
      groups_.erase(request.ask.ticket);
    }
    Drop(request);
    return;
  }
  done.ticket = request.ask.ticket;
  done.id = request.ask.id;
  done.request = request.id;
  const bool contributed = InfoOf(request.ask.op).round == OpRound::kContributes;
  if (contributed || !status.ok()) done.round = request.round;
  done.status = std::move(status);
  out->done.push_back(std::move(done));
  if (late) return;

  PartQueue& part = parts_.at(request.ask.id);
  part.open.erase(std::find(part.open.begin(), part.open.end(), &request));
  if (!Broken(Mutation::kLateReplyWritten)) Drop(request);
  if (job_ended_.ok()) Unhold(part);
}

absl::Status ClientCore::Impl::Joined(const ShardGroup& group) const {
  if (group.refusals.empty()) return absl::OkStatus();
  std::string text;
  for (const auto& [server, status] : group.refusals) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", routing_->ServerName(server),
                        std::string(status.message()));
  }
  return absl::Status(group.refusals.begin()->second.code(), text);
}

void ClientCore::Impl::Probe(const std::vector<Ticket>& tickets, ClientOutbox* out) {
  if (routing_ == nullptr) return;
  std::map<ShardAddress, FrameCutter> cutters;
  for (Request* each : WithTickets(tickets)) {
    Request& request = *each;
    if (request.whole_shard) continue;
    request.probe_answered = false;
    request.missing.clear();
    if (streams_.at(request.shard).link != Stream::Link::kUp) continue;
    if (request.state != State::kSent && request.state != State::kOwned) continue;
    cutters.try_emplace(request.shard, HeaderFor(request.shard), request.shard, out)
        .first->second.Add(request, true);
  }
}

std::vector<WaitInfo> ClientCore::Impl::WaitingFor(const std::vector<Ticket>& tickets) const {
  std::vector<WaitInfo> infos;
  for (const Request* request : WithTickets(tickets)) {
    infos.push_back({request->ask.id, request->ask.op, request->round, request->shard,
                     streams_.at(request->shard).link == Stream::Link::kUp, request->probe_answered,
                     request->missing});
  }
  return infos;
}

ClientCore::ClientCore(ClientCoreOptions options, ClusterId cluster, WorkerRank rank,
                       Incarnation incarnation)
    : impl_(std::make_unique<Impl>(options, cluster, rank, incarnation)) {
  KVS_CHECK(options.Check().ok());
}
ClientCore::~ClientCore() = default;

void ClientCore::OnRouting(int64_t now_ms, RoutingPtr routing, ClientOutbox* out) {
  impl_->OnRouting(now_ms, std::move(routing), out);
}
void ClientCore::OnStreamUp(int64_t now_ms, ShardAddress shard, ClientOutbox* out) {
  impl_->OnStreamUp(now_ms, shard, out);
}
void ClientCore::OnStreamDown(int64_t now_ms, ShardAddress shard) {
  impl_->OnStreamDown(now_ms, shard);
}
void ClientCore::OnFrame(int64_t now_ms, ShardAddress from, const ReplyFrame& reply,
                         ClientOutbox* out) {
  impl_->OnFrame(now_ms, from, reply, out);
}
void ClientCore::OnJobEnded(absl::Status status, ClientOutbox* out) {
  impl_->OnJobEnded(std::move(status), out);
}
void ClientCore::OnTimer(int64_t now_ms, ClientOutbox* out) { impl_->OnTimer(now_ms, out); }
int64_t ClientCore::NextTimerMs() const { return impl_->NextTimerMs(); }
void ClientCore::Submit(int64_t now_ms, std::vector<PartRequest> requests, ClientOutbox* out) {
  impl_->Submit(now_ms, std::move(requests), out);
}
void ClientCore::Submit(int64_t now_ms, ShardRequest request, ClientOutbox* out) {
  impl_->Submit(now_ms, std::move(request), out);
}
void ClientCore::Probe(const std::vector<Ticket>& tickets, ClientOutbox* out) {
  impl_->Probe(tickets, out);
}
std::vector<WaitInfo> ClientCore::WaitingFor(const std::vector<Ticket>& tickets) const {
  return impl_->WaitingFor(tickets);
}
size_t ClientCore::open_requests() const { return impl_->open_requests(); }

}  // namespace kvstore
