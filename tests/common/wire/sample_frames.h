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

// name, frame: every op, replies, extremes of every field, empty things.
std::vector<std::pair<std::string, Frame>> SampleFrames();

// Any fields, up to 6 parts with up to 300 bytes each; all strings are UTF-8.
Frame RandomFrame(std::mt19937_64& random);

// The same bytes, one slice per `slice_bytes`; each slice is memory of its own, so that
// AddressSanitizer sees a read past its end.
Payload CutEvery(const std::string& bytes, size_t slice_bytes);

}  // namespace kvstore::testing
