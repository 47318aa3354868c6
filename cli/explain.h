// What kvctl explain says: why a key or a worker waits, from the answers of scheduler and servers.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/cluster_report.h"

namespace kvstore {

struct Explanation {
  std::string subject;             // "key 3", "worker 1"
  bool waits = false;              // the key for workers; others for the worker, or it for them
  std::vector<std::string> lines;  // one reason each, the oldest first
};

// Of the key that is shown by this name, an int key by its number. That there is such a key is the
// caller's to know.
Explanation ExplainKey(const ClusterReport& report, const std::string& key);
// Errors: NOT_FOUND: the scheduler knows of no worker with that rank.
absl::StatusOr<Explanation> ExplainWorker(const ClusterReport& report, uint32_t rank);

std::string ExplanationAsText(const Explanation& explanation);
// {subject, waits, lines [text]}
std::string ExplanationAsJson(const Explanation& explanation);

}  // namespace kvstore
