// What comes out: a table for people, JSON for programs. bench/README.md says how to read both.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/kvbench/machine.h"
#include "bench/kvbench/options.h"
#include "bench/kvbench/suite.h"

namespace kvstore::bench {

// The lines above the table.
std::string Header(const Options& options, const MachineInfo& machine, const CorePlan& cores);
// One case: a line of figures; of latency, a line in microseconds.
std::string Row(const CaseResult& result);

std::string Json(const Options& options, const MachineInfo& machine, const CorePlan& cores,
                 const std::vector<CaseResult>& results);

// Errors: UNAVAILABLE names the file.
absl::Status WriteFile(const std::string& path, const std::string& text);

}  // namespace kvstore::bench
