// Request: what ClientCore keeps of an open request, and where it is between Submit and its
// completion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/core/client_core.h"

namespace kvstore::client_internal {

inline constexpr int64_t kNever = INT64_MAX;

// A request goes from kHeld to kReady to kSent and, if the final answer takes time, to kOwned. When
// its stream breaks, or no answer comes in time, it goes back to kReady. When the server puts it
// off it goes to kPutOff, from there to kHeld, and on as before.
enum class State {
  kHeld,    // an earlier request of its part comes first (PartOrder)
  kReady,   // in the queue of its stream (Streams)
  kSent,    // on the wire, no answer yet
  kOwned,   // the server said `received`, or has parked it
  kPutOff,  // the server refused it with retry-after: it waits here for that time
};

struct PartQueue;
struct Request;
using ByOrder = std::map<uint64_t, Request*>;
using ByTurn = std::map<std::pair<int64_t, uint64_t>, Request*>;

// Where a request about a part stands in the order of that part (PartOrder).
struct Place {
  Request* request = nullptr;
  Place* next = nullptr;
  Place* previous = nullptr;
};

// One of the requests of a group. Their numbers on the wire follow that of the group, which is only
// its place in queues.
struct Member {
  Place place;
  PartQueue* part = nullptr;
  PartId id;
  uint64_t ends = 0;    // as of Request
  uint32_t number = 0;  // in PartGroup::members
  bool open = true;
  bool counts = true;  // its bytes are not answered yet: they may be in the window
};

// What a request of a group brings.
inline Payload DataOf(const PartGroup& group, const PartGroup::Member& member) {
  if (group.bytes == nullptr) return Payload();
  return Payload(Slice{group.bytes->data() + member.at, member.size, group.bytes});
}

// Where a request may ever stand takes its memory with the request: its elements of the two kinds
// of ordered queues, and its places in two lists. So nothing that happens to it later needs memory.
struct Request {
  Request();
  // Ready for another use: keeps the elements, which are here as it stands in no queue.
  void Clear();

  // Of a group, `ask` has what they have in common, but for the round, which is the same; the ids
  // and bytes are in ask.group.
  PartRequest ask;  // if it goes to whole shards: op, ticket, step
  // What goes to whole shards; null: it is about a part.
  std::shared_ptr<const ShardRequest> to_shards;
  RequestId id = 0;
  uint64_t order = 0;  // of submission
  Round round = 0;
  uint64_t life = 0;  // of the part, as it was when the request was let go
  uint64_t ends = 0;  // how many DELETEs and RESETs of the part were submitted before
  ShardAddress shard;
  PartQueue* part = nullptr;  // its place in PartOrder, if that knows it

  State state = State::kHeld;
  bool as_probe = false;    // the next time it is sent, it is a probe: what became of it?
  size_t window_bytes = 0;  // counted against the stream's window
  int64_t try_until_ms = kNever;
  int64_t put_off_until_ms = kNever;
  // In a row, by the server. While it is not 0 what comes after the request in its part is held.
  int times_put_off = 0;
  absl::StatusCode put_off_because = absl::StatusCode::kOk;  // the last time

  ByOrder::node_type by_order;   // of a queue of Streams; empty while it stands in one
  ByTurn::node_type by_turn;     // likewise
  Request* next_sent = nullptr;  // in the list of what its stream has sent
  Request* previous_sent = nullptr;
  Place place;          // in PartOrder
  uint32_t number = 0;  // in PartGroup::members, if it was to be in a group

  std::vector<Member> members;  // empty: it is one request
  size_t open_members = 0;
  size_t member_bytes = 0;

  bool is_group() const { return !members.empty(); }
  bool brings() const { return is_group() ? ask.group->bytes != nullptr : !ask.piece.data.empty(); }
  // Of a group: those that are open and not answered.
  size_t bytes() const { return is_group() ? member_bytes : ask.piece.data.size(); }
  RequestId NumberOf(const Member& member) const {
    return id + 1 + static_cast<RequestId>(&member - members.data());
  }
  // Null: it is none of their numbers.
  Member* MemberWith(RequestId wanted) {
    return wanted > id && wanted - id <= members.size() ? &members[wanted - id - 1] : nullptr;
  }
  size_t SizeOf(const Member& member) const { return ask.group->members[member.number].size; }

  bool probe_answered = false;
  std::vector<WorkerRank> missing;
  std::string held;  // what the server says holds it up

  OpOrder op_order() const { return InfoOf(ask.op).order; }
  // Whether PartOrder knows it.
  bool ordered() const { return op_order() != OpOrder::kFree; }
  // Whether it ends a life of its part.
  bool ends_life() const { return ask.op == Op::kDelete || ask.op == Op::kReset; }
  // Whether it is a contribution to a round.
  bool contributes() const { return InfoOf(ask.op).round == OpRound::kContributes; }
};

// A list through two fields of what is in it, in the order in which that was added.
template <typename T, T* T::*kNext, T* T::*kPrevious>
class LinkedList {
 public:
  T* first() const { return first_; }
  T* last() const { return last_; }
  void Add(T* item) {
    item->*kPrevious = last_;
    item->*kNext = nullptr;
    (last_ != nullptr ? last_->*kNext : first_) = item;
    last_ = item;
  }
  void Remove(T* item) {
    T* const next = item->*kNext;
    T* const previous = item->*kPrevious;
    (previous != nullptr ? previous->*kNext : first_) = next;
    (next != nullptr ? next->*kPrevious : last_) = previous;
  }
  // Puts `item` where `other`, which leaves the list, is.
  void Replace(T* other, T* item) {
    item->*kNext = other->*kNext;
    item->*kPrevious = other->*kPrevious;
    (item->*kPrevious != nullptr ? item->*kPrevious->*kNext : first_) = item;
    (item->*kNext != nullptr ? item->*kNext->*kPrevious : last_) = item;
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace kvstore::client_internal
