// kvbench: how fast a KVStore moves values, beside what the machine can do. bench/README.md has the
// method.

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bench/kvbench/machine.h"
#include "bench/kvbench/options.h"
#include "bench/kvbench/report.h"
#include "bench/kvbench/run_certificates.h"
#include "bench/kvbench/suite.h"
#include "bench/kvbench/worker_main.h"
#include "cli/process/supervisor.h"

namespace kvstore::bench {
namespace {

constexpr int kWrongResult = 1;
constexpr int kFailed = 3;

void Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

int Measure(const Options& options) {
  // Before any thread, and before all that takes long: from now on Ctrl-C cleans up.
  absl::StatusOr<std::unique_ptr<Supervisor>> supervisor = Supervisor::Create();
  if (!supervisor.ok()) {
    fmt::print(stderr, "kvbench: {}\n", std::string(supervisor.status().message()));
    return kFailed;
  }
  std::unique_ptr<RunCertificates> certificates;
  if (options.tls) {
    auto made = RunCertificates::Make();
    if (!made.ok()) {
      fmt::print(stderr, "kvbench: --tls: {}\n", std::string(made.status().message()));
      return kFailed;
    }
    certificates = *std::move(made);
  }
  Suite suite(options, std::filesystem::read_symlink("/proc/self/exe").string(),
              *std::move(supervisor));
  const MachineInfo machine = DescribeMachine();
  std::vector<CaseResult> results;
  Print(Header(options, machine, suite.cores()));
  absl::Status status = suite.Run([&](const CaseResult& result) {
    results.push_back(result);
    Print(Row(result));
  });
  if (status.ok() && !options.json.empty()) {
    status = WriteFile(options.json, Json(options, machine, suite.cores(), results));
  }
  if (status.ok()) return 0;
  fmt::print(stderr, "kvbench: {}\n", std::string(status.message()));
  return absl::IsDataLoss(status) ? kWrongResult : kFailed;
}

int Main(int argc, char** argv) {
  const std::variant<Options, int> parsed = ParseOptions(argc, argv);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  const auto& options = std::get<Options>(parsed);
  return options.worker_role ? RunWorker(options.store) : Measure(options);
}

}  // namespace
}  // namespace kvstore::bench

int main(int argc, char** argv) {
  try {
    return kvstore::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "kvbench: {}\n", error.what());
    return kvstore::bench::kFailed;
  }
}
