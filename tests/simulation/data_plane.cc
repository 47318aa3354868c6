#include "tests/simulation/data_plane.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace kvstore::sim {
namespace {

void GiveOwnBytes(Payload* data) {
  if (!data->empty()) *data = Payload::CopyOf(data->ToString());
}

std::string DescribeHead(const EntryHead& entry) {
  return fmt::format("{} {:x}/{} r{}", OpName(entry.op), entry.key & 0xfff, entry.part,
                     entry.round);
}

}  // namespace

Payload CutAtRandom(const std::string& bytes, Rng& rng) {
  Payload cut;
  size_t begin = 0;
  while (begin < bytes.size()) {
    const size_t length = std::min<size_t>(bytes.size() - begin, 1 + rng.Below(bytes.size()));
    cut.Append(Payload::CopyOf(std::string_view(bytes).substr(begin, length)));
    begin += length;
  }
  return cut;
}

std::shared_ptr<RequestFrame> CopyOf(const RequestFrame& frame) {
  auto copy = std::make_shared<RequestFrame>(frame);
  for (RequestEntry& entry : copy->entries) GiveOwnBytes(&entry.piece.data);
  return copy;
}

std::shared_ptr<ReplyFrame> CopyOf(const ReplyFrame& frame) {
  auto copy = std::make_shared<ReplyFrame>(frame);
  for (ReplyEntry& entry : copy->entries) GiveOwnBytes(&entry.data);
  return copy;
}

std::string DescribeFrame(const RequestFrame& frame) {
  std::string text;
  for (const RequestEntry& entry : frame.entries) {
    const Piece& piece = entry.piece;
    fmt::format_to(
        std::back_inserter(text), "{}{}{} #{}", text.empty() ? "" : ", ", DescribeHead(entry),
        piece.fragments > 1 ? fmt::format(".{}/{}", piece.fragment, piece.fragments) : "",
        entry.request);
  }
  return text;
}

std::string DescribeFrame(const ReplyFrame& frame) {
  static constexpr std::string_view kProgress[] = {"", " UNKNOWN", " RECEIVED", " DONE"};
  std::string text;
  for (const ReplyEntry& entry : frame.entries) {
    fmt::format_to(std::back_inserter(text), "{}{} #{}{}{}{}", text.empty() ? "" : ", ",
                   DescribeHead(entry), entry.request,
                   kProgress[static_cast<size_t>(entry.progress)],
                   entry.retry_after_ms > 0 ? " LATER" : "",
                   entry.code == absl::StatusCode::kOk ? "" : " " + entry.message);
  }
  return text;
}

}  // namespace kvstore::sim
