// The class behind ClientCore. client_core.cc has what events do, client_core_submit.cc how
// requests come to be; client_core_groups.cc what is other of those in groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/key_failures.h"
#include "client/core/norm_relay.h"
#include "client/core/part_order.h"
#include "client/core/request.h"
#include "client/core/request_groups.h"
#include "client/core/streams.h"
#include "common/base/flat_map.h"

namespace kvstore {

// Requests are numbered, and mostly answered, one after the other: neighbours stand together.
struct InSequence {
  // Of an absl table the lowest 7 bits tell entries apart, the others say where one is.
  size_t operator()(RequestId id) const { return id << 7u | (id & 0x7Fu); }
};

// A request about a part goes from PartOrder (may it go?) to Streams (when is it sent?) and ends in
// OnReply; one about whole shards goes to Streams at once. This class knows all open requests, and
// what an answer means for them.
class ClientCore::Impl {
 public:
  Impl(const ClientCoreOptions& options, ClusterId cluster, WorkerRank rank,
       Incarnation incarnation)
      : header_(HeaderOf(cluster, rank, incarnation)),
        window_bytes_(options.window_bytes),
        order_(options.rounds_ahead_max),
        streams_(options, header_) {
    spare_.reserve(kSpareMax);
    spare_groups_.reserve(kSpareGroupsMax);
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
  size_t open_requests() const { return requests_.size() - own_requests_ + groups_.open(); }

 private:
  using Request = client_internal::Request;
  using Member = client_internal::Member;
  using PartOrder = client_internal::PartOrder;
  using PartQueue = client_internal::PartQueue;
  using KeyFailures = client_internal::KeyFailures;

  // How many requests that are over are kept for their next use: about 4 MiB.
  static constexpr size_t kSpareMax = 8192;
  static constexpr size_t kSpareGroupsMax = 64;

  static FrameHeader HeaderOf(ClusterId cluster, WorkerRank rank, Incarnation incarnation) {
    FrameHeader header;
    header.cluster = cluster;
    header.rank = rank;
    header.incarnation = incarnation;
    return header;
  }
  // Makes room, so that the next push_back will take no memory.
  template <typename T>
  static void MakeRoomForOne(std::vector<T>* list) {
    if (list->size() == list->capacity()) list->reserve(2 * list->size() + 4);
  }

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
  // One of them, without such room.
  std::unique_ptr<Request> MakeOne();
  // Gives a request its number, and notes it as open. Takes no memory: Make has made room.
  Request* Add(std::unique_ptr<Request> request);

  // What Submit will do, with all the memory for it.
  struct Plan {
    struct Step {
      std::unique_ptr<Request> request;
      size_t asked = SIZE_MAX;  // which of what is submitted is its `ask`; none: it has one
    };
    struct Refusal {
      size_t asked = 0;
      const PartGroup::Member* member = nullptr;
      const absl::Status* status = nullptr;
    };
    std::vector<Step> steps;
    std::vector<Refusal> refusals;
    size_t singles = 0;
    size_t groups = 0;
  };
  // The part, of which something is about to be asked. May throw std::bad_alloc.
  PartQueue& PartOf(const PartRequest& ask, PartId id);
  Plan PlanOf(const std::vector<PartRequest>& requests);
  // Those of its requests that can go at once, in groups, one for each shard and round; the others
  // by themselves.
  void PlanGroup(const PartRequest& ask, size_t asked, Plan* plan);
  void AddGroup(std::unique_ptr<Request> group);
  // What comes before it in the parts of a group's members must be as urgent, too.
  void Raise(Request& request, int priority);
  // Tells of requests, one or a group, that there is nothing to be submitted.
  static void AddRefusals(const PartRequest& ask, const absl::Status& status, ClientOutbox* out);
  // Sends what may go; what there is no memory for now is sent later.
  void Send(int64_t now_ms, ClientOutbox* out);
  // Ends an open request; its memory is kept for a later one.
  void Recycle(Request& request);
  // An open request: a single one, or a member of a group.
  struct Open {
    uint64_t order = 0;
    Request* request = nullptr;
    Member* member = nullptr;

    bool operator<(const Open& other) const { return order < other.order; }
  };
  // Those for which `wanted` (op, id, ends) says yes.
  template <typename Wanted>
  std::vector<Open> OpenOnes(const Wanted& wanted) const;
  void FinishOpen(const Open& open, const absl::Status& status, Completion done, ClientOutbox* out);
  // The open requests of `tickets`, in the order of the tickets; a whole-shard ticket has several.
  // Looks at all requests: for rare questions.
  std::vector<Request*> WithTickets(const std::vector<Ticket>& tickets) const;
  // Hands the streams those requests of the part that are not held any more.
  void LetGo(const PartQueue& part) {
    if (part.open.first() == nullptr) return;
    order_.LetGo(part, [this](Request& request) { streams_.Queue(request); });
  }

  void OnReply(int64_t now_ms, Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
               ClientOutbox* out);
  void TakeReply(int64_t now_ms, Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
                 ClientOutbox* out);
  // Why a push or pull of the part can only fail, if it were submitted now; null: it may not (C11).
  const absl::Status* FailureOf(Op op, const PartQueue& part) const;
  // Of a group.
  void OnMemberReply(int64_t now_ms, Request& group, Member& member, const ReplyFrame& reply,
                     const ReplyEntry& entry, ClientOutbox* out);
  void FinishMember(Request& group, Member& member, absl::Status status, Completion done,
                    ClientOutbox* out);
  // The member goes on as a request by itself.
  Request& Split(int64_t now_ms, Request& group, Member& member);
  void Close(Request& group, Member& member);
  // Ends the open pushes and pulls of a key that has failed.
  void EndFailed(KeyId key, uint64_t ends, const absl::Status& failure, ClientOutbox* out);
  // What the answer to a push says of norms; sends what other parts must hear of it.
  void HearNorms(PartId id, Round round, const ReplyEntry& entry);
  void OnDone(Request& request, const ReplyFrame& reply, const ReplyEntry& entry,
              ClientOutbox* out);
  void OnReceived(int64_t now_ms, Request& request);
  void Finish(Request& request, absl::Status status, Completion done, ClientOutbox* out);
  void FinishShard(Request& request, const absl::Status& status, ClientOutbox* out);
  // What becomes of a request to several shards, all of which have answered.
  absl::Status StatusOf(const ShardGroup& group) const;

  const FrameHeader header_;
  const uint64_t window_bytes_;
  RoutingPtr routing_;
  absl::Status job_ended_;  // OK: it has not
  PartOrder order_;
  KeyFailures failures_;
  client_internal::NormRelay norms_;
  client_internal::Streams streams_;
  int64_t send_again_ms_ = client_internal::kNever;  // there was no memory for a frame
  // By number, those aside that are in groups.
  FlatMap<RequestId, std::unique_ptr<Request>, InSequence> requests_;
  client_internal::RequestGroups groups_;
  std::vector<std::unique_ptr<Request>> spare_;  // has room for kSpareMax
  std::map<Ticket, ShardGroup> shard_groups_;
  std::vector<std::unique_ptr<Request>> spare_groups_;
  uint64_t submissions_ = 0;
  RequestId last_request_ = 0;
  size_t own_requests_ = 0;  // NORMS: open, but nobody waits for them
};

template <typename Wanted>
std::vector<ClientCore::Impl::Open> ClientCore::Impl::OpenOnes(const Wanted& wanted) const {
  std::vector<Open> found;
  found.reserve(requests_.size() + groups_.open());
  for (const auto& [id, request] : requests_) {
    if (wanted(*request, request->ask.id, request->ends)) {
      found.push_back({request->order, request.get(), nullptr});
    }
  }
  for (const std::unique_ptr<Request>& group : groups_.all()) {
    for (Member& member : group->members) {
      if (!member.open || !wanted(*group, member.id, member.ends)) continue;
      found.push_back({group->NumberOf(member), group.get(), &member});
    }
  }
  return found;
}

}  // namespace kvstore
