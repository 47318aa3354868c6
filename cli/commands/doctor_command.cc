// kvctl doctor: what this machine has that decides what a job can do on it.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/doctor_report.h"
#include "cli/printer.h"

namespace kvstore {
namespace {

int ShowDoctor(const CommandContext& context, bool as_json) {
  const auto environment = ReadEnvironment();
  if (!environment.ok()) {
    context.printer->Error(std::string(environment.status().message()));
    return kExitFailed;
  }
  const DoctorReport report = Examine(*environment, KVSTORE_VERSION);
  context.printer->Result(as_json ? DoctorAsJson(report) : DoctorAsTable(report));
  return kExitOk;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "doctor", "what this machine has: GPUs, their plugin and driver, NCCL, addresses");
  auto output = std::make_shared<std::string>("table");
  auto json = std::make_shared<bool>(false);
  AddFormatOption(*command, output.get());
  command->add_flag("--json", *json, "the same as --output json");
  command->callback([&context, output, json] {
    context.exit_code = ShowDoctor(context, *json || *output == "json");
  });
}

}  // namespace kvstore
