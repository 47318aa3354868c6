#include "bench/kvbench/worker_main.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>

#include "bench/kvbench/worker_case.h"
#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

// Carries out one command on the current case.
absl::StatusOr<Line> CarryOut(const std::string& text, KVStore* store,
                              std::unique_ptr<WorkerCase>* current) {
  KVS_ASSIGN_OR_RETURN(const Line line, ParseLine(text));
  if (line.verb == "prepare") {
    KVS_ASSIGN_OR_RETURN(const PrepareCommand command, PrepareFromLine(line));
    current->reset();  // its memory first
    *current = MakeWorkerCase(command, store);
    return Line{"ok", {}, ""};
  }
  if (line.verb != "run" || *current == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("prepare, then run expected, got '{}'", line.verb));
  }
  KVS_ASSIGN_OR_RETURN(const RunCommand command, RunFromLine(line));
  const ByteCounts before = PayloadByteCounts();
  KVS_ASSIGN_OR_RETURN(Sample sample, (*current)->Run(command));
  const ByteCounts after = PayloadByteCounts();
  sample.client_bytes = {after.moved - before.moved, after.copied - before.copied};
  return LineOf(sample);
}

void Say(std::FILE* to, const Line& line) {
  std::fprintf(to, "%s\n", FormatLine(line).c_str());
  std::fflush(to);
}

}  // namespace

int RunWorker(const std::string& type) {
  // Whatever else is printed in this process goes to standard error.
  std::FILE* answers = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), "w");
  dup2(STDERR_FILENO, STDOUT_FILENO);
  try {
    const std::unique_ptr<KVStore> store = KVStore::CreateUnique(type);
    Say(answers, {"ok", {}, ""});
    std::unique_ptr<WorkerCase> current;  // ends before the store
    for (std::string text; std::getline(std::cin, text);) {
      const absl::StatusOr<Line> answer = CarryOut(text, store.get(), &current);
      if (!answer.ok()) {
        const bool wrong = absl::IsDataLoss(answer.status());
        Say(answers, {wrong ? "wrong" : "failed", {}, std::string(answer.status().message())});
        store->set_barrier_before_exit(false);
        return 1;
      }
      Say(answers, *answer);
    }
    return 0;
  } catch (const Error& error) {
    Say(answers, {"failed", {}, fmt::format("{}: {}", ErrorCodeName(error.code()), error.what())});
  } catch (const std::exception& error) {
    Say(answers, {"failed", {}, error.what()});
  }
  return 1;
}

}  // namespace kvstore::bench
