// Frames for the tests: named ones that cover every field, and random ones.
#pragma once

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/frame.h"

namespace kvstore::testing {

// `size` bytes that differ from their neighbours, beginning with `first`.
Payload PatternBytes(size_t size, unsigned first);

// name, frame: every op, extremes of every field, empty things. `Frame` is RequestFrame or
// ReplyFrame.
template <typename Frame>
std::vector<std::pair<std::string, Frame>> SampleFrames();
template <>
std::vector<std::pair<std::string, RequestFrame>> SampleFrames<RequestFrame>();
template <>
std::vector<std::pair<std::string, ReplyFrame>> SampleFrames<ReplyFrame>();

// Any fields, up to 6 entries with up to 300 bytes each and what may be a run of each; all strings
// are UTF-8.
template <typename Frame>
Frame RandomFrame(std::mt19937_64& random);
template <>
RequestFrame RandomFrame<RequestFrame>(std::mt19937_64& random);
template <>
ReplyFrame RandomFrame<ReplyFrame>(std::mt19937_64& random);

// The entry's bytes.
inline Payload& BytesOf(RequestEntry& entry) { return entry.piece.data; }
inline Payload& BytesOf(ReplyEntry& entry) { return entry.data; }

// The same bytes, one slice per `slice_bytes`; each slice is memory of its own, so that
// AddressSanitizer sees a read past its end.
Payload CutEvery(const std::string& bytes, size_t slice_bytes);

}  // namespace kvstore::testing
