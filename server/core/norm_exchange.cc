#include "server/core/norm_exchange.h"

namespace kvstore {

bool NormExchange::Advance(const PartValue& value, SumIndex sum, const RoundCounts& counts,
                           bool* news) {
  if (!failed_.ok()) return true;
  if (!begun_) {
    measurings_ = value.Measurings();
    begun_ = true;
  }
  if (known_ == measurings_) return true;
  if (measured_) return false;
  absl::StatusOr<NormSums> own = value.Measure(known_, sum, counts, norms_);
  if (!own.ok()) {
    failed_ = own.status();
    return true;
  }
  own_ = *own;
  measured_ = true;
  *news = true;
  return false;
}

absl::Status NormExchange::Take(const NormNote& note) {
  if (note.known > known_ + (measured_ ? 1 : 0)) {
    return absl::FailedPreconditionError(
        fmt::format("norms of at most {} measurings expected, got those of {}",
                    known_ + (measured_ ? 1 : 0), note.known));
  }
  if (!measured_) return absl::OkStatus();
  if (note.abandoned) {
    failed_ = absl::FailedPreconditionError(
        "the norms of the whole value expected, but another of its parts was not measured: its "
        "update failed or was another optimizer's, or a push to it was refused");
    measured_ = false;
    return absl::OkStatus();
  }
  if (note.known <= known_) return absl::OkStatus();
  known_ = note.known;
  norms_ = note.norms;
  measured_ = false;
  return absl::OkStatus();
}

}  // namespace kvstore
