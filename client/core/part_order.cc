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
  part.open.Add(request);
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
  for (Request* request = part.open.first(); request != nullptr; request = request->next_in_part) {
    const OpOrder order = request->op_order();
    if (request->state == State::kHeld) {
      const bool write_held =
          order == OpOrder::kWrite &&
          (read_open || (oldest_push != 0 && request->round - oldest_push >= rounds_ahead_max_));
      const bool alone_held = order == OpOrder::kAlone && request != part.open.first();
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
  for (const Request* request = part->second->open.first(); request != nullptr;
       request = request->next_in_part) {
    if (request->contributes() && request->round == round) return false;
  }
  return true;
}

void PartOrder::RaiseTo(int priority, const PartQueue& part,
                        absl::FunctionRef<void(Request&)> raise) {
  for (Request* request = part.open.last(); request != nullptr;
       request = request->previous_in_part) {
    if (request->ask.priority >= priority) return;
    raise(*request);
  }
}

}  // namespace kvstore::client_internal
