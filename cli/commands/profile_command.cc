// kvctl profile: orders the profilers of a cluster's servers, and brings what they recorded as one
// file.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/ask.h"
#include "cli/ask_servers.h"
#include "cli/commands/ask_options.h"
#include "cli/commands/commands.h"
#include "cli/printer.h"
#include "cli/trace_merge.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/model/profiler_order.h"

namespace kvstore {
namespace {

// So many questions, of which the quickest tells most about a clock.
constexpr int kClockQuestions = 8;

struct ProfileOptions {
  ClusterAsk ask;
  std::string configuration;       // set-config
  bool last = false;               // dump
  std::string output;              // fetch
  std::vector<std::string> added;  // fetch
};

struct Server {
  uint32_t rank = 0;
  std::string address;
};

// At least one. Errors: those of asking the scheduler; FAILED_PRECONDITION: there is none.
absl::StatusOr<ServerAddresses> SomeServers(Transport& transport, const ProfileOptions& options) {
  KVS_ASSIGN_OR_RETURN(ServerAddresses servers,
                       FindServers(transport, options.ask.scheduler, options.ask.timeout_ms));
  if (!servers.empty()) return servers;
  return absl::FailedPreconditionError(
      fmt::format("scheduler {}: servers expected, it has none", options.ask.scheduler));
}

// Gives every server the order, also if one refuses it. Errors: the first one's, by name.
absl::Status OrderAll(const ProfileOptions& options, ProfilerVerb verb,
                      const std::string& parameters) {
  KVS_RETURN_IF_ERROR(CheckProfilerOrder(static_cast<int32_t>(verb), parameters));
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
  KVS_ASSIGN_OR_RETURN(const ServerAddresses servers, SomeServers(*transport, options));
  v1::ProfilerOrderRequest order;
  order.set_verb(static_cast<uint32_t>(verb));
  order.set_parameters(parameters);
  const auto outcomes = AnswersOf<absl::Status>(servers, [&](const std::string& address) {
    return AskToProfile(*transport, address, order, options.ask.timeout_ms);
  });
  for (const auto& [rank, outcome] : outcomes) {
    if (outcome.ok()) continue;
    return absl::Status(outcome.code(), fmt::format("server {} ({}): {}", rank, servers.at(rank),
                                                    std::string(outcome.message())));
  }
  return absl::OkStatus();
}

// How far a clock is ahead of ours: it was read, at the latest, when its answer came, and at the
// earliest when it was asked; in the middle, says NTP (RFC 5905). `ask` reads it.
template <typename Ask>
absl::StatusOr<ClockOffset> MeasureClock(const Ask& ask) {
  ClockOffset best;
  for (int i = 0; i < kClockQuestions; ++i) {
    const int64_t asked_ns = SteadyNowNs();
    const absl::StatusOr<int64_t> theirs_ns = ask();
    KVS_RETURN_IF_ERROR(theirs_ns.status());
    const int64_t answered_ns = SteadyNowNs();
    const int64_t error_ns = (answered_ns - asked_ns) / 2;
    if (i > 0 && error_ns >= best.error_ns) continue;
    best = {*theirs_ns - (asked_ns + answered_ns) / 2, error_ns};
  }
  return best;
}

class Fetch {
 public:
  Fetch(const ProfileOptions& options, Transport& transport)
      : options_(options), transport_(transport), merge_(options.output) {}

  absl::Status Run() {
    KVS_ASSIGN_OR_RETURN(const ServerAddresses found, SomeServers(transport_, options_));
    std::vector<Server> servers;
    for (const auto& [rank, address] : found) servers.push_back({rank, address});
    KVS_ASSIGN_OR_RETURN(
        const ClockOffset scheduler, MeasureClock([&]() -> absl::StatusOr<int64_t> {
          KVS_ASSIGN_OR_RETURN(
              const v1::ClusterStatus status,
              AskScheduler(transport_, options_.ask.scheduler, options_.ask.timeout_ms));
          return status.steady_ns();
        }));
    for (const std::string& path : options_.added) KVS_RETURN_IF_ERROR(merge_.AddFile(path));
    std::vector<std::pair<v1::ReadProfileRequest, v1::ProfilePiece>> begun;
    for (const Server& server : servers) {
      KVS_ASSIGN_OR_RETURN(v1::ReadProfileRequest request, RequestTo(server, scheduler));
      KVS_ASSIGN_OR_RETURN(v1::ProfilePiece piece, Ask(server, request));
      merge_.AddNode(piece.node_data());
      begun.emplace_back(std::move(request), std::move(piece));
    }
    KVS_RETURN_IF_ERROR(merge_.Begin());
    for (size_t i = 0; i < servers.size(); ++i) {
      KVS_RETURN_IF_ERROR(Bring(servers[i], std::move(begun[i].first), std::move(begun[i].second)));
    }
    return merge_.Finish();
  }

 private:
  absl::StatusOr<v1::ProfilePiece> Ask(const Server& server,
                                       const v1::ReadProfileRequest& request) {
    return AskForProfile(transport_, server.address, request, options_.ask.timeout_ms);
  }

  // The question for the first piece, in the scheduler's clock.
  absl::StatusOr<v1::ReadProfileRequest> RequestTo(const Server& server,
                                                   const ClockOffset& scheduler) {
    v1::ReadProfileRequest clock_only;
    clock_only.set_lane(~uint32_t{0});
    KVS_ASSIGN_OR_RETURN(const ClockOffset offset, MeasureClock([&]() -> absl::StatusOr<int64_t> {
                           KVS_ASSIGN_OR_RETURN(const v1::ProfilePiece piece,
                                                Ask(server, clock_only));
                           return piece.steady_ns();
                         }));
    v1::ReadProfileRequest request;
    request.set_shift_ns(ShiftOf(offset, scheduler));
    return request;
  }

  absl::Status Bring(const Server& server, v1::ReadProfileRequest request, v1::ProfilePiece piece) {
    const uint64_t recording = piece.recording();
    KVS_RETURN_IF_ERROR(merge_.AddLines(piece.names()));
    while (true) {
      if (piece.recording() != recording) {
        return absl::AbortedError(
            fmt::format("server {} ({}): began another recording meanwhile: fetch again",
                        server.rank, server.address));
      }
      KVS_RETURN_IF_ERROR(merge_.AddLines(piece.events()));
      if (piece.last()) return absl::OkStatus();
      request.set_lane(piece.next_lane());
      request.set_event(piece.next_event());
      KVS_ASSIGN_OR_RETURN(piece, Ask(server, request));
    }
  }

  const ProfileOptions& options_;
  Transport& transport_;
  TraceMerge merge_;
};

absl::Status FetchAll(const ProfileOptions& options) {
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport, TransportFor(options.ask));
  return Fetch(options, *transport).Run();
}

int ExitCodeOf(const CommandContext& context, const absl::Status& status) {
  if (status.ok()) return kExitOk;
  context.printer->Error(std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

}  // namespace

void AddProfileCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "profile", "has the servers record what they do, and brings it as one trace file");
  command->require_subcommand(1);
  auto options = std::make_shared<ProfileOptions>();
  options->ask.timeout_ms = 60000;
  const auto add = [&](const char* name, const char* what, auto run) {
    CLI::App* verb = command->add_subcommand(name, what);
    AddAskOptions(*verb, &options->ask);
    verb->callback(
        [&context, options, run] { context.exit_code = ExitCodeOf(context, run(*options)); });
    return verb;
  };
  const auto order = [&](const char* name, const char* what, ProfilerVerb verb,
                         const char* parameters) {
    add(name, what,
        [verb, parameters](const ProfileOptions& o) { return OrderAll(o, verb, parameters); });
  };
  add("set-config", "says where dump has each server write: rank<r>_ and the file's name",
      [](const ProfileOptions& o) {
        return OrderAll(o, ProfilerVerb::kSetConfig, o.configuration);
      })
      ->add_option("configuration", options->configuration,
                   "name:value,name:value, such as filename:/tmp/profile.json")
      ->type_name("CONFIG")
      ->required();
  order("start", "begins a recording; what was recorded before is forgotten", ProfilerVerb::kState,
        "1");
  order("stop", "ends the recording", ProfilerVerb::kState, "0");
  order("pause", "records nothing for now", ProfilerVerb::kPause, "1");
  order("resume", "goes on after a pause", ProfilerVerb::kPause, "0");
  add("dump", "has each server write its file, on its own host", [](const ProfileOptions& o) {
    return OrderAll(o, ProfilerVerb::kDump, o.last ? "1" : "0");
  })->add_flag("--stop", options->last, "end the recording, too");
  CLI::App* fetch = add("fetch", "brings what all servers recorded, in one clock", &FetchAll);
  fetch->add_option("-o,--output", options->output, "the file to write")
      ->type_name("FILE")
      ->required();
  fetch->add_option("--add", options->added, "a file of a node to merge, as workers write them")
      ->type_name("FILE");
}

}  // namespace kvstore
