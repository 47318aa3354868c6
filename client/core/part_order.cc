#include "client/core/part_order.h"

namespace kvstore::client_internal {

void PartOrder::Add(Request* request) {
  PartQueue& part = *request->part;
  const bool begins_push = request->contributes() && request->ask.piece.fragment == 0;
  if (begins_push) ++part.last_round;
  if (request->ends_life()) {
    part.last_round = 0;
    ++part.ends;
  }
  request->ends = part.ends;
  if (InfoOf(request->ask.op).round != OpRound::kNone) request->round = part.last_round;
  if (request->ask.version != 0) request->round = request->ask.version;
  part.open.Add(&request->place);
}

void PartOrder::LetGo(const PartQueue& part, absl::FunctionRef<void(Request&)> go) const {
  // One walk along the queue. These four say what the requests before the one that is looked at
  // hold back; all of them are under way, since the walk ends at the first one that stays held.
  //
  // With the first example of the header, when round 1 is over and the pull is not: the walk meets
  // the pull (read_open = true), then round 2, which is held and writes: it stays held, and the
  // walk ends, so that rounds 3 and 4 are not even looked at. When the pull is over: round 2 goes,
  // and oldest_push = 2; round 3 goes (3 - 2 < 2); round 4 stays (4 - 2 >= 2).
  bool alone_open = false;
  bool read_open = false;
  bool put_off = false;   // by the server, and not taken since
  Round oldest_push = 0;  // of the pushes that are under way; 0: there is none
  for (const Place* place = part.open.first(); place != nullptr; place = place->next) {
    Request* const request = place->request;
    const OpOrder order = request->op_order();
    if (request->state == State::kHeld) {
      const bool write_held =
          order == OpOrder::kWrite &&
          (read_open || (oldest_push != 0 && request->round - oldest_push >= rounds_ahead_max_));
      const bool alone_held = order == OpOrder::kAlone && place != part.open.first();
      const bool held = alone_open || alone_held || put_off || write_held;
      if (held) return;  // and so is everything behind it
      if (request->ask.op != Op::kInit) request->life = part.life;
      go(*request);
    }
    alone_open |= order == OpOrder::kAlone;
    read_open |= order == OpOrder::kRead;
    put_off |= request->times_put_off > 0 && request->state != State::kOwned;
    if (order == OpOrder::kWrite && oldest_push == 0) oldest_push = request->round;
  }
}

bool PartOrder::IsOver(PartId id, Round round) const {
  const auto part = parts_.find(id);
  if (part == parts_.end() || part->second->last_round < round) return false;
  for (const Place* place = part->second->open.first(); place != nullptr; place = place->next) {
    if (place->request->contributes() && place->request->round == round) return false;
  }
  return true;
}

void PartOrder::RaiseUpTo(int priority, const Place* last,
                          absl::FunctionRef<void(Request&)> raise) {
  for (const Place* place = last; place != nullptr; place = place->previous) {
    if (place->request->ask.priority >= priority) return;
    raise(*place->request);
  }
}

void PartOrder::BeginPlan(PartQueue& part, uint64_t submission) {
  if (part.planned_in == submission) return;
  part.planned_in = submission;
  part.planned_pushes = 0;
  part.planned_pull = false;
  part.planned_single = false;
}

bool PartOrder::PlanForGroup(PartQueue& part, Op op, uint64_t submission, Round* round) const {
  BeginPlan(part, submission);
  const bool pushes = op == Op::kPush;
  bool goes = !part.planned_single && !(pushes && part.planned_pull);
  Round oldest_push = part.planned_pushes > 0 ? part.last_round + 1 : 0;
  *round = part.last_round + part.planned_pushes + (pushes ? 1 : 0);
  for (const Place* place = part.open.first(); place != nullptr && goes; place = place->next) {
    const Request& request = *place->request;
    const OpOrder order = request.op_order();
    goes = request.state != State::kHeld && request.times_put_off == 0 &&
           order != OpOrder::kAlone && !(pushes && order == OpOrder::kRead);
    if (order == OpOrder::kWrite && (oldest_push == 0 || request.round < oldest_push)) {
      oldest_push = request.round;
    }
  }
  if (pushes && oldest_push != 0) goes &= *round - oldest_push < rounds_ahead_max_;
  if (!goes) {
    part.planned_single = true;
    return false;
  }
  part.planned_pushes += pushes ? 1 : 0;
  part.planned_pull |= !pushes;
  return true;
}

void PartOrder::AddMember(const Request& group, Member* member) {
  PartQueue& part = *member->part;
  if (group.ask.op == Op::kPush) ++part.last_round;
  member->ends = part.ends;
  part.open.Add(&member->place);
}

void PartOrder::TakeOver(const Request& group, Member* member, Request* single) {
  PartQueue& part = *member->part;
  single->part = &part;
  single->round = group.round;
  single->life = part.life;
  single->ends = member->ends;
  part.open.Replace(&member->place, &single->place);
}

}  // namespace kvstore::client_internal
