// Over 450 lines: each event is written so that it takes the memory it needs before it changes
// anything; that is checked by reading them side by side, with what they call.
#include "client/core/client_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <map>
#include <new>
#include <string>
#include <utility>

#include "client/core/client_core_impl.h"
#include "common/base/check.h"

namespace kvstore {
namespace {

using client_internal::kNever;
using client_internal::NormRelay;
using client_internal::State;

// Of what the core asks for itself.
constexpr Ticket kNoTicket = UINT64_MAX;
// How long to wait before sending is tried again, when there was no memory for a frame.
constexpr int64_t kPauseMs = 10;

}  // namespace

void ClientCore::Impl::OnRouting(int64_t now_ms, RoutingPtr routing, ClientOutbox* out) {
  if (routing_ != nullptr && routing->epoch <= routing_->epoch) return;
  // Within a job no slot moves yet: only incarnations and labels can differ.
  streams_.OnRouting(routing, out);
  routing_ = std::move(routing);
  Send(now_ms, out);
}

void ClientCore::Impl::Send(int64_t now_ms, ClientOutbox* out) {
  send_again_ms_ = kNever;
  try {
    streams_.Send(now_ms, out);
  } catch (const std::bad_alloc&) {
    send_again_ms_ = now_ms + kPauseMs;
  }
}

void ClientCore::Impl::OnStreamUp(int64_t now_ms, ShardAddress shard, ClientOutbox* out) {
  streams_.OnUp(shard);
  Send(now_ms, out);
}

void ClientCore::Impl::OnJobEnded(absl::Status status, ClientOutbox* out) {
  std::vector<Open> open = OpenOnes([](const Request&, PartId, uint64_t) { return true; });
  out->done.reserve(out->done.size() + open.size());
  job_ended_ = std::move(status);
  std::sort(open.begin(), open.end());
  for (const Open& each : open) FinishOpen(each, job_ended_, Completion(), out);
  norms_.Clear();
}

int64_t ClientCore::Impl::NextTimerMs() const {
  // After the end of the job nothing is sent or dialled any more.
  return job_ended_.ok() ? std::min(send_again_ms_, streams_.NextTimerMs()) : kNever;
}

void ClientCore::Impl::OnTimer(int64_t now_ms, ClientOutbox* out) {
  if (!job_ended_.ok()) return;
  while (Request* request = streams_.TakePutOff(now_ms)) {
    if (!request->ordered()) {
      streams_.Queue(*request);
      continue;
    }
    // An earlier request of its part may have been put off, too: then this one stays held until
    // that one is taken (C7).
    LetGo(*request->part);
    if (request->state == State::kHeld) request->times_put_off = 0;
  }
  try {
    streams_.OnTimer(now_ms, out);
  } catch (const std::bad_alloc&) {
    send_again_ms_ = now_ms + kPauseMs;
    return;
  }
  Send(now_ms, out);
}

void ClientCore::Impl::Recycle(Request& request) {
  const auto it = requests_.find(request.id);
  if (spare_.size() < kSpareMax) {
    request.Clear();
    spare_.push_back(std::move(it->second));
  }
  requests_.erase(it);
}

std::vector<ClientCore::Impl::Request*> ClientCore::Impl::WithTickets(
    const std::vector<Ticket>& tickets) const {
  FlatMap<Ticket, size_t> places;
  for (size_t i = 0; i < tickets.size(); ++i) places[tickets[i]] = i;
  std::vector<std::pair<std::pair<size_t, uint64_t>, Request*>> found;
  const auto look = [&](Request* request) {
    const auto it = places.find(request->ask.ticket);
    if (it != places.end()) {
      found.push_back({{it->second, request->order}, request});
    }
  };
  for (const auto& [id, request] : requests_) look(request.get());
  for (const auto& group : groups_.all()) look(group.get());
  std::sort(found.begin(), found.end());
  std::vector<Request*> requests;
  for (const auto& [place, request] : found) requests.push_back(request);
  return requests;
}

void ClientCore::Impl::OnFrame(int64_t now_ms, ShardAddress from, const ReplyFrame& reply,
                               ClientOutbox* out) {
  // Ignored: a reply for an earlier life of this rank, and one that was sent in another cluster.
  if (routing_ == nullptr || reply.header.rank != header_.rank ||
      reply.header.incarnation != header_.incarnation || reply.header.cluster != header_.cluster) {
    return;
  }
  if (!streams_.Has(from)) return;
  streams_.OnHeard(from);
  out->done.reserve(out->done.size() + reply.entries.size());
  for (const ReplyEntry& entry : reply.entries) {
    // Whatever the server sends, an entry counts only if it names an open request of ours, by
    // number, part and shard. Late replies and hostile ones end here (C4).
    if (Request* const group = groups_.Find(entry.request)) {
      Member& member = *group->MemberWith(entry.request);
      if (!(group->shard == from) || !(entry.id() == member.id)) continue;
      OnMemberReply(now_ms, *group, member, reply, entry, out);
      continue;
    }
    const auto it = requests_.find(entry.request);
    if (it == requests_.end()) continue;  // over already
    Request& request = *it->second;
    if (!(request.shard == from) || !(entry.id() == request.ask.id)) continue;
    OnReply(now_ms, request, reply, entry, out);
  }
  Send(now_ms, out);
}

void ClientCore::Impl::OnReply(int64_t now_ms, Request& request, const ReplyFrame& reply,
                               const ReplyEntry& entry, ClientOutbox* out) {
  if (!request.contributes()) return TakeReply(now_ms, request, reply, entry, out);
  KeyFailures::Known* const known = request.part->key;
  failures_.Hear(known, {request.ask.id, request.round, request.ends}, entry);
  const KeyId key = request.ask.id.key;
  const uint64_t ends = request.ends;
  TakeReply(now_ms, request, reply, entry, out);
  // Should there be no memory for this, the answers to the others come here again.
  if (const absl::Status* failed = failures_.Find(known, ends)) EndFailed(key, ends, *failed, out);
}

void ClientCore::Impl::EndFailed(KeyId key, uint64_t ends, const absl::Status& failure,
                                 ClientOutbox* out) {
  std::vector<Open> open = OpenOnes([&](const Request& request, PartId id, uint64_t ends_before) {
    const bool moves = request.ask.op == Op::kPush || request.ask.op == Op::kPull;
    return moves && id.key == key && ends_before == ends;
  });
  out->done.reserve(out->done.size() + open.size());
  // The last ones first, so that none of them is let go by the end of another.
  std::sort(open.rbegin(), open.rend());
  for (const Open& each : open) {
    Completion done;
    done.key_failed = true;
    FinishOpen(each, failure, std::move(done), out);
  }
  norms_.Forget(key);
}

void ClientCore::Impl::TakeReply(int64_t now_ms, Request& request, const ReplyFrame& reply,
                                 const ReplyEntry& entry, ClientOutbox* out) {
  if (request.contributes()) HearNorms(request.ask.id, request.round, entry);
  if (entry.code != absl::StatusCode::kOk) {
    // Put off: the request stays open, with its number and round. Any other error ends it.
    if (entry.retry_after_ms > 0) {
      request.put_off_because = entry.code;
      return streams_.PutOff(now_ms, entry.retry_after_ms, request);
    }
    const absl::Status* const failed =
        request.part == nullptr ? nullptr : failures_.Find(request.part->key, request.ends);
    const std::string message(failed == nullptr ? entry.message : std::string(failed->message()));
    return Finish(request, absl::Status(entry.code, message), Completion(), out);
  }
  if (entry.op == Op::kProbe) {
    request.missing = entry.missing_ranks;
    request.held = entry.message;
    request.probe_answered = true;
  }
  switch (entry.progress) {
    case Progress::kDone:
      return OnDone(request, reply, entry, out);
    case Progress::kUnknown:
      // Only a probe is answered so: the request never reached the server, because its stream broke
      // on the way. It goes again with the same bytes, round and number (C3). A request that is in
      // a queue again already, or held, needs nothing.
      if (request.state == State::kSent || request.state == State::kOwned) {
        streams_.SendAgain(request);
      }
      return;
    case Progress::kReceived:
      return OnReceived(now_ms, request);
    case Progress::kUnspecified:
      return;
  }
}

void ClientCore::Impl::HearNorms(PartId id, Round round, const ReplyEntry& entry) {
  const bool refused = entry.code != absl::StatusCode::kOk;
  const bool over = refused ? entry.retry_after_ms == 0 : entry.progress == Progress::kDone;
  const absl::StatusOr<NormNote> note =
      entry.data.empty() ? absl::NotFoundError("") : DecodeNormNote(entry.data);
  const std::vector<NormRelay::Due> due =
      norms_.Hear(id, round, note.ok() ? &*note : nullptr, over,
                  [&](PartId part) { return order_.IsOver(part, round); });
  if (due.empty()) return;
  NewRequests made = Make(due.size());
  for (size_t i = 0; i < due.size(); ++i) {
    Request& request = *made[i];
    request.ask.op = Op::kNorms;
    request.ask.id = due[i].id;
    request.ask.ticket = kNoTicket;
    request.ask.piece.data = EncodeNormNote(due[i].note);
    request.ask.priority = INT_MAX;  // others wait for it
    request.round = due[i].round;
    request.life = order_.LifeOf(due[i].id);
    request.shard = routing_->OwnerOf(due[i].id);
  }
  // From here on nothing takes memory.
  norms_.Sent(due);
  own_requests_ += due.size();
  for (std::unique_ptr<Request>& request : made) streams_.Queue(*Add(std::move(request)));
}

void ClientCore::Impl::OnDone(Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
                              ClientOutbox* out) {
  // This may be the answer to a probe. It can end a push, about which `done` says all there is to
  // know. Every other request needs its own answer, which brings more: a pull the bytes, an Init
  // the key.
  if (request.ask.op != entry.op && !request.contributes()) return;
  Completion done;
  if (!request.contributes()) done.data = entry.data;
  done.round = entry.version;
  done.staleness = entry.staleness;
  const bool begins = request.ask.op == Op::kInit || request.ask.op == Op::kReset;
  if (begins) PartOrder::Begin(request, entry.life);
  if (request.ask.key != nullptr && request.ask.key->shape_unknown) {
    const KeySpec* key = FindKeySpec(reply, entry);
    if (key != nullptr) done.key = std::make_shared<KeySpec>(*key);
  }
  Finish(request, absl::OkStatus(), std::move(done), out);
}

// The server has the request. Its word may come late: the request may have been put off since, or
// stand in a queue again, to be asked after.
void ClientCore::Impl::OnReceived(int64_t now_ms, Request& request) {
  streams_.Own(now_ms, request);
  // If it was put off before, it has held what comes after it in its part: that may go now.
  if (std::exchange(request.times_put_off, 0) > 0 && request.ordered()) LetGo(*request.part);
}

void ClientCore::Impl::Finish(Request& request, absl::Status status, Completion done,
                              ClientOutbox* out) {
  if (request.to_shards != nullptr) return FinishShard(request, status, out);
  if (request.ask.op == Op::kNorms) {
    // Nobody asked for it. An error is the push's, too, which is told of it, or over.
    streams_.Forget(request);
    --own_requests_;
    return Recycle(request);
  }
  MakeRoomForOne(&out->done);
  // From here on nothing takes memory: it is open or, below, over and told.
  streams_.Forget(request);
  const PartQueue* const part = request.part;
  done.ticket = request.ask.ticket;
  done.member = request.number;
  done.id = request.ask.id;
  done.request = request.id;
  // A pull's round in a completion is the version that it got, which OnDone has filled in.
  if (request.contributes() || !status.ok()) done.round = request.round;
  done.status = std::move(status);
  out->done.push_back(std::move(done));

  PartOrder::Remove(request);
  Recycle(request);
  // Whatever this request held in its part may go now, if nothing else holds it. After the end of
  // the job OnJobEnded finishes them all.
  if (job_ended_.ok()) LetGo(*part);
}

void ClientCore::Impl::FinishShard(Request& request, const absl::Status& status,
                                   ClientOutbox* out) {
  const Ticket ticket = request.ask.ticket;
  ShardGroup& group = shard_groups_.at(ticket);
  if (!status.ok() && job_ended_.ok()) {
    // Of each server one refusal is enough, for one message that names them all.
    group.refusals.try_emplace(request.shard.server, status);
  }
  Completion done;
  done.ticket = ticket;
  if (group.remaining == 1) {
    done.status = job_ended_.ok() ? StatusOf(group) : job_ended_;
    MakeRoomForOne(&out->done);
  }
  // From here on nothing takes memory. (Where it was missing, the refusal that is noted already is
  // noted again with the answer to the repeat, which is the same.)
  streams_.Forget(request);
  Recycle(request);
  if (--group.remaining > 0) return;
  out->done.push_back(std::move(done));
  shard_groups_.erase(ticket);
}

absl::Status ClientCore::Impl::StatusOf(const ShardGroup& group) const {
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
  const std::vector<Request*> named = WithTickets(tickets);
  std::vector<Request*> asked;
  asked.reserve(named.size());
  for (Request* request : named) {
    if (request->to_shards != nullptr) continue;
    request->probe_answered = false;
    request->missing.clear();
    request->held.clear();
    asked.push_back(request);
  }
  streams_.Probe(asked, out);
}

std::vector<WaitInfo> ClientCore::Impl::WaitingFor(const std::vector<Ticket>& tickets) const {
  std::vector<WaitInfo> infos;
  for (const Request* request : WithTickets(tickets)) {
    // Of a group that was not answered any one stands for the others.
    const PartId id = request->is_group()
                          ? std::find_if(request->members.begin(), request->members.end(),
                                         [](const Member& member) { return member.open; })
                                ->id
                          : request->ask.id;
    infos.push_back(
        {id, request->ask.op, request->round, request->shard, streams_.IsUp(request->shard),
         request->probe_answered, request->missing, request->held,
         request->times_put_off > 0 ? request->put_off_because : absl::StatusCode::kOk});
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
void ClientCore::OnStreamUp(int64_t now_ms, ShardAddress shard, ClientOutbox* out) noexcept {
  impl_->OnStreamUp(now_ms, shard, out);
}
void ClientCore::OnStreamDown(int64_t now_ms, ShardAddress shard) noexcept {
  impl_->OnStreamDown(now_ms, shard);
}
void ClientCore::OnFrame(int64_t now_ms, ShardAddress from, const ReplyFrame& reply,
                         ClientOutbox* out) {
  impl_->OnFrame(now_ms, from, reply, out);
}
void ClientCore::OnJobEnded(absl::Status status, ClientOutbox* out) {
  impl_->OnJobEnded(std::move(status), out);
}
void ClientCore::OnTimer(int64_t now_ms, ClientOutbox* out) noexcept {
  impl_->OnTimer(now_ms, out);
}
int64_t ClientCore::NextTimerMs() const noexcept { return impl_->NextTimerMs(); }
void ClientCore::Submit(int64_t now_ms, std::vector<PartRequest>&& requests, ClientOutbox* out) {
  impl_->Submit(now_ms, std::move(requests), out);
}
void ClientCore::Submit(int64_t now_ms, const ShardRequest& request, ClientOutbox* out) {
  impl_->Submit(now_ms, request, out);
}
void ClientCore::Probe(const std::vector<Ticket>& tickets, ClientOutbox* out) {
  impl_->Probe(tickets, out);
}
std::vector<WaitInfo> ClientCore::WaitingFor(const std::vector<Ticket>& tickets) const {
  return impl_->WaitingFor(tickets);
}
size_t ClientCore::open_requests() const { return impl_->open_requests(); }

}  // namespace kvstore
