// A node's recording as JSON of the Trace Event Format, which chrome://tracing and ui.perfetto.dev
// read. One event is one line, so that files are merged line by line; docs/profiling.md has the
// fields. Source of the format: Google, "Trace Event Format", 2016.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/trace/trace_recorder.h"

namespace kvstore {

// Whose recording it is: a server's, a worker's or a reader's.
struct TraceNode {
  bool is_server = true;
  uint32_t rank = 0;
  std::string reader{};  // "host:pid" of a reader, which has no rank; else empty

  // The process of its events: the node's id in ps-lite, 8 + 2r of server r, 9 + 2r of worker r; of
  // a reader an odd number, as workers have, from 2^30 to 2^31, by its name.
  uint32_t pid() const;
  std::string name() const;           // "server 0", "worker 3", "reader node0:4711"
  std::string_view category() const;  // of its events: "server", "worker", "reader"
};

// Microseconds, as the format has its times, with the nanoseconds behind the point: "-0.001".
std::string TraceMicros(int64_t ns);

// The lines that begin a file: `other` is what "otherData" holds (JSON, without braces). The events
// follow, each on a line, all but the last with a comma; then kTraceEnd.
std::string TraceBeginning(const std::string& other);
inline constexpr char kTraceEnd[] = "\n]}\n";

// What "otherData" says of a node: who it is, how much of the recording was kept and lost, and how
// far its steady clock, which `ts` counts, is from the time of day.
std::string TraceNodeData(const TraceNode& node, const TraceRecorder& recorder);

// The events that name the node and its lanes, as lines with a comma before each but the first.
std::string TraceNames(const TraceNode& node, const TraceRecorder& recorder);

// Appends the lines of one event, with a comma and a line's end before each. `lane`: its number in
// the recorder. `shift_ns` is added to its times.
void AppendTraceLines(const TraceNode& node, size_t lane, const NamedEvent& named, int64_t shift_ns,
                      std::string* text);

}  // namespace kvstore
