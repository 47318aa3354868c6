#include "cli/trace_merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "common/base/status_macros.h"
#include "common/trace/trace_json.h"

namespace kvstore {
namespace {

// The first line of a file of ours, around what "otherData" holds.
constexpr std::string_view kBefore = R"({"displayTimeUnit":"ms","otherData":{)";
constexpr std::string_view kAfter = R"(},"traceEvents":[)";
constexpr std::string_view kTs = R"("ts":)";
constexpr std::string_view kClock = R"("clock_minus_scheduler_ns":")";

int64_t NumberAt(std::string_view text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::string ShiftedLine(std::string_view line, int64_t shift_ns) {
  const size_t at = line.find(kTs);
  if (shift_ns == 0 || at == std::string_view::npos) return std::string(line);
  const size_t begin = at + kTs.size();
  const size_t end = line.find_first_not_of("-0123456789.", begin);
  const std::string text(line.substr(begin, end - begin));
  // Whole microseconds, and three digits: nothing is lost, as it would be in a double.
  const size_t point = text.find('.');
  const int64_t micros = NumberAt(text);
  int64_t ns = point == std::string::npos ? 0 : NumberAt(std::string_view(text).substr(point + 1));
  if (text.front() == '-') ns = -ns;
  return fmt::format("{}{}{}", line.substr(0, begin), TraceMicros(micros * 1000 + ns + shift_ns),
                     end == std::string_view::npos ? std::string_view() : line.substr(end));
}

int64_t ShiftOf(const ClockOffset& a, const ClockOffset& b) {
  const int64_t shift_ns = b.ahead_ns - a.ahead_ns;
  return std::abs(shift_ns) <= a.error_ns + b.error_ns ? 0 : shift_ns;
}

absl::Status TraceMerge::Failed(const std::string& path) const {
  return absl::FailedPreconditionError(
      fmt::format("{}: {}", path, std::generic_category().message(errno == 0 ? EIO : errno)));
}

absl::Status TraceMerge::AddFile(const std::string& path) {
  std::ifstream in(path);
  if (!in) return Failed(path);
  std::string line;
  std::getline(in, line);
  const bool ours = line.size() >= kBefore.size() + kAfter.size() &&
                    line.compare(0, kBefore.size(), kBefore) == 0 &&
                    line.compare(line.size() - kAfter.size(), kAfter.size(), kAfter) == 0;
  if (!ours) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a file of a node's profiler expected, this is none", path));
  }
  const std::string data =
      line.substr(kBefore.size(), line.size() - kBefore.size() - kAfter.size());
  const size_t clock = data.find(kClock);
  const int64_t ahead_ns = clock == std::string::npos
                               ? 0
                               : NumberAt(std::string_view(data).substr(clock + kClock.size()));
  inputs_.push_back({path, -ahead_ns});
  AddNode(data);
  return absl::OkStatus();
}

absl::Status TraceMerge::Begin() {
  out_.open(path_ + ".part");
  if (!out_) return Failed(path_ + ".part");
  std::string nodes;
  for (const std::string& node : nodes_)
    nodes += fmt::format("{}{{{}}}", nodes.empty() ? "" : ",", node);
  out_ << TraceBeginning(fmt::format(R"("nodes":[{}])", nodes));
  for (const Input& input : inputs_) KVS_RETURN_IF_ERROR(Copy(input));
  return absl::OkStatus();
}

absl::Status TraceMerge::Copy(const Input& input) {
  std::ifstream in(input.path);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line) && line != "]}") {
    if (!line.empty() && line.back() == ',') line.pop_back();
    KVS_RETURN_IF_ERROR(AddLines(",\n" + ShiftedLine(line, input.shift_ns)));
  }
  if (line == "]}") return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: its end is missing", input.path));
}

absl::Status TraceMerge::AddLines(std::string_view lines) {
  if (lines.empty()) return absl::OkStatus();
  constexpr std::string_view kSeparator = ",\n";
  if (lines.substr(0, kSeparator.size()) == kSeparator) lines.remove_prefix(kSeparator.size());
  if (!std::exchange(first_, false)) out_ << kSeparator;
  out_ << lines;
  return out_ ? absl::OkStatus() : Failed(path_ + ".part");
}

absl::Status TraceMerge::Finish() {
  out_ << kTraceEnd;
  out_.close();
  if (!out_) return Failed(path_ + ".part");
  if (std::rename((path_ + ".part").c_str(), path_.c_str()) != 0) return Failed(path_);
  return absl::OkStatus();
}

}  // namespace kvstore
