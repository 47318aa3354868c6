// A ClientCore with its streams up, and the server's side of the conversation.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "client/core/client_core.h"

namespace kvstore {

inline constexpr ClusterId kCluster = 77;
inline constexpr WorkerRank kRank = 1;
inline constexpr Incarnation kIncarnation = 9;
inline constexpr PartId kPart{17, 0};

inline RoutingPtr RoutingOf(uint32_t servers) {
  RoutingTable table;
  table.epoch = 1;
  table.job = 1;
  for (uint32_t rank = 0; rank < servers; ++rank) table.servers.push_back({"h:1", 50 + rank, 1});
  table.workers = {{8, "a:1"}, {kIncarnation, "b:2"}};
  table.SpreadSlots();
  return std::make_shared<const RoutingTable>(std::move(table));
}

class Client {
 public:
  explicit Client(uint32_t servers = 1, ClientCoreOptions options = {})
      : core(options, kCluster, kRank, kIncarnation) {
    core.OnRouting(now_ms, RoutingOf(servers), &out);
    dialled = out.dial;
    for (const ShardAddress shard : dialled) core.OnStreamUp(now_ms, shard, &out);
    out = {};
  }

  void Submit(Op op, Ticket ticket, std::string data = {}, PartId id = kPart, int priority = 0) {
    PartRequest request;
    request.op = op;
    request.id = id;
    request.ticket = ticket;
    request.priority = priority;
    if (!data.empty()) request.piece.data = Payload::CopyOf(data);
    if (op == Op::kInit) request.key = std::make_shared<KeySpec>();
    core.Submit(now_ms, {std::move(request)}, &out);
  }
  // Takes what was sent since the last call.
  std::vector<RequestEntry> Sent() {
    std::vector<RequestEntry> sent;
    for (const ClientOutbox::Send& send : out.frames) {
      CHECK(send.frame.header.rank == kRank);
      CHECK(send.frame.header.incarnation == kIncarnation);
      CHECK(send.frame.header.server_incarnation == 50 + send.to.server);
      sent.insert(sent.end(), send.frame.entries.begin(), send.frame.entries.end());
    }
    frames = out.frames.size();
    out.frames.clear();
    return sent;
  }
  void Reply(const EntryHead& request, Progress progress, ShardAddress from = {0, 0}) {
    Reply(ReplyEntry(request), progress, from);
  }
  void Reply(ReplyEntry entry, Progress progress, ShardAddress from = {0, 0}) {
    entry.progress = progress;
    ReplyFrame frame;
    frame.header.cluster = kCluster;
    frame.header.rank = kRank;
    frame.header.incarnation = kIncarnation;
    frame.entries.push_back(std::move(entry));
    core.OnFrame(now_ms, from, frame, &out);
  }
  void Refuse(const EntryHead& request, absl::StatusCode code, uint32_t retry_after_ms = 0) {
    ReplyEntry entry(request, absl::Status(code, "refused"));
    entry.retry_after_ms = retry_after_ms;
    Reply(std::move(entry), Progress::kUnspecified);
  }
  std::vector<Ticket> Done() {
    std::vector<Ticket> tickets;
    for (const Completion& done : out.done) tickets.push_back(done.ticket);
    out.done.clear();
    return tickets;
  }
  void RunTimers(int64_t until_ms) {
    while (core.NextTimerMs() <= until_ms) {
      now_ms = core.NextTimerMs();
      core.OnTimer(now_ms, &out);
    }
    now_ms = until_ms;
  }

  int64_t now_ms = 0;
  ClientCore core;
  ClientOutbox out;
  std::vector<ShardAddress> dialled;
  size_t frames = 0;
};

}  // namespace kvstore
