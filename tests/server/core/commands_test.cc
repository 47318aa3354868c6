// Commands as a server's core sees them: handed out once, answered to whoever asks.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "server/core/command_log.h"
#include "server/core/server_core.h"
#include "tests/support/number_values.h"

namespace kvstore {
namespace {

constexpr ClusterId kCluster = 77;
constexpr Incarnation kServerIncarnation = 5;

RoutingPtr RoutingOf(JobId job) {
  RoutingTable table;
  table.store_type = "dist_sync";
  table.epoch = job;
  table.job = job;
  table.servers = {{"h:1", kServerIncarnation, 2}};
  table.slot_owner.assign(kSlotCount, ShardAddress{0, 0});
  for (uint32_t rank = 0; rank < 2; ++rank) table.workers.push_back({100 + rank, "w"});
  return std::make_shared<const RoutingTable>(std::move(table));
}

struct Reply {
  PeerId peer = 0;
  ReplyEntry entry;
};

class Server {
 public:
  explicit Server(ShardIndex shard = 0) : core({}, ShardAddress{0, shard}, &values) {
    core.OnRouting(kCluster, kServerIncarnation, RoutingOf(1));
  }

  std::vector<Reply> Send(WorkerRank rank, RequestId request, PeerId peer = 1,
                          const std::string& body = "body") {
    RequestFrame frame;
    frame.header.cluster = kCluster;
    frame.header.epoch = 1;
    frame.header.job = 1;
    frame.header.rank = rank;
    frame.header.incarnation = 100 + rank;
    frame.header.server_incarnation = kServerIncarnation;
    frame.command = Command{7, body};
    RequestEntry& entry = frame.entries.emplace_back();
    entry.op = Op::kCommand;
    entry.request = request;
    ServerOutbox out;
    core.OnFrame(0, peer, frame, &out);
    return RepliesOf(out);
  }
  std::vector<Reply> Finish(uint64_t ticket, const absl::Status& outcome) {
    ServerOutbox out;
    core.OnCommandDone(ticket, outcome, &out);
    return RepliesOf(out);
  }

  HashValues values;
  ServerCore core;

 private:
  static std::vector<Reply> RepliesOf(const ServerOutbox& out) {
    std::vector<Reply> replies;
    for (const ServerFrame& sent : out) {
      for (const ReplyEntry& entry : sent.frame.entries) {
        CHECK(entry.op == Op::kCommand);
        replies.push_back({sent.peer, entry});
      }
    }
    return replies;
  }
};

TEST_CASE("a command is handed out once, and every repeat gets the answer of that run",
          "[core][command]") {
  Server s;
  auto replies = s.Send(1, 3, 1, "grow");
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].entry.progress == Progress::kReceived);
  const auto runs = s.core.TakeCommands();
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].from == 1);
  CHECK(runs[0].command.id == 7);
  CHECK(runs[0].command.body == "grow");

  // While it runs, over another stream.
  replies = s.Send(1, 3, 2);
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].entry.progress == Progress::kReceived);
  CHECK(s.core.TakeCommands().empty());
  replies = s.Finish(runs[0].ticket, absl::UnknownError("it broke"));
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].peer == 2);
  CHECK(replies[0].entry.request == 3);
  CHECK(replies[0].entry.code == absl::StatusCode::kUnknown);
  CHECK(replies[0].entry.message == "it broke");
  CHECK(replies[0].entry.progress == Progress::kDone);

  // When it is over.
  replies = s.Send(1, 3, 4);
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].peer == 4);
  CHECK(replies[0].entry.message == "it broke");
  CHECK(s.core.TakeCommands().empty());

  // The same number of another worker is another command.
  CHECK(s.Send(0, 3)[0].entry.progress == Progress::kReceived);
  CHECK(s.core.TakeCommands().size() == 1);
}

TEST_CASE("commands are for shard 0", "[core][command]") {
  Server s(1);
  const auto replies = s.Send(0, 1);
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].entry.code == absl::StatusCode::kInvalidArgument);
  CHECK(replies[0].entry.message == "COMMAND: shard 0 of the server expected, got shard 1");
  CHECK(s.core.TakeCommands().empty());
}

TEST_CASE("what is older than the commands that are kept is never run", "[core][command]") {
  Server s;
  const RequestId kept = CommandLog::kKeptMax;
  for (RequestId request = 2; request < 2 + kept; ++request) s.Send(0, request);
  const auto runs = s.core.TakeCommands();
  REQUIRE(runs.size() == kept);

  // All of them run: no room.
  auto replies = s.Send(0, 100);
  CHECK(replies[0].entry.code == absl::StatusCode::kResourceExhausted);
  CHECK(replies[0].entry.retry_after_ms == 0);
  CHECK(s.Send(1, 100)[0].entry.code == absl::StatusCode::kOk);  // another worker has its own
  CHECK(s.core.TakeCommands().size() == 1);

  s.Finish(runs[0].ticket, absl::OkStatus());
  CHECK(s.Send(0, 2)[0].entry.progress == Progress::kDone);
  CHECK(s.Send(0, 100)[0].entry.progress == Progress::kReceived);  // request 2 makes room
  CHECK(s.core.TakeCommands().size() == 1);
  for (const RequestId old : {RequestId{1}, RequestId{2}}) {
    replies = s.Send(0, old);
    CHECK(replies[0].entry.code == absl::StatusCode::kAborted);
    CHECK_THAT(replies[0].entry.message, Catch::Contains("not run"));
  }
  CHECK(s.Send(0, 3)[0].entry.progress == Progress::kReceived);  // still runs
  CHECK(s.core.TakeCommands().empty());
}

TEST_CASE("a command that is done when its job is over is nobody's", "[core][command]") {
  Server s;
  s.Send(0, 1);
  s.Send(0, 2);
  const auto runs = s.core.TakeCommands();
  s.core.OnRouting(kCluster, kServerIncarnation, RoutingOf(2));
  CHECK(s.Finish(runs[0].ticket, absl::OkStatus()).empty());
  CHECK(s.Finish(12345, absl::OkStatus()).empty());
  CHECK(s.Send(0, 1)[0].entry.code == absl::StatusCode::kAborted);  // of the job before
  CHECK(s.core.TakeCommands().empty());
}

}  // namespace
}  // namespace kvstore
