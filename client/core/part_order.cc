#include "client/core/part_order.h"

#include <algorithm>

#include "common/base/mutation.h"

namespace kvstore::client_internal {
namespace {

// C9: the open pushes of a part, as LetGo() meets them, in ascending order.
class OpenPushes {
 public:
  void Add(Round round) {
    if (round == newest_) return;  // a further fragment
    if (oldest_ == 0) oldest_ = round;
    newest_ = round;
    ++rounds_;
  }
  bool InWindow(Round round, uint32_t rounds_max) const {
    if (Broken(Mutation::kWindowCountsRounds)) return round == newest_ || rounds_ < rounds_max;
    return oldest_ == 0 || round - oldest_ < rounds_max;
  }

 private:
  Round oldest_ = 0;  // 0: none is open
  Round newest_ = 0;
  uint32_t rounds_ = 0;
};

}  // namespace

void PartOrder::Add(Request* request) {
  Queue& part = parts_[request->ask.id];
  const bool begins_push =
      request->ask.piece.fragment == 0 || Broken(Mutation::kFragmentsLoseCount);
  if (request->contributes() && begins_push) ++part.last_round;
  if (InfoOf(request->ask.op).round != OpRound::kNone) request->round = part.last_round;
  part.open.push_back(request);
}

void PartOrder::LetGo(PartId id, absl::FunctionRef<void(Request&)> go) const {
  // What the requests before the one that is looked at, which are all under way, hold back.
  bool alone_open = false;
  bool read_open = false;
  bool refused = false;  // and not taken since
  OpenPushes pushes;
  for (Request* request : parts_.at(id).open) {
    const OpOrder order = request->op_order();
    if (request->state == State::kHeld) {
      const bool write_held = order == OpOrder::kWrite &&
                              (read_open || !pushes.InWindow(request->round, rounds_ahead_max_));
      if (alone_open || refused || write_held) return;  // and so is everything behind it
      go(*request);
    }
    alone_open |= order == OpOrder::kAlone;
    read_open |= order == OpOrder::kRead;
    refused |= request->refusals > 0 && request->state != State::kOwned;
    if (order == OpOrder::kWrite) pushes.Add(request->round);
  }
}

void PartOrder::Remove(const Request& request) {
  auto& open = parts_.at(request.ask.id).open;
  open.erase(std::find(open.begin(), open.end(), &request));
}

void PartOrder::RaiseTo(int priority, PartId id, absl::FunctionRef<void(Request&)> raise) const {
  const auto part = parts_.find(id);
  if (part == parts_.end()) return;
  const auto& open = part->second.open;
  for (auto it = open.rbegin(); it != open.rend(); ++it) {
    if ((*it)->ask.priority >= priority) return;
    raise(**it);
  }
}

}  // namespace kvstore::client_internal
