// TraceMerge: writes one trace file of many nodes, with all times in one clock. Events come as the
// lines of our own files (common/trace/trace_json.h), so nothing has to be parsed but a first line.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kvstore {

// `line` with `shift_ns` added to its "ts"; as it is if it has none.
std::string ShiftedLine(std::string_view line, int64_t shift_ns);

// How far a clock is ahead of another, and what the estimate may be wrong by.
struct ClockOffset {
  int64_t ahead_ns = 0;
  int64_t error_ns = 0;
};

// What to add to times of clock `a` to have them of clock `b`, both measured from a third one. What
// cannot be told from no difference is none: on one machine all clocks are the same, and a guess
// would bring events out of order.
int64_t ShiftOf(const ClockOffset& a, const ClockOffset& b);

class TraceMerge {
 public:
  // The file has its name when Finish was OK; until then, ".part" is behind it.
  explicit TraceMerge(std::string path) : path_(std::move(path)) {}

  // Reads what a file of ours says of its node. Errors: INVALID_ARGUMENT names the file: it is
  // none.
  absl::Status AddFile(const std::string& path);
  // The node of lines that AddLines will bring, as "otherData" says it, without braces.
  void AddNode(std::string data) { nodes_.push_back(std::move(data)); }

  // After all AddNode and AddFile: writes the head and the events of the files, each by its own
  // "clock_minus_scheduler_ns".
  absl::Status Begin();
  // Lines of events; ",\n" is between events, and may be before the first.
  absl::Status AddLines(std::string_view lines);
  absl::Status Finish();

 private:
  struct Input {
    std::string path;
    int64_t shift_ns = 0;
  };
  absl::Status Copy(const Input& input);
  absl::Status Failed(const std::string& path) const;

  const std::string path_;
  std::vector<std::string> nodes_;
  std::vector<Input> inputs_;
  std::ofstream out_;
  bool first_ = true;
};

}  // namespace kvstore
