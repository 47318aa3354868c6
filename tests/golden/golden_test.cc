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

std::vector<std::filesystem::path> GoldenFrames() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(KVS_GOLDEN_FRAMES)) {
    if (entry.path().extension() == ".bin") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST_CASE("golden frames are decoded to what they say and encoded again", "[frame][golden]") {
  size_t same_bytes = 0;
  for (const std::filesystem::path& path : GoldenFrames()) {
    CAPTURE(path.filename());
    const std::string bytes = FileBytes(path);
    const std::string expected = FileBytes(std::filesystem::path(path).replace_extension(".json"));
    for (const size_t cut : {size_t{1}, size_t{10}, size_t{1} << 20}) {
      CAPTURE(cut);
      const absl::StatusOr<Frame> frame = DecodeFrame(CutEvery(bytes, cut));
      INFO(frame.status());
      REQUIRE(frame.ok());
      CHECK(FrameJson(*frame) == expected);

      const std::string again = EncodeFrame(*frame).ToString();
      const absl::StatusOr<Frame> twice = DecodeFrame(Payload::CopyOf(again));
      REQUIRE(twice.ok());
      CHECK(FrameJson(*twice) == expected);
      // "x.unusual.bin" has a form that is legal but not an encoder's.
      if (path.stem().extension() != ".unusual") {
        CHECK(again == bytes);
        ++same_bytes;
      }
    }
  }
  CHECK(same_bytes == 3 * 12);
  CHECK(GoldenFrames().size() == 18);
}

}  // namespace
}  // namespace kvstore
