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

#include "client/core/key_failures.h"
#include "client/core/norm_relay.h"
#include "client/core/part_order.h"
#include "client/core/request.h"
#include "client/core/streams.h"
#include "common/base/check.h"
#include "common/base/flat_map.h"

namespace kvstore {
namespace {

using client_internal::KeyFailures;
using client_internal::kNever;
using client_internal::NormRelay;
using client_internal::PartOrder;
using client_internal::PartQueue;
using client_internal::Request;
using client_internal::State;
using client_internal::Streams;

// How many requests that are over are kept for their next use: about 4 MiB.
constexpr size_t kSpareMax = 8192;
// Of what the core asks for itself.
constexpr Ticket kNoTicket = UINT64_MAX;
// How long to wait before sending is tried again, when there was no memory for a frame.
constexpr int64_t kPauseMs = 10;

// Requests are numbered, and mostly answered, one after the other: neighbours stand together.
struct InSequence {
  // Of an absl table the lowest 7 bits tell entries apart, the others say where one is.
  size_t operator()(RequestId id) const { return id << 7u | (id & 0x7Fu); }
};

// Makes room, so that the next push_back will take no memory.
template <typename T>
void MakeRoomForOne(std::vector<T>* list) {
  if (list->size() == list->capacity()) list->reserve(2 * list->size() + 4);
}

FrameHeader HeaderOf(ClusterId cluster, WorkerRank rank, Incarnation incarnation) {
  FrameHeader header;
  header.cluster = cluster;
  header.rank = rank;
  header.incarnation = incarnation;
  return header;
}

}  // namespace

// A request about a part goes from PartOrder (may it go?) to Streams (when is it sent?) and ends in
// OnReply; one about whole shards goes to Streams at once. This class knows all open requests, and
// what an answer means for them.
class ClientCore::Impl {
 public:
  Impl(const ClientCoreOptions& options, ClusterId cluster, WorkerRank rank,
       Incarnation incarnation)
      : header_(HeaderOf(cluster, rank, incarnation)),
        order_(options.rounds_ahead_max),
        streams_(options, header_) {
    spare_.reserve(kSpareMax);
  }

  void OnRouting(int64_t now_ms, RoutingPtr routing, ClientOutbox* out);
  void OnStreamUp(int64_t now_ms, ShardAddress shard, ClientOutbox* out);
  void OnStreamDown(int64_t now_ms, ShardAddress shard) { streams_.OnDown(now_ms, shard); }
  void OnFrame(int64_t now_ms, ShardAddress from, const ReplyFrame& reply, ClientOutbox* out);
  void OnJobEnded(absl::Status status, ClientOutbox* out);
  void OnTimer(int64_t now_ms, ClientOutbox* out);
  int64_t NextTimerMs() const;
  void Submit(int64_t now_ms, std::vector<PartRequest>&& requests, ClientOutbox* out);
  void Submit(int64_t now_ms, const ShardRequest& request, ClientOutbox* out);
  void Probe(const std::vector<Ticket>& tickets, ClientOutbox* out);
  std::vector<WaitInfo> WaitingFor(const std::vector<Ticket>& tickets) const;
  size_t open_requests() const { return requests_.size() - own_requests_; }

 private:
  // The answers to a request that went to several shards.
  struct ShardGroup {
    size_t remaining = 0;
    std::map<ServerRank, absl::Status> refusals;  // of each server the first
  };

  // OK, or why nothing can be submitted.
  absl::Status Usable() const;
  using NewRequests = std::vector<std::unique_ptr<Request>>;
  // Makes requests that are about to be submitted, and the room that Add will need. Nothing is
  // known of them yet.
  NewRequests Make(size_t count);
  // Gives a request its number, and notes it as open. Takes no memory: Make has made room.
  Request* Add(std::unique_ptr<Request> request);
  // Sends what may go; what there is no memory for now is sent later.
  void Send(int64_t now_ms, ClientOutbox* out);
  // Ends an open request; its memory is kept for a later one.
  void Recycle(Request& request);
  // The open requests of `tickets`, in the order of the tickets; a whole-shard ticket has several.
  // Looks at all requests: for rare questions.
  std::vector<Request*> WithTickets(const std::vector<Ticket>& tickets) const;
  // Hands the streams those requests of the part that are not held any more.
  void LetGo(const PartQueue& part) {
    order_.LetGo(part, [this](Request& request) { streams_.Queue(request); });
  }

  void OnReply(int64_t now_ms, Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
               ClientOutbox* out);
  void TakeReply(int64_t now_ms, Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
                 ClientOutbox* out);
  // Why a push or pull of the part can only fail, if it were submitted now; null: it may not (C11).
  const absl::Status* FailureOf(const PartRequest& ask, const PartQueue& part) const;
  // Ends the open pushes and pulls of a key that has failed.
  void EndFailed(KeyId key, uint64_t ends, const absl::Status& failure, ClientOutbox* out);
  // What the answer to a push says of norms; sends what other parts must hear of it.
  void HearNorms(const Request& push, const ReplyEntry& entry);
  void OnDone(Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
              ClientOutbox* out);
  void OnReceived(int64_t now_ms, Request& request);
  void Finish(Request& request, absl::Status status, Completion done, ClientOutbox* out);
  void FinishShard(Request& request, const absl::Status& status, ClientOutbox* out);
  // What becomes of a request to several shards, all of which have answered.
  absl::Status StatusOf(const ShardGroup& group) const;

  const FrameHeader header_;
  RoutingPtr routing_;
  absl::Status job_ended_;  // OK: it has not
  PartOrder order_;
  KeyFailures failures_;
  NormRelay norms_;
  Streams streams_;
  int64_t send_again_ms_ = kNever;  // there was no memory for a frame
  FlatMap<RequestId, std::unique_ptr<Request>, InSequence> requests_;
  std::vector<std::unique_ptr<Request>> spare_;  // has room for kSpareMax
  std::map<Ticket, ShardGroup> groups_;
  RequestId last_request_ = 0;
  size_t own_requests_ = 0;  // NORMS: open, but nobody waits for them
};

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
  std::vector<std::pair<uint64_t, Request*>> open;
  open.reserve(requests_.size());
  out->done.reserve(out->done.size() + requests_.size());
  job_ended_ = std::move(status);
  for (const auto& [id, request] : requests_) open.emplace_back(request->order, request.get());
  std::sort(open.begin(), open.end());
  for (const auto& [order, request] : open) Finish(*request, job_ended_, Completion(), out);
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

ClientCore::Impl::NewRequests ClientCore::Impl::Make(size_t count) {
  NewRequests requests;
  requests.reserve(count);
  requests_.MakeRoomFor(count);
  while (requests.size() < count && !spare_.empty()) {
    requests.push_back(std::move(spare_.back()));
    spare_.pop_back();
  }
  while (requests.size() < count) requests.push_back(std::make_unique<Request>());
  return requests;
}

Request* ClientCore::Impl::Add(std::unique_ptr<Request> owned) {
  Request* request = owned.get();
  request->id = ++last_request_;
  request->order = request->id;
  requests_.emplace(request->id, std::move(owned));
  return request;
}

void ClientCore::Impl::Recycle(Request& request) {
  const auto it = requests_.find(request.id);
  if (spare_.size() < kSpareMax) {
    request.Clear();
    spare_.push_back(std::move(it->second));
  }
  requests_.erase(it);
}

std::vector<Request*> ClientCore::Impl::WithTickets(const std::vector<Ticket>& tickets) const {
  FlatMap<Ticket, size_t> places;
  for (size_t i = 0; i < tickets.size(); ++i) places[tickets[i]] = i;
  std::vector<std::pair<std::pair<size_t, uint64_t>, Request*>> found;
  for (const auto& [id, request] : requests_) {
    const auto it = places.find(request->ask.ticket);
    if (it != places.end()) {
      found.push_back({{it->second, request->order}, request.get()});
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<Request*> requests;
  for (const auto& [place, request] : found) requests.push_back(request);
  return requests;
}

absl::Status ClientCore::Impl::Usable() const {
  if (!job_ended_.ok()) return job_ended_;
  if (routing_ == nullptr) return absl::FailedPreconditionError("the cluster is not routed yet");
  return absl::OkStatus();
}

void ClientCore::Impl::Submit(int64_t now_ms, std::vector<PartRequest>&& requests,
                              ClientOutbox* out) {
  if (const absl::Status usable = Usable(); !usable.ok()) {
    out->done.reserve(out->done.size() + requests.size());
    for (const PartRequest& ask : requests) {
      out->done.push_back({ask.ticket, ask.id, usable, Payload(), 0, nullptr});
    }
    return;
  }
  NewRequests made = Make(requests.size());
  bool failed = false;
  for (size_t i = 0; i < requests.size(); ++i) {
    const PartRequest& ask = requests[i];
    PartQueue& part = order_.MakeRoom(ask.id);
    if (ask.op == Op::kInit) failures_.Expect(*ask.key);
    if (part.key == nullptr) part.key = failures_.Of(ask.id.key);
    made[i]->part = &part;
    failed |= FailureOf(ask, part) != nullptr;
  }
  if (failed) out->done.reserve(out->done.size() + requests.size());
  // From here on nothing takes memory: all are submitted or, above, none is.
  for (size_t i = 0; i < requests.size(); ++i) {
    const absl::Status* const failure = failed ? FailureOf(requests[i], *made[i]->part) : nullptr;
    if (failure != nullptr) {
      Completion& done = out->done.emplace_back();
      done.ticket = requests[i].ticket;
      done.id = requests[i].id;
      done.status = *failure;
      done.key_failed = true;
      continue;
    }
    made[i]->ask = std::move(requests[i]);
    Request* request = Add(std::move(made[i]));
    PartQueue& part = *request->part;
    const int priority = request->ask.priority;
    request->shard = routing_->OwnerOf(request->ask.id);
    // The order within a part stays that of submission, so a request that is urgent makes those
    // before it as urgent. Then it gets its round and its place in the part, and goes at once
    // unless something holds it.
    PartOrder::RaiseTo(priority, part,
                       [&](Request& earlier) { streams_.Raise(earlier, priority); });
    PartOrder::Add(request);
    LetGo(part);
  }
  Send(now_ms, out);
}

void ClientCore::Impl::Submit(int64_t now_ms, const ShardRequest& request, ClientOutbox* out) {
  if (const absl::Status usable = Usable(); !usable.ok()) {
    out->done.push_back({request.ticket, {}, usable, Payload(), 0, nullptr});
    return;
  }
  // One request to each shard, or to the first shard of each server; the submitter hears once, when
  // all have answered.
  const bool first_shard_only = InfoOf(request.op).scope == OpScope::kFirstShard;
  std::vector<ShardAddress> shards = streams_.shards();
  if (first_shard_only) {
    shards.erase(std::remove_if(shards.begin(), shards.end(),
                                [](const ShardAddress& shard) { return shard.shard != 0; }),
                 shards.end());
  }
  NewRequests made = Make(shards.size());
  const auto to_shards = std::make_shared<const ShardRequest>(request);
  for (size_t i = 0; i < shards.size(); ++i) {
    Request& each = *made[i];
    each.ask.op = request.op;
    each.ask.ticket = request.ticket;
    each.ask.step = request.step;
    each.to_shards = to_shards;
    each.shard = shards[i];
  }
  groups_[request.ticket].remaining = shards.size();
  // From here on nothing takes memory.
  for (std::unique_ptr<Request>& each : made) streams_.Queue(*Add(std::move(each)));
  Send(now_ms, out);
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
    const auto it = requests_.find(entry.request);
    if (it == requests_.end()) continue;  // over already
    Request& request = *it->second;
    if (!(request.shard == from) || !(entry.id() == request.ask.id)) continue;
    OnReply(now_ms, request, reply, entry, out);
  }
  Send(now_ms, out);
}

const absl::Status* ClientCore::Impl::FailureOf(const PartRequest& ask,
                                                const PartQueue& part) const {
  if (ask.op != Op::kPush && ask.op != Op::kPull) return nullptr;
  return failures_.Find(part.key, part.ends);
}

void ClientCore::Impl::OnReply(int64_t now_ms, Request& request, const ReplyFrame& reply,
                               const ReplyEntry& entry, ClientOutbox* out) {
  if (!request.contributes()) return TakeReply(now_ms, request, reply, entry, out);
  KeyFailures::Known* const known = request.part->key;
  failures_.Hear(known, request, entry);
  const KeyId key = request.ask.id.key;
  const uint64_t ends = request.ends;
  TakeReply(now_ms, request, reply, entry, out);
  // Should there be no memory for this, the answers to the others come here again.
  if (const absl::Status* failed = failures_.Find(known, ends)) EndFailed(key, ends, *failed, out);
}

void ClientCore::Impl::EndFailed(KeyId key, uint64_t ends, const absl::Status& failure,
                                 ClientOutbox* out) {
  std::vector<std::pair<uint64_t, Request*>> open;
  for (const auto& [id, request] : requests_) {
    const bool moves = request->ask.op == Op::kPush || request->ask.op == Op::kPull;
    if (moves && request->ask.id.key == key && request->ends == ends) {
      open.emplace_back(request->order, request.get());
    }
  }
  out->done.reserve(out->done.size() + open.size());
  // The last ones first, so that none of them is let go by the end of another.
  std::sort(open.rbegin(), open.rend());
  for (const auto& [order, request] : open) {
    Completion done;
    done.key_failed = true;
    Finish(*request, failure, std::move(done), out);
  }
  norms_.Forget(key);
}

void ClientCore::Impl::TakeReply(int64_t now_ms, Request& request, const ReplyFrame& reply,
                                 const ReplyEntry& entry, ClientOutbox* out) {
  if (request.contributes()) HearNorms(request, entry);
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

void ClientCore::Impl::HearNorms(const Request& push, const ReplyEntry& entry) {
  const bool refused = entry.code != absl::StatusCode::kOk;
  const bool over = refused ? entry.retry_after_ms == 0 : entry.progress == Progress::kDone;
  const absl::StatusOr<NormNote> note =
      entry.data.empty() ? absl::NotFoundError("") : DecodeNormNote(entry.data);
  const std::vector<NormRelay::Due> due =
      norms_.Hear(push.ask.id, push.round, note.ok() ? &*note : nullptr, over,
                  [&](PartId part) { return order_.IsOver(part, push.round); });
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
  ShardGroup& group = groups_.at(ticket);
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
  groups_.erase(ticket);
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
    infos.push_back(
        {request->ask.id, request->ask.op, request->round, request->shard,
         streams_.IsUp(request->shard), request->probe_answered, request->missing, request->held,
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
