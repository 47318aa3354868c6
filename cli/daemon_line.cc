#include "cli/daemon_line.h"

#include <algorithm>
#include <cctype>

namespace kvstore {
namespace {

// "2026-11-28T14:41:02.950 I ": a digit wherever the pattern has one.
constexpr std::string_view kStampPattern = "0000-00-00T00:00:00.000 ";

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool HasStamp(std::string_view line) {
  return line.size() >= kStampPattern.size() &&
         std::equal(kStampPattern.begin(), kStampPattern.end(), line.begin(),
                    [](char expected, char got) {
                      return expected == '0' ? std::isdigit(static_cast<unsigned char>(got)) != 0
                                             : expected == got;
                    });
}

DaemonLineKind KindOf(bool is_scheduler, char level, std::string_view text) {
  // Every server says when the job starts and ends; the scheduler's word is enough.
  const bool of_job = StartsWith(text, "job ");
  if (of_job && !is_scheduler) return DaemonLineKind::kDetail;
  switch (level) {
    case 'T':
    case 'D':
      return DaemonLineKind::kDetail;
    case 'I':
      return of_job ? DaemonLineKind::kEvent : DaemonLineKind::kDetail;
    case 'W':
      return DaemonLineKind::kWarning;
    default:
      return DaemonLineKind::kError;
  }
}

}  // namespace

DaemonLine ReadDaemonLine(bool is_scheduler, std::string_view line) {
  if (StartsWith(line, "kvscheduler listening on ") || StartsWith(line, "kvstored listening on ")) {
    return {DaemonLineKind::kDetail, line};
  }
  if (!HasStamp(line)) return {DaemonLineKind::kOther, line};
  // "I kvscheduler: text"
  const std::string_view rest = line.substr(kStampPattern.size());
  const size_t colon = rest.find(": ");
  if (rest.size() < 2 || rest[1] != ' ' || colon == std::string_view::npos ||
      std::string_view("TDIWEC").find(rest[0]) == std::string_view::npos) {
    return {DaemonLineKind::kOther, line};
  }
  const std::string_view text = rest.substr(colon + 2);
  return {KindOf(is_scheduler, rest[0], text), text};
}

}  // namespace kvstore
