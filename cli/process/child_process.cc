#include "cli/process/child_process.h"

#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <utility>

#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace kvstore {
namespace {

constexpr size_t kTailBytes = 2000;

absl::Status Interruption() { return absl::CancelledError("interrupted"); }

int64_t DeadlineMs(double timeout_s) {
  return SteadyNowMs() + static_cast<int64_t>(1000 * timeout_s);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcesses::Start(const ChildOptions& options) {
  absl::StatusOr<ProcessIndex> index = supervisor_->Start(options.process);
  if (!index.ok()) {
    return absl::Status(index.status().code(), fmt::format("{}: {}", options.process.name,
                                                           std::string(index.status().message())));
  }
  states_[*index].options = options;
  return std::unique_ptr<ChildProcess>(new ChildProcess(this, *index));
}

bool ChildProcesses::Interrupted() {
  while (Pump(0)) {
    // What has come meanwhile, of which a signal may be the last.
  }
  return interrupted_;
}

bool ChildProcesses::Pump(int64_t deadline_ms) {
  const SupervisorEvent event = supervisor_->Next(deadline_ms);
  switch (event.kind) {
    case SupervisorEvent::kLine:
      OnLine(event);
      return true;
    case SupervisorEvent::kEnd:
      return true;  // the Supervisor knows it from now on
    case SupervisorEvent::kSignal:
      interrupted_ = true;
      return true;
    case SupervisorEvent::kTimeout:
      break;
  }
  return false;
}

void ChildProcesses::OnLine(const SupervisorEvent& event) {
  State& state = states_.at(event.process);
  if (state.options.answers && !event.is_stderr) {
    state.lines.push_back(event.line);
  } else if (state.options.output == ChildOutput::kForward) {
    std::fprintf(stderr, "%s\n", event.line.c_str());
  } else {
    state.tail += event.line + "\n";
    if (state.tail.size() > kTailBytes) state.tail.erase(0, state.tail.size() - kTailBytes);
  }
}

ChildProcess::~ChildProcess() {
  all_->supervisor_->Release(index_);
  all_->states_.erase(index_);
}

absl::Status ChildProcess::Gone() const {
  const std::string& tail = all_->states_.at(index_).tail;
  const std::optional<ProcessEnd>& end = all_->supervisor_->end(index_);
  return absl::UnavailableError(fmt::format("{} is gone ({}){}{}", name(),
                                            end ? end->ToString() : "it closed its end",
                                            tail.empty() ? "" : "; the end of its log:\n", tail));
}

absl::Status ChildProcess::WriteLine(const std::string& line) {
  if (all_->Interrupted()) return Interruption();
  absl::Status written = all_->supervisor_->WriteLine(index_, line);
  if (!absl::IsUnavailable(written)) return written;
  // A child that is ending: a moment later one can say how.
  const int64_t deadline = DeadlineMs(1);
  while (!ended() && all_->Pump(deadline)) {
  }
  return Gone();
}

absl::StatusOr<std::string> ChildProcess::ReadLine(double timeout_s,
                                                   const std::vector<const ChildProcess*>& others) {
  const int64_t deadline = DeadlineMs(timeout_s);
  std::deque<std::string>& lines = all_->states_.at(index_).lines;
  while (true) {
    if (!lines.empty()) {
      std::string line = std::move(lines.front());
      lines.pop_front();
      return line;
    }
    if (all_->interrupted_) return Interruption();
    if (ended()) return Gone();  // all that it printed came before
    for (const ChildProcess* other : others) {
      if (other->ended()) return other->Gone();
    }
    if (!all_->Pump(deadline)) {
      return absl::DeadlineExceededError(
          fmt::format("{}: a line expected within {:g} s, got none", name(), timeout_s));
    }
  }
}

absl::Status ChildProcess::AwaitEnd(double timeout_s) {
  const int64_t deadline = DeadlineMs(timeout_s);
  while (!ended() && all_->Pump(deadline)) {
  }
  if (!ended()) {
    all_->supervisor_->Signal(index_, SIGKILL);
    while (!ended()) all_->Pump(INT64_MAX);
    return absl::InternalError(
        fmt::format("{}: an end within {:g} s expected; it had to be killed", name(), timeout_s));
  }
  const ProcessEnd& end = *all_->supervisor_->end(index_);
  if (end.ok()) return absl::OkStatus();
  return absl::InternalError(
      fmt::format("{}: exit code 0 expected, got: {}", name(), end.ToString()));
}

absl::Status ChildProcess::Terminate(double timeout_s) {
  all_->supervisor_->Signal(index_, SIGTERM);
  return AwaitEnd(timeout_s);
}

}  // namespace kvstore
