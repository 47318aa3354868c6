#include "server/core/part.h"

#include <fmt/format.h>

namespace kvstore {

std::string HeldBy(uint64_t step) {
  return fmt::format("held by a change of the optimizer's numbers at step {}", step);
}

// Example: 3 outcomes are kept and round 7 is over. Rounds 5, 6 and 7 are known. A worker with a
// window of 3 that still waits for round 4 has sent nothing above round 6, so that round 7, which
// needs its contribution, would not be over.
absl::Status Part::PushStatus(WorkerRank rank, Round round) const {
  const Round done = DoneThrough(rank);
  if (round + outcomes_kept_ > done) return OutcomeOf(rank, round);
  return absl::OutOfRangeError(fmt::format(
      "{} part {}: how round {} went is known until {} later ones are over, and round {} is",
      KeyLabel(key().key, key().name), id().part, round, outcomes_kept_, done));
}

void Part::ReleaseReserved() noexcept {
  const auto over =
      std::remove_if(reserved_.begin(), reserved_.end(), [this](const Reserved& each) {
        if (each.push.round > DoneThrough(each.push.rank)) return false;
        reserved_pages_ -= each.pages;
        return true;
      });
  reserved_.erase(over, reserved_.end());
}

}  // namespace kvstore
