#include "bench/kvbench/server_figures.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

constexpr double kAnswerTimeoutS = 10;

uint64_t SumOf(const std::vector<uint64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), uint64_t{0});
}

}  // namespace

std::vector<uint64_t> MembersOf(const std::string& json, const std::string& name) {
  const std::string member = "\"" + name + "\":";
  std::vector<uint64_t> numbers;
  for (size_t at = json.find(member); at != std::string::npos; at = json.find(member, at)) {
    at += member.size();
    numbers.push_back(std::strtoull(json.c_str() + at, nullptr, 10));
  }
  return numbers;
}

absl::StatusOr<ServerFigures> AskServers(ChildProcesses* children, const std::string& kvctl,
                                         const std::string& scheduler) {
  ChildOptions options;
  options.process.name = "kvctl status";
  options.process.command = {kvctl, "status", "--scheduler", scheduler, "--output", "json"};
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<ChildProcess> process, children->Start(options));
  KVS_ASSIGN_OR_RETURN(const std::string json, process->ReadLine(kAnswerTimeoutS));
  KVS_RETURN_IF_ERROR(process->AwaitEnd(kAnswerTimeoutS));
  ServerFigures figures;
  figures.bytes = {SumOf(MembersOf(json, "payload_bytes_moved")),
                   SumOf(MembersOf(json, "payload_bytes_copied"))};
  const std::vector<uint64_t> held = MembersOf(json, "held_bytes");
  const std::vector<uint64_t> resident = MembersOf(json, "resident_bytes");
  for (size_t i = 0; i < std::min(held.size(), resident.size()); ++i) {
    figures.memory_ratios.push_back(
        held[i] == 0 ? 0 : static_cast<double>(resident[i]) / static_cast<double>(held[i]));
  }
  return figures;
}

}  // namespace kvstore::bench
