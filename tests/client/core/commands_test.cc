// Commands as a worker's core sends them: to shard 0 of every server, with one answer for all.
#include <catch2/catch.hpp>
#include <set>
#include <utility>

#include "client/core/client_core.h"

namespace kvstore {
namespace {

constexpr ClusterId kCluster = 77;
constexpr Ticket kTicket = 4;

class Client {
 public:
  Client() : core({}, kCluster, 0, 9) {
    RoutingTable table;
    table.epoch = 1;
    table.job = 1;
    for (uint32_t rank = 0; rank < 3; ++rank) table.servers.push_back({"h:1", 50 + rank, 2});
    table.workers = {{9, "a:1"}};
    table.SpreadSlots();
    core.OnRouting(0, std::make_shared<const RoutingTable>(std::move(table)), &out);
    for (const ShardAddress shard : out.dial) core.OnStreamUp(0, shard, &out);
    out = {};
    ShardRequest request;
    request.op = Op::kCommand;
    request.ticket = kTicket;
    request.command = {7, "grow"};
    core.Submit(0, request, &out);
    sent = std::exchange(out.frames, {});
  }
  void Reply(const ClientOutbox::Send& to, absl::StatusCode code, const std::string& message,
             Progress progress = Progress::kDone) {
    ReplyFrame frame;
    frame.header.cluster = kCluster;
    frame.header.rank = 0;
    frame.header.incarnation = 9;
    ReplyEntry& entry = frame.entries.emplace_back();
    entry.op = Op::kCommand;
    entry.request = to.frame.entries[0].request;
    entry.code = code;
    entry.message = message;
    entry.progress = progress;
    core.OnFrame(0, to.to, frame, &out);
  }

  ClientCore core;
  ClientOutbox out;
  std::vector<ClientOutbox::Send> sent;
};

TEST_CASE("a command goes to the first shard of each server, with its body", "[core][command]") {
  Client client;
  std::set<ServerRank> servers;
  for (const ClientOutbox::Send& send : client.sent) {
    CHECK(send.to.shard == 0);
    servers.insert(send.to.server);
    REQUIRE(send.frame.entries.size() == 1);
    CHECK(send.frame.entries[0].op == Op::kCommand);
    CHECK(send.frame.command->id == 7);
    CHECK(send.frame.command->body == "grow");
  }
  CHECK(servers == std::set<ServerRank>{0, 1, 2});
  CHECK(client.sent.size() == 3);
}

TEST_CASE("a command is over when every server answered, and all that failed are named",
          "[core][command]") {
  Client client;
  client.Reply(client.sent[2], absl::StatusCode::kUnknown, "it broke");
  client.Reply(client.sent[1], absl::StatusCode::kOk, "", Progress::kReceived);
  client.Reply(client.sent[0], absl::StatusCode::kOk, "");
  CHECK(client.out.done.empty());
  REQUIRE(client.core.WaitingFor({kTicket}).size() == 1);
  CHECK(client.core.WaitingFor({kTicket})[0].shard.server == 1);
  client.Reply(client.sent[1], absl::StatusCode::kInvalidArgument, "no such thing");
  REQUIRE(client.out.done.size() == 1);
  CHECK(client.out.done[0].ticket == kTicket);
  CHECK(client.out.done[0].status ==
        absl::InvalidArgumentError("server 1 (h:1): no such thing; server 2 (h:1): it broke"));
  CHECK(client.core.WaitingFor({kTicket}).empty());
}

TEST_CASE("a command is sent again, whole, when its stream broke", "[core][command]") {
  Client client;
  client.Reply(client.sent[0], absl::StatusCode::kOk, "", Progress::kReceived);
  client.core.OnStreamDown(0, client.sent[0].to);
  client.core.OnStreamUp(100, client.sent[0].to, &client.out);
  REQUIRE(client.out.frames.size() == 1);
  const RequestFrame& again = client.out.frames[0].frame;
  CHECK(again.entries[0].op == Op::kCommand);
  CHECK(again.entries[0].request == client.sent[0].frame.entries[0].request);
  CHECK(again.command->body == "grow");
}

}  // namespace
}  // namespace kvstore
