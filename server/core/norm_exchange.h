// What a part knows of the sums over its whole value (common/wire/norm_note.h) that an update
// needs: NormExchange of the update that is due, NormLog of those that are over.
//
// Example: lans, which measures twice, and a value of 2 parts; this is part 0.
//
//   all contributions are there   part 0 measures: own 9. It says so: known 0, own 9
//   NORMS known 1, norms 9 + 16   from a worker that had part 1's 16, too. Part 0 measures again,
//                                 with these: own 0, 4, 1, 1. It says so: known 1, own …
//   NORMS known 1 again           from another worker: nothing new
//   NORMS known 2                 all is known: the update is made. Who asks after it from now
//                                 on is told so, known 2: it may have to tell part 1.
//
// Nothing of it can be lost: a worker that waits for its push asks again, and is told again.
//
// Shard-bound, pure.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>

#include "absl/status/status.h"
#include "common/wire/norm_note.h"
#include "server/core/part_value.h"

namespace kvstore {

class NormExchange {
 public:
  // Measures `value` as far as it can be; true: the update can be made, or failed(). `*news`:
  // whether there is something that the workers must hear. To be called again after Take().
  bool Advance(const PartValue& value, SumIndex sum, const RoundCounts& counts, bool* news);
  // A NORMS request; one that has nothing new changes nothing. Errors: FAILED_PRECONDITION, and
  // nothing changes: the part has not measured as often as the sums are of.
  absl::Status Take(const NormNote& note);

  // Whether it has measured and waits for the sums of all parts.
  bool waits() const { return measured_; }
  // Why the update must not be made; OK: it may.
  const absl::Status& failed() const { return failed_; }
  const NormSums& norms() const { return norms_; }
  // How often the whole value was measured for the update.
  uint32_t known() const { return known_; }
  NormNote Note(const PartValue& value) const {
    return {value.parts(), known_, norms_, measured_, own_, false};
  }

 private:
  bool begun_ = false;
  uint32_t measurings_ = 0;  // as often
  uint32_t known_ = 0;
  NormSums norms_;
  bool measured_ = false;
  NormSums own_;
  absl::Status failed_;
};

// The sums with which updates were made, by the name of the push (or round). `Name`: ordered.
template <typename Name>
class NormLog {
 public:
  // Before an update is made: may throw std::bad_alloc, and is repeated then.
  void Note(const Name& name, const NormExchange& exchange, const PartValue& value) {
    if (exchange.known() > 0) notes_.insert_or_assign(name, exchange.Note(value));
  }
  std::optional<NormNote> Of(const Name& name) const {
    const auto it = notes_.find(name);
    return it == notes_.end() ? std::nullopt : std::optional<NormNote>(it->second);
  }
  // Forgets those from `first` to `last`.
  void Forget(const Name& first, const Name& last) noexcept {
    notes_.erase(notes_.lower_bound(first), notes_.upper_bound(last));
  }

 private:
  std::map<Name, NormNote> notes_;
};

}  // namespace kvstore
