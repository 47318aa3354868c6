// What a request must look like before the server's core sees it: the contents of a frame that
// DecodeFrame() accepted. Pure and fuzzed: no state of the server takes part, so that a refusal
// here means the same at every time (whether a key exists or a rank is in the view is ServerCore's
// question).
//
// A status here answers the request; it never closes the stream. Messages name the key, what was
// expected and what came, with hostile bytes escaped.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/wire/frame.h"

namespace kvstore {

// Of one contribution to a part, and so what a server keeps for their answers.
inline constexpr uint32_t kFragmentsMax = 4096;
// Rounds are below 2^63.
inline constexpr Round kRoundMax = (Round{1} << 63) - 1;

// Problems of the frame, which answer every entry alike.
// Errors: FAILED_PRECONDITION names the protocol versions that we speak; INVALID_ARGUMENT for no
// parts, more than kPartsPerFrameMax parts or keys, two KeySpecs of one key.
absl::Status CheckRequest(const Frame& request);

// Problems of one entry of `request`, which passed CheckRequest().
// Errors: INVALID_ARGUMENT for
//   any op     an unknown op, request number 0, a round over kRoundMax
//   INIT, PUSH, PULL   more than kPartBytesMax bytes or kRowsPerEntryMax rows; bytes that cannot
//              hold the ids of the rows; PULL: other bytes than these
//   INIT, PUSH a fragment that is not below `fragments`, more than kFragmentsMax of them
//   PUSH, DROP   round 0
//   LEAVE, SET_OPTIMIZER, CHECK_OPTIMIZER, COMMAND, PROBE, DROP   bytes
//   PROBE      probed_op other than INIT, PUSH, PULL and DROP; round 0 when it is PUSH
//   SET_OPTIMIZER, CHECK_OPTIMIZER   no optimizer in the frame
//   COMMAND    no command in the frame; what CheckCommand() refuses (UNIMPLEMENTED, too)
//   INIT       no KeySpec for the key in the frame; a name that is not 1 to 256 bytes of
//              [A-Za-z0-9_./:-] or whose hash is not the key; an unknown storage; bytes or
//              `create` with shape_unknown; and, unless shape_unknown: an unknown dtype, a shape
//              that ElementCount() refuses, a part that the value does not have; dense: a number of
//              bytes that is not the part's; row_sparse: no dimension, rows over kRowBytesMax
absl::Status CheckEntry(const Frame& request, const PartEntry& entry);

}  // namespace kvstore
