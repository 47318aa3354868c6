// Frames written by Python's protobuf (golden_frames.py) are decoded to what their description
// says, and encoded again to the same bytes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/wire/frame.h"
#include "tests/common/wire/frame_oracle.h"
#include "tests/common/wire/sample_frames.h"

namespace kvstore {
namespace {

using testing::CutEvery;
using testing::FrameJson;

std::string FileBytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// `kind`: "requests" or "replies".
std::vector<std::filesystem::path> GoldenFrames(const std::string& kind) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(KVS_GOLDEN_FRAMES) / kind)) {
    if (entry.path().extension() == ".bin") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// How many golden frames there are and, of those, how many have the form that an encoder writes.
struct Counts {
  size_t frames = 0;
  size_t same_bytes = 0;
};

template <typename Frame>
void Check(const std::filesystem::path& path, Counts* counts) {
  CAPTURE(path.filename());
  const std::string bytes = FileBytes(path);
  const std::string expected = FileBytes(std::filesystem::path(path).replace_extension(".json"));
  // "x.unusual.bin" has a form that is legal but not an encoder's.
  const bool usual = path.stem().extension() != ".unusual";
  for (const size_t cut : {size_t{1}, size_t{10}, size_t{1} << 20}) {
    CAPTURE(cut);
    const absl::StatusOr<Frame> frame = DecodeFrame<Frame>(CutEvery(bytes, cut));
    INFO(frame.status());
    REQUIRE(frame.ok());
    CHECK(FrameJson(*frame) == expected);

    const std::string again = EncodeFrame(*frame).ToString();
    const absl::StatusOr<Frame> twice = DecodeFrame<Frame>(Payload::CopyOf(again));
    REQUIRE(twice.ok());
    CHECK(FrameJson(*twice) == expected);
    if (usual) CHECK(again == bytes);
  }
  ++counts->frames;
  counts->same_bytes += usual ? 1 : 0;
}

TEST_CASE("golden frames are decoded to what they say and encoded again", "[frame][golden]") {
  Counts counts;
  for (const std::filesystem::path& path : GoldenFrames("requests")) {
    Check<RequestFrame>(path, &counts);
  }
  for (const std::filesystem::path& path : GoldenFrames("replies")) {
    Check<ReplyFrame>(path, &counts);
  }
  CHECK(counts.frames == 25);
  CHECK(counts.same_bytes == 19);
}

}  // namespace
}  // namespace kvstore
