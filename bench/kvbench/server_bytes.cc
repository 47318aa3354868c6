#include "bench/kvbench/server_bytes.h"

#include <cstdlib>

#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

constexpr double kAnswerTimeoutS = 10;

}  // namespace

uint64_t SumOfMembers(const std::string& json, const std::string& name) {
  const std::string member = "\"" + name + "\":";
  uint64_t sum = 0;
  for (size_t at = json.find(member); at != std::string::npos; at = json.find(member, at)) {
    at += member.size();
    sum += std::strtoull(json.c_str() + at, nullptr, 10);
  }
  return sum;
}

absl::StatusOr<ByteCounts> AskServerBytes(ChildProcesses* children, const std::string& kvctl,
                                          const std::string& scheduler) {
  ChildOptions options;
  options.process.name = "kvctl status";
  options.process.command = {kvctl, "status", "--scheduler", scheduler, "--output", "json"};
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> process, children->Start(options));
  KVS_ASSIGN_OR_RETURN(const std::string json, process->ReadLine(kAnswerTimeoutS));
  KVS_RETURN_IF_ERROR(process->Join(kAnswerTimeoutS));
  return ByteCounts{SumOfMembers(json, "payload_bytes_moved"),
                    SumOfMembers(json, "payload_bytes_copied")};
}

}  // namespace kvstore::bench
