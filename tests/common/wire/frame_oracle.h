// What the tests of frames compare with: protobuf's own C++ library as a second, slow encoder and
// decoder, and a readable text of a frame.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/wire/frame.h"
#include "kvstore/v1/data.pb.h"

namespace kvstore::testing {

// Every field, one line per entry and key, doubles as their bits: two frames are equal when their
// texts are. tests/golden/golden_frames.py writes the same text.
std::string FrameJson(const RequestFrame& frame);
std::string FrameJson(const ReplyFrame& frame);

// The frame that `bytes` are, by protobuf. `Frame` is RequestFrame or ReplyFrame. Errors:
// INVALID_ARGUMENT when protobuf does not parse them or the entries' bytes do not add up to the
// payload.
template <typename Frame>
absl::StatusOr<Frame> OracleDecode(const std::string& bytes);
template <>
absl::StatusOr<RequestFrame> OracleDecode<RequestFrame>(const std::string& bytes);
template <>
absl::StatusOr<ReplyFrame> OracleDecode<ReplyFrame>(const std::string& bytes);

// The message that a frame is.
v1::RequestFrame ToProto(const RequestFrame& frame);
v1::ReplyFrame ToProto(const ReplyFrame& frame);

}  // namespace kvstore::testing
