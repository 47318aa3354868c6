// Job: one run of a training program on a cluster of its own on this machine: a scheduler, servers
// and workers, started together and ended together. What `kvctl run` does.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/printer.h"
#include "cli/process/supervisor.h"

namespace kvstore {

struct JobOptions {
  uint32_t workers = 1;
  uint32_t servers = 1;
  uint32_t shards = 0;         // of each server; 0: its own default
  double time_scale = 1;       // stretches the timers of all processes
  int64_t grace_ms = 5000;     // between SIGTERM and SIGKILL
  int64_t linger_ms = 0;       // for the other workers to end by themselves after a failure
  std::string log_dir;         // not empty: every process's output goes to a file here too
  bool verbose = false;        // every line of the daemons on the terminal
  std::string daemon_dir;      // where kvscheduler and kvstored are looked for before PATH
  std::string tls_dir;         // of all processes (common/tls/tls_files.h); empty: no TLS
  std::string server_program;  // runs in the place of kvstored; empty: kvstored
  std::vector<std::string> program;
};

class Job {
 public:
  Job(JobOptions options, Supervisor* supervisor, Printer* printer);

  // Runs to the end. Returns the exit code for the shell: 0 if every worker returned 0, else that
  // of the process that failed first (1 for a daemon that returned 0 before the job was over), else
  // 128 + the signal that ended kvctl.
  int Run();

 private:
  enum class Role { kScheduler, kServer, kWorker };
  struct FileCloser {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  struct Member {
    Role role = Role::kWorker;
    std::string program;
    std::unique_ptr<FILE, FileCloser> log;
  };

  absl::Status StartAll();
  absl::Status StartMember(Role role, uint32_t rank, std::vector<std::string> command);
  // Reads the line in which the scheduler says where it listens.
  absl::Status AwaitScheduler();
  void Watch();
  void EndAll();

  // Takes one event and does what is the same in every phase. False when `deadline_ms` passed.
  bool Pump(int64_t deadline_ms);
  void OnLine(const SupervisorEvent& event);
  void ShowDaemonLine(const SupervisorEvent& event, Role role);
  void OnEnd(ProcessIndex process);
  // Why a server or the scheduler must not have returned 0 at this time; empty: it may.
  std::string WhyTooEarly(const Member& daemon) const;
  void Fail(const std::string& what, int exit_code);
  bool WorkersRunning() const;
  std::string LogPath(const std::string& name) const;
  std::string Daemon(const std::string& name) const;
  int64_t Scaled(int64_t ms) const;
  int64_t DeadlineIn(int64_t ms) const;

  const JobOptions options_;
  Supervisor* const supervisor_;
  Printer* const printer_;
  std::vector<Member> members_;    // by ProcessIndex
  std::string scheduler_address_;  // once announced
  std::optional<int> failed_;      // exit code of the first failure
  int interrupts_ = 0;             // signals that asked kvctl to end
  bool ending_ = false;
};

}  // namespace kvstore
