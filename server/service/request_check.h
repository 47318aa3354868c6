// What a request must look like before the server's core sees it: the contents of a frame that
// DecodeFrame() accepted. Pure and fuzzed: no state of the server takes part, so that a refusal
// here means the same at every time (whether a key exists or a rank is in the view is ServerCore's
// question).
//
// A status here answers the request; it never closes the stream. Messages name the key, what was
// expected and what came, with hostile bytes escaped.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "common/wire/frame.h"

namespace kvstore {

// The most fragments that one contribution to a part may have; the server keeps an answer to each.
inline constexpr uint32_t kFragmentsMax = 4096;
// Rounds are below 2^63.
inline constexpr Round kRoundMax = (Round{1} << 63) - 1;

// Problems of the frame, which answer every entry alike. `only_rank`: of whom the sender's
// certificate is, if it is of one worker alone.
// Errors: PERMISSION_DENIED for a frame of another worker than that one (a reader's is of none);
// FAILED_PRECONDITION names the protocol versions that we speak; INVALID_ARGUMENT for no entries,
// more than kEntriesPerFrameMax entries or keys, two KeySpecs of one key.
absl::Status CheckRequest(const RequestFrame& request,
                          std::optional<WorkerRank> only_rank = std::nullopt);

// Problems of one entry of `request`, which passed CheckRequest().
// Errors: INVALID_ARGUMENT for
//   any op     an unknown op, request number 0, a round over kRoundMax; bytes, fragments, a round 0
//              or an absent KeySpec, optimizer or command where the table of ops
//              (common/model/op.h) says that it has none, or needs one; more than kPartBytesMax
//              bytes or kRowsPerEntryMax rows; bytes that cannot hold the ids of the rows; more
//              than kFragmentsMax fragments, a fragment that is not below `fragments`
//   PROBE      probed_op that may not be probed; round 0 when that one contributes to a round
//   TAKE_BACK  takes_back 0
//   COMMAND    what CheckCommand() refuses (UNIMPLEMENTED, too)
//   PROFILE    what CheckProfilerOrder() refuses
//   INIT       a name that CheckKeyName() refuses or whose hash is not the key; an unknown
//              storage; a compression that MakeCodec() refuses; bytes or `create` with
//              shape_unknown; and, unless shape_unknown: an unknown dtype, a shape that
//              ElementCount() refuses, a part that the value does not have; dense: a number of
//              bytes that is not the part's; row_sparse: no dimension, rows without elements or
//              over kRowBytesMax
// FAILED_PRECONDITION for whatever a reader (kReaderRank) asks that is not a read by the table, or
// that brings a value.
absl::Status CheckEntry(const RequestFrame& request, const RequestEntry& entry);

}  // namespace kvstore
