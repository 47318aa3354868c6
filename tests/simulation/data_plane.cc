#include "tests/simulation/data_plane.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace kvstore::sim {

FrameInTransit::FrameInTransit(const Frame& frame, bool encode, Rng& rng) {
  if (!encode) {
    auto copy = std::make_shared<Frame>(frame);
    for (PartEntry& entry : copy->parts) {
      if (!entry.data.empty()) entry.data = Payload::CopyOf(entry.data.ToString());
    }
    frame_ = std::move(copy);
    return;
  }
  const std::string bytes = EncodeFrame(frame).ToString();
  Payload cut;
  size_t begin = 0;
  while (begin < bytes.size()) {
    const size_t length = std::min<size_t>(bytes.size() - begin, 1 + rng.Below(bytes.size()));
    cut.Append(Payload::CopyOf(std::string_view(bytes).substr(begin, length)));
    begin += length;
  }
  bytes_ = std::make_shared<const Payload>(std::move(cut));
}

absl::StatusOr<std::shared_ptr<const Frame>> FrameInTransit::Arrive() const {
  if (frame_ != nullptr) return frame_;
  absl::StatusOr<Frame> decoded = DecodeFrame(*bytes_);
  if (!decoded.ok()) return decoded.status();
  return std::make_shared<const Frame>(*std::move(decoded));
}

std::string DescribeFrame(const Frame& frame) {
  static constexpr std::string_view kProgress[] = {"", " UNKNOWN", " RECEIVED", " DONE"};
  std::string text;
  for (const PartEntry& entry : frame.parts) {
    fmt::format_to(
        std::back_inserter(text), "{}{} {:x}/{} r{}{} #{}{}{}{}", text.empty() ? "" : ", ",
        OpName(entry.op), entry.key & 0xfff, entry.part, entry.round,
        entry.fragments > 1 ? fmt::format(".{}/{}", entry.fragment, entry.fragments) : "",
        entry.request, kProgress[static_cast<size_t>(entry.progress)],
        entry.retry_after_ms > 0 ? " LATER" : "",
        entry.code == absl::StatusCode::kOk ? "" : " " + entry.message);
  }
  return text;
}

}  // namespace kvstore::sim
