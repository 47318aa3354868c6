// PartOrder: which of a worker's requests about a part may go, and which rounds they name.
//
// The open requests of a part stand in a queue, in the order of submission. The first ones are
// under way, the rest is held: as soon as one is held, so is everything behind it. A request is
// held while there is before it, in its part and not over yet,
//   * an Init, or the taking back of one (OpOrder::kAlone): until it is over the value may not
//   exist
//     (rules C1, C8);
//   * a pull, if it is a push itself: the push might complete the round that replaces the version
//     which the pull asks for (C1);
//   * a request that the server refused for a while, until the server has taken it: a later round
//     would only take the room that the earlier one needs (C7);
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
// Loop-bound, pure.
#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "client/core/request.h"

namespace kvstore::client_internal {

class PartOrder {
 public:
  explicit PartOrder(uint32_t rounds_ahead_max) : rounds_ahead_max_(rounds_ahead_max) {}

  // Appends a request, which is held, to those of its part, and gives it its round: a push is the
  // next one (all of its fragments are one push), a pull names the last push before it (C2).
  void Add(Request* request);
  // Calls `go` for those held requests of the part that nothing holds any more, in order. `go`
  // changes the state of the request.
  void LetGo(PartId id, absl::FunctionRef<void(Request&)> go) const;
  // The request is over.
  void Remove(const Request& request);

  // Whoever comes before a request of this priority, in its part, is as urgent: the order within a
  // part stays that of submission. Calls `raise` for each that is less urgent, the last one first.
  void RaiseTo(int priority, PartId id, absl::FunctionRef<void(Request&)> raise) const;

 private:
  struct Queue {
    Round last_round = 0;                   // of the last push submitted
    absl::InlinedVector<Request*, 2> open;  // in order of submission
  };

  const uint32_t rounds_ahead_max_;
  absl::flat_hash_map<PartId, Queue, PartIdHash> parts_;  // never shrinks: it counts rounds
};

}  // namespace kvstore::client_internal
