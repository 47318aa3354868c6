// NormRelay: carries sums over whole values between the servers that have their parts
// (common/wire/norm_note.h): the servers do not know each other, and a worker that waits for a
// push hears from every part of it. Every worker that contributed does so, with the same result, so
// it does not matter which of them is first, or that one goes.
//
// Example: the worker's round 5 of a value of 2 parts, and an updater that measures once.
//
//   part 0 says: own 9             not all parts have been heard
//   part 1 says: own 16            all have: the sums are 9 + 16, in the order of the parts. NORMS
//                                  known 1, norms 25 is due to both
//   part 0's push is done          (it may say: known 1, norms 25, as another worker told it; then
//                                  that is due to part 1, had it been heard or not)
//   part 1's push is done          nothing is left to be carried: forgotten
//
// A part whose push is over without sums (its update failed or was another optimizer's, or the push
// was refused) leaves the others without them: they are told that.
//
// Loop-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/cluster/identity.h"
#include "common/wire/norm_note.h"

namespace kvstore::client_internal {

class NormRelay {
 public:
  struct Due {
    PartId id;
    Round round = 0;
    NormNote note;
  };
  // A part answered this worker's push of the round: with a note, or null; `over`: the push is over
  // with it. What is due now to parts of the value; it stays due until Sent(). `is_over`: whether
  // this worker's push of the round to a part of the value is over. (The parts of a push may be
  // submitted one after the other: one that was not yet is not over.)
  // The same may be told again. If it throws std::bad_alloc, it must be.
  std::vector<Due> Hear(PartId id, Round round, const NormNote* note, bool over,
                        absl::FunctionRef<bool(PartId)> is_over);
  // All that Hear() returned last.
  void Sent(const std::vector<Due>& due) noexcept;
  // The pushes of the key are over, whatever was heard.
  void Forget(KeyId key) noexcept;
  // Whether nothing is to be carried.
  bool empty() const { return wholes_.empty(); }
  // The job is over.
  void Clear() noexcept { wholes_.clear(); }

 private:
  struct Heard {
    bool over = false;
    bool measured = false;
    uint32_t known = 0;  // to the part
    NormSums own;
    uint32_t sent_known = 0;
    bool sent_abandoned = false;
  };
  struct Whole {
    std::vector<Heard> parts;
    uint32_t known = 0;  // to us
    NormSums norms;
    uint32_t counted = 0;  // parts that have measured what is not known yet
    uint32_t over = 0;
    // The fewest measurings known to a part whose push is over: no part that waits for more than
    // these will be told by it.
    uint32_t over_known_min = UINT32_MAX;
    bool due_to_all = false;  // something may be due to any part, not only to the one that is heard
  };
  using Name = std::pair<KeyId, Round>;

  Whole Begin(const NormNote& note, KeyId key, PartIndex teller,
              absl::FunctionRef<bool(PartId)> is_over) const;
  static void Note(Whole& whole, PartIndex part, const NormNote& note);
  // Counts anew which parts have measured, and adds their sums up if all have.
  static void AddUp(Whole& whole);
  static bool Counts(const Whole& whole, const Heard& part) {
    return part.measured && part.known == whole.known;
  }

  std::map<Name, Whole> wholes_;
};

}  // namespace kvstore::client_internal
