// What kvbench and its worker processes say to each other: one line per command, one per answer.
//
//   prepare workload=push value_bytes=4096 keys=1024 window=1024 workers=1 dtype=f32
//           optimizer=assign compression= height=0 first_key=0 seed=1 server_pids=411,412   -> ok
//   run warmup_s=0.2 seconds=1     (push, pull, pushpull, latency)  -> ok seconds=1.0003 ...
//   run rounds=12                  (the others)                     -> ok seconds=0.93 ...
//   anything                                  -> wrong TEXT   a result differs from the closed form
//                                             -> failed TEXT  the store reports an error
// A worker ends when its standard input does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/kvbench/cases.h"

namespace kvstore::bench {

struct Line {
  std::string verb;
  std::map<std::string, std::string> fields;  // values without blanks
  std::string text;                           // the rest of the line after `wrong` and `failed`
};

// Errors: INVALID_ARGUMENT repeats the line.
absl::StatusOr<Line> ParseLine(const std::string& line);
std::string FormatLine(const Line& line);

struct PrepareCommand {
  Case measured;
  int first_key = 0;  // the keys are first_key, first_key + 1, ...
  uint64_t seed = 0;
  std::vector<pid_t> server_pids;  // whose CPU time is measured; empty: not known
};

struct RunCommand {
  double warmup_s = 0;
  double seconds = 0;
  uint64_t rounds = 0;
};

Line LineOf(const PrepareCommand& command);
Line LineOf(const RunCommand& command);
Line LineOf(const Sample& sample);  // verb `ok`

// Errors: INVALID_ARGUMENT names the field that is missing or malformed.
absl::StatusOr<PrepareCommand> PrepareFromLine(const Line& line);
absl::StatusOr<RunCommand> RunFromLine(const Line& line);
absl::StatusOr<Sample> SampleFromLine(const Line& line);

}  // namespace kvstore::bench
