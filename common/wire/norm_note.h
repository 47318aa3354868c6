// NormNote: what travels about the sums over a whole value that an update of its parts needs
// (common/model/norm_sums.h), as the bytes of a NORMS request and of replies to a PUSH. No server
// sees more than its own parts, so the workers carry it: docs/decisions/0019.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/model/norm_sums.h"
#include "common/wire/payload.h"

namespace kvstore {

struct NormNote {
  uint32_t parts = 0;  // of the value
  // The measurings whose sums over the whole value are known, which `norms` has: from a part, known
  // to it; in a request, what it is told.
  uint32_t known = 0;
  NormSums norms;
  // From a part: it has measured itself once more, and found `own`.
  bool measured = false;
  NormSums own;
  // In a request: a push to some part is over, or was refused, without the part having measured, so
  // the sums will never be known: this part is to fail the update, too.
  bool abandoned = false;

  bool operator==(const NormNote& other) const {
    return parts == other.parts && known == other.known && norms == other.norms &&
           measured == other.measured && own == other.own && abandoned == other.abandoned;
  }
};

// 80 bytes, little-endian: parts, known, flags (1: measured, 2: abandoned) and 0, each a uint32;
// the four sums of norms, the four of own, each a double.
Payload EncodeNormNote(const NormNote& note);
// Errors: INVALID_ARGUMENT: not such bytes; no parts; another flag.
absl::StatusOr<NormNote> DecodeNormNote(const Payload& bytes);

}  // namespace kvstore
