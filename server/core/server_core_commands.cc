// Commands: handed to the shell, which runs them, and answered when they are over.
#include <fmt/format.h>

#include <utility>

#include "server/core/server_core_impl.h"

namespace kvstore {
namespace {

ReplyEntry CommandReply(const EntryHead& request, const absl::Status& status) {
  ReplyEntry reply(request, status);
  reply.progress = Progress::kDone;
  return reply;
}

}  // namespace

void ServerCore::Impl::OnCommand(const ReplyTo& from, const RequestFrame& frame,
                                 const RequestEntry& entry, ReplyBatch& replies) {
  const auto answer = [&](const absl::Status& status) {
    replies.Add(from, CommandReply(entry, status));
  };
  if (!frame.command)
    return answer(
        absl::InvalidArgumentError(fmt::format("{} without a command", OpName(entry.op))));
  // A command that is known is handed out: there is room for it first.
  CommandRun run{0, entry.op, from.rank, *frame.command};
  commands_.reserve(commands_.size() + 1);
  CommandLog::Arrival arrival = command_log_.Arrived(from, entry);
  switch (arrival.kind) {
    case CommandLog::Kind::kNew:
      run.ticket = arrival.ticket;
      commands_.push_back(std::move(run));
      break;
    case CommandLog::Kind::kRunning:
      break;
    case CommandLog::Kind::kDone:
      return answer(arrival.outcome);
    case CommandLog::Kind::kForgotten:
      return answer(absl::AbortedError(fmt::format(
          "{} {}: request {} is older than the last {} commands of worker {}: not run",
          OpName(entry.op), frame.command->id, entry.request, CommandLog::kKeptMax, from.rank)));
    case CommandLog::Kind::kFull:
      return answer(absl::ResourceExhaustedError(
          fmt::format("{} {}: worker {} has {} commands running here, no more are taken",
                      OpName(entry.op), frame.command->id, from.rank, CommandLog::kKeptMax)));
  }
  ReplyEntry received = CommandReply(entry, absl::OkStatus());
  received.progress = Progress::kReceived;
  replies.Add(from, std::move(received));
}

void ServerCore::Impl::OnCommandDone(uint64_t ticket, absl::Status outcome, ServerOutbox* out) {
  const auto answer = command_log_.Finish(ticket, outcome);
  if (!answer) return;
  ReplyBatch replies(ReplyHeader(), out);
  replies.Add(answer->to, CommandReply(answer->request, outcome));
}

}  // namespace kvstore
