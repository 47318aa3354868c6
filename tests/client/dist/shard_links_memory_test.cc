// The links to the servers without memory: each allocation of each event on the session's loop
// fails in turn. The loop and the network are the test's own, so that one thread does everything.
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/dist/shard_links.h"
#include "tests/support/dialling.h"
#include "tests/support/failing_new.h"
#include "tests/support/manual_loop.h"

namespace kvstore {
namespace {

using testing::FailingNth;
using testing::ManualLoop;

constexpr ClusterId kCluster = 77;
constexpr WorkerRank kRank = 0;
constexpr Incarnation kIncarnation = 9;
constexpr KeyId kKeys = 3;

// In which step of the loop the allocations behind the first `spared` fail, `fails` of them.
struct Plan {
  int step = -1;
  int spared = 0;
  int fails = 0;
};

// What the server is told, and what it says: versions of parts.
class Server {
 public:
  ReplyFrame Answer(const RequestFrame& request) {
    ReplyFrame reply;
    reply.header = request.header;
    for (const RequestEntry& entry : request.entries) {
      ReplyEntry& answer = reply.entries.emplace_back(entry);
      answer.progress = Progress::kDone;
      Round& version = versions[entry.id()];
      const Op op = entry.op == Op::kProbe ? entry.probed_op : entry.op;
      if (op == Op::kPush) {
        CHECK(entry.round <= version + 1);  // none is left out
        if (entry.round <= version) continue;
        if (entry.op == Op::kProbe) {
          answer.progress = Progress::kUnknown;
        } else {
          version = entry.round;
        }
      }
      if (op == Op::kPull) answer.data = Payload::CopyOf(std::string(50, 'v'));
    }
    return reply;
  }

  std::map<PartId, Round> versions;
};

class World;

class Stream final : public testing::SilentStream {
 public:
  Stream(World* world, StreamEvents events) : world_(world), events_(std::move(events)) {}
  void Send(Payload message) override;
  void Close() override { *closed_ = true; }

 private:
  World* const world_;
  const StreamEvents events_;
  const std::shared_ptr<bool> closed_ = std::make_shared<bool>(false);
};

// A worker's links, and everything around them.
class World final : public testing::DialOnlyTransport {
 public:
  explicit World(const Plan& plan) : plan_(plan) {
    ClientCoreOptions options;
    options.redial_min_ms = 1;
    links = std::make_unique<ShardLinks>(this, &loop, options, [] {});
  }

  std::unique_ptr<MessageStream> Dial(EventLoop&, const std::string&, const std::string&,
                                      StreamEvents events) override {
    return std::make_unique<Stream>(this, std::move(events));
  }

  // One step of the loop.
  void Step(const std::function<void()>& step) {
    if (steps++ != plan_.step) return step();
    const FailingNth failing(plan_.spared, plan_.fails);
    step();
    failed = failing.failed() > 0;
  }
  void RunUntil(const std::function<bool()>& done) {
    for (int turn = 0; !done(); ++turn) {
      REQUIRE(turn < 1000);
      REQUIRE_FALSE(loop.idle());  // nobody else would bring the links on
      Step(loop.Next());
    }
  }

  ManualLoop loop;
  Server server;
  std::unique_ptr<ShardLinks> links;
  int steps = 0;
  bool failed = false;

 private:
  const Plan plan_;
};

// The message arrives, and its answer, each in a step of its own.
void Stream::Send(Payload message) {
  if (*closed_) return;
  world_->loop.Post([world = world_, closed = closed_, on_message = events_.on_message,
                     bytes = message.ToString()] {
    if (*closed) return;
    Payload answer;
    {
      // The server's memory is its own.
      const testing::SparedThread spared;
      const auto request = DecodeFrame<RequestFrame>(Payload::CopyOf(bytes));
      REQUIRE(request.ok());
      answer = Payload::CopyOf(EncodeFrame(world->server.Answer(*request)).ToString());
    }
    on_message(std::move(answer));
  });
}

class Sink final : public PartSink {
 public:
  PartAsks OnPart(Op op, size_t index, Completion completion) noexcept override {
    const testing::SparedThread spared;
    CHECK(outcomes.emplace(std::pair(op, index), completion.status).second);
    data += completion.data.ToString();
    return std::exchange(next, {});
  }
  uint64_t operation_id() const override { return 1; }

  std::map<std::pair<Op, size_t>, absl::Status> outcomes;
  std::string data;
  PartAsks next;
};

PartAsk AskOf(Op op, KeyId key, const std::shared_ptr<Sink>& sink, size_t index) {
  PartAsk ask;
  ask.request.op = op;
  ask.request.id = {key, 0};
  ask.sink = sink;
  ask.index = index;
  if (op == Op::kPush) ask.request.piece.data = Payload::CopyOf(std::string(100, 'p'));
  return ask;
}

RoutingPtr Routing() {
  RoutingTable table;
  table.epoch = 1;
  table.job = 1;
  table.servers = {{"h:1", 50, 2}};
  table.workers = {{kIncarnation, "b:2"}};
  table.SpreadSlots();
  return std::make_shared<const RoutingTable>(std::move(table));
}

struct Outcome {
  std::map<std::pair<Op, size_t>, absl::Status> outcomes;
  std::map<PartId, Round> versions;
  std::string data;
  int steps = 0;
  bool failed = false;
};

// Two rounds of pushes and pulls of some keys; one sink asks for more when the first is over.
Outcome Run(const Plan& plan) {
  World world(plan);
  const auto sink = std::make_shared<Sink>();
  const RoutingPtr routing = Routing();
  world.Step([&] { world.links->OnRouting(kCluster, kRank, kIncarnation, routing); });
  sink->next.push_back(AskOf(Op::kPush, 100, sink, 900));
  size_t asked = 1;
  const std::vector<uint64_t> operations = {1};
  for (int round = 0; round < 2; ++round) {
    for (const Op op : {Op::kPush, Op::kPull}) {
      PartAsks asks;
      for (KeyId key = 0; key < kKeys; ++key) asks.push_back(AskOf(op, key, sink, asked++));
      world.links->Add(std::move(asks));
    }
    world.links->Flush();
    // Somebody waits, and asks for what.
    world.Step([&] { world.links->Explain(operations, 1, [](const std::vector<WaitInfo>&) {}); });
    world.RunUntil([&] { return sink->outcomes.size() == asked; });
  }
  world.links->Add({AskOf(Op::kPull, 5, sink, asked++)});
  world.links->Flush();
  const absl::Status over = absl::AbortedError("the job is over, for everybody in it");
  world.Step([&] { world.links->EndJob(over); });
  world.RunUntil([&] { return sink->outcomes.size() == asked; });
  Outcome outcome{sink->outcomes, world.server.versions, sink->data, world.steps, world.failed};
  world.links->Stop();
  return outcome;
}

}  // namespace

TEST_CASE("links without memory ask again, and every request ends as it should",
          "[dist][links][memory]") {
  const int fails = GENERATE(1, 5);
  const Outcome undisturbed = Run({});
  int failures = 0;
  for (int step = 0; step < undisturbed.steps; ++step) {
    bool failed = true;
    for (int spared = 0; failed; ++spared) {
      CAPTURE(step, spared, fails);
      const Outcome outcome = Run({step, spared, fails});
      failed = outcome.failed;
      failures += failed ? 1 : 0;
      CHECK((outcome.outcomes == undisturbed.outcomes));
      CHECK((outcome.versions == undisturbed.versions));
      CHECK(outcome.data == undisturbed.data);
    }
  }
  CHECK(failures > 50);
}

}  // namespace kvstore
