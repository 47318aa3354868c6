// Writes frames of our encoder, and what they say, for Python's protobuf to read:
//   golden_writer DIR
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "common/wire/frame.h"
#include "tests/common/wire/frame_oracle.h"
#include "tests/common/wire/sample_frames.h"

namespace {

bool Write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return file.good();
}

// Frames of one kind, into DIR/requests or DIR/replies. Returns how many; 0 when one failed.
template <typename Frame>
size_t WriteFrames(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  auto frames = kvstore::testing::SampleFrames<Frame>();
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    frames.emplace_back("random_" + std::to_string(seed),
                        kvstore::testing::RandomFrame<Frame>(random));
  }
  for (const auto& [name, frame] : frames) {
    if (!Write(directory / (name + ".bin"), kvstore::EncodeFrame(frame).ToString()) ||
        !Write(directory / (name + ".json"), kvstore::testing::FrameJson(frame))) {
      std::fprintf(stderr, "%s: cannot write %s\n", directory.c_str(), name.c_str());
      return 0;
    }
  }
  return frames.size();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: golden_writer DIR; got %d arguments\n", argc - 1);
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  std::filesystem::remove_all(directory);
  const size_t requests = WriteFrames<kvstore::RequestFrame>(directory / "requests");
  const size_t replies = WriteFrames<kvstore::ReplyFrame>(directory / "replies");
  std::printf("%zu request frames and %zu reply frames written\n", requests, replies);
  return requests > 0 && replies > 0 ? 0 : 1;
}
