// kvctl run: a training program on a cluster of its own on this machine.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <system_error>

#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/job.h"
#include "cli/printer.h"
#include "cli/process/supervisor.h"

namespace kvstore {
namespace {

constexpr const char* kDescription =
    "run PROGRAM on a cluster of its own on this machine: a scheduler, servers and workers";

constexpr const char* kDetails = R"(
kvctl run [OPTIONS] -- PROGRAM [ARGS...]

Every worker runs PROGRAM with KVSTORE_* and DMLC_* set, so that a dist KVStore finds the cluster.
With --server-program the servers run that program, with the same variables and the role server.
Output comes with the name of its process: all of the workers', and of the scheduler and the servers
when a job starts and ends, warnings and errors (--verbose: everything). The first process that
fails is named (a server that returns 0 before the job is over is one too), and everything is ended
(SIGTERM, then SIGKILL), whatever happens to kvctl.

Exit code: PROGRAM's; of the first failure if there are several; 128 + N for signal N.

Example:  kvctl run -n 2 -s 2 -- digits --store dist_sync)";

int Run(const CommandContext& context, JobOptions options) {
  options.program = context.program;
  if (options.program.empty()) {
    context.printer->Error("a program is expected after '--': kvctl run -n 2 -s 2 -- PROGRAM ARGS");
    return kExitUsage;
  }
  std::error_code error;
  if (!options.log_dir.empty() &&
      !(std::filesystem::create_directories(options.log_dir, error), !error)) {
    context.printer->Error("--log-dir: cannot make '" + options.log_dir + "': " + error.message());
    return kExitFailed;
  }
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  options.daemon_dir = self.parent_path().string();

  auto supervisor = Supervisor::Create();
  if (!supervisor.ok()) {
    context.printer->Error(std::string(supervisor.status().message()));
    return kExitFailed;
  }
  return Job(std::move(options), supervisor->get(), context.printer).Run();
}

}  // namespace

void AddRunCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("run", kDescription);
  command->footer(kDetails);
  auto options = std::make_shared<JobOptions>();
  command->add_option("-n,--workers", options->workers, "worker processes")
      ->check(CLI::Range(1u, 10000u))
      ->capture_default_str();
  command->add_option("-s,--servers", options->servers, "server processes")
      ->check(CLI::Range(1u, 10000u))
      ->capture_default_str();
  command
      ->add_option("--shards", options->shards, "threads that own values, per server; 0: by cores")
      ->capture_default_str();
  command
      ->add_option("--server-program", options->server_program,
                   "run this program, without arguments, as each server in the place of kvstored: "
                   "one that calls RunServer (library kvstore::server)")
      ->type_name("PROGRAM");
  command
      ->add_option("--log-dir", options->log_dir,
                   "write each process's output to a file here; servers and scheduler only there")
      ->type_name("FOLDER");
  AddTlsOption(*command, &options->tls_dir);
  command->add_flag("--verbose", options->verbose,
                    "show every line of the scheduler and the servers, not only what matters");
  command->add_option("--time-scale", options->time_scale, "stretch every timer of the cluster")
      ->envname("KVSTORE_TIME_SCALE")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--grace-ms", options->grace_ms, "between SIGTERM and SIGKILL")
      ->type_name("MS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--linger-ms", options->linger_ms,
                   "after a failure, give the other workers so long to end by themselves")
      ->type_name("MS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->callback([&context, options] { context.exit_code = Run(context, *options); });
}

}  // namespace kvstore
