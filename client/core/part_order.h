// PartOrder: which of a worker's requests about a part may be sent now, and which rounds they name.
//
// The open requests of a part stand in a queue, in the order of submission. The first ones are
// under way; the others are held, that is, kept back here and not sent. As soon as one is held, so
// is everything behind it. A request is held while any of these stands before it in the queue:
//   * anything at all, if it is itself an Init, the taking back of one, a Delete, a Reset or
//     a WRITE_STATE (OpOrder::kAlone): what stands before it is about the value that was there
//     before;
//   * one of these: until it is over the value may not exist (rules C1, C8);
//   * a pull, if it is a push itself: the push might complete the round that replaces the version
//     which the pull asks for (C1);
//   * a request that the server has put off, until the server has taken it: a later round would
//     only take the room that the earlier one needs (C7);
//   * a push that is `rounds_ahead_max` rounds or more behind it (C9).
//
// Example: `rounds_ahead_max` is 2, and the program calls
//
//   Push    round 1     goes
//   Pull    version 1   goes; the server answers it when round 1 is committed
//   Push    round 2     held: the pull before it is open
//   Push    round 3     held, as it stands behind a held one
//   Push    round 4     held
//
// When the first push and the pull are over, round 2 goes, and round 3, which is 1 ahead of it;
// round 4 is 2 ahead of round 2, the oldest that is open, and is held until that is over.
//
// Now the server has no room for round 3 (round 2 waits there for another worker) and puts it off
// for 20 ms. Round 4 is held meanwhile, even when round 2 is over. After 20 ms round 3 goes again;
// the server answers `received`; only then round 4 goes.
//
// Loop-bound, pure.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "client/core/key_failures.h"
#include "client/core/request.h"
#include "common/base/flat_map.h"

namespace kvstore::client_internal {

// What is known of a part. Stays where it is.
struct PartQueue {
  Round last_round = 0;  // of the last push submitted since the last DELETE or RESET
  uint64_t life = 0;     // that the last Init or RESET began
  uint64_t ends = 0;     // how many DELETEs and RESETs were submitted
  // The open requests of the part, in the order of submission.
  LinkedList<Place, &Place::next, &Place::previous> open;
  KeyFailures::Known* key = nullptr;  // null: nothing of it can fail as a whole
  // What the submission that is being planned asks of it (PlanForGroup).
  uint64_t planned_in = 0;
  uint32_t planned_pushes = 0;
  bool planned_pull = false;
  bool planned_single = false;
};

class PartOrder {
 public:
  explicit PartOrder(uint32_t rounds_ahead_max) : rounds_ahead_max_(rounds_ahead_max) {}

  // Makes room for a part that may be new: then Add, like everything else here, takes no memory.
  // May throw std::bad_alloc; then nothing has changed.
  PartQueue& MakeRoom(PartId id) {
    const auto known = parts_.find(id);
    if (known != parts_.end()) return *known->second;
    return *parts_.emplace(id, std::make_unique<PartQueue>()).first->second;
  }
  // Appends a request, which is held, to those of its part, and gives it its round: a push is the
  // next one (all of its fragments are one push), a pull names the last push before it (C2); after
  // a DELETE or RESET pushes are counted anew. Request::part is what MakeRoom has returned.
  static void Add(Request* request);
  // Calls `go`, in order, for every held request of the part that nothing holds any more, which
  // then names the life that the part is in: what comes before it and might change that is over.
  // `go` must change the request's state from kHeld.
  void LetGo(const PartQueue& part, absl::FunctionRef<void(Request&)> go) const;
  // An Init or Reset of the part is done, which began this life of it (EntryHead::life).
  static void Begin(const Request& request, uint64_t life) { request.part->life = life; }
  // The life that a part is in of which something was added.
  uint64_t LifeOf(PartId id) const { return parts_.at(id)->life; }
  // The request is over.
  static void Remove(Request& request) { request.part->open.Remove(&request.place); }

  // Groups. Nothing ever holds a request of one. While a submission is planned, which has a number
  // of its own: whether a request that is to be in a group would go at once, after what was planned
  // for its part; then it is planned, and `*round` is the one that it will name.
  bool PlanForGroup(PartQueue& part, Op op, uint64_t submission, Round* round) const;
  // A request by itself is planned for the part.
  static void PlanSingle(PartQueue& part, uint64_t submission) {
    BeginPlan(part, submission);
    part.planned_single = true;
  }
  // As Add, of a member of a group.
  static void AddMember(const Request& group, Member* member);
  static void RemoveMember(Member& member) { member.part->open.Remove(&member.place); }
  // A request takes the place of a member.
  static void TakeOver(const Request& group, Member* member, Request* single);

  // Whether the push of this round to the part was submitted, and is over.
  bool IsOver(PartId id, Round round) const;

  // To be called before a request of this priority is added: those before it in its part must not
  // be less urgent, or it would wait for them, because the order within a part stays that of
  // submission. Calls `raise` for each of them that has a lower priority, beginning with the
  // latest.
  static void RaiseTo(int priority, const PartQueue& part,
                      absl::FunctionRef<void(Request&)> raise) {
    RaiseUpTo(priority, part.open.last(), raise);
  }
  // The same of those before a member of a group that has been raised, because another one was.
  static void RaiseBefore(int priority, const Member& member,
                          absl::FunctionRef<void(Request&)> raise) {
    RaiseUpTo(priority, member.place.previous, raise);
  }

 private:
  static void BeginPlan(PartQueue& part, uint64_t submission);
  static void RaiseUpTo(int priority, const Place* last, absl::FunctionRef<void(Request&)> raise);

  const uint32_t rounds_ahead_max_;
  FlatMap<PartId, std::unique_ptr<PartQueue>, PartIdHash>
      parts_;  // never shrinks: it counts rounds
};

}  // namespace kvstore::client_internal
