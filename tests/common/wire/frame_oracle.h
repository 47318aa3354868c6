// What the tests of frames compare with: protobuf's own C++ library as a second, slow encoder and
// decoder, and a readable text of a frame.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/wire/frame.h"
#include "kvstore/v1/data.pb.h"

namespace kvstore::testing {

// Every field, one line per part and key, doubles as their bits: two frames are equal when their
// texts are. tests/golden/golden_frames.py writes the same text.
std::string FrameJson(const Frame& frame);

// The frame that `bytes` are, by protobuf. Errors: INVALID_ARGUMENT when protobuf does not parse
// them or the parts' bytes do not add up to the payload.
absl::StatusOr<Frame> OracleDecode(const std::string& bytes);

// The message that a frame is.
v1::Frame ToProto(const Frame& frame);

}  // namespace kvstore::testing
