// Writes a node's recording to a file.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/trace/trace_json.h"

namespace kvstore {

// OK, or why a file of this name could not be made: its folder is not there, or is none.
// Errors: FAILED_PRECONDITION names the folder.
absl::Status CheckTraceFolder(const std::string& path);

// Writes what is recorded by now, also while recording goes on, some thousand events in memory at a
// time. The file has its name when it is whole: until then it is `path` with ".part" behind.
// Blocks. `more_data`: more of what "otherData" says, with a comma before it. Errors:
// FAILED_PRECONDITION names the file and the system's reason.
absl::Status WriteTraceFile(const TraceNode& node, const TraceRecorder& recorder,
                            const std::string& path, const std::string& more_data = "");

}  // namespace kvstore
