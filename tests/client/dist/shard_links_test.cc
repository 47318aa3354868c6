// The links to the servers, over the in-process network; the server is a script of the test.
#include "client/dist/shard_links.h"

#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "client/dist/answer.h"
#include "common/transport/inproc/inproc_transport.h"

namespace kvstore {
namespace {

constexpr ClusterId kCluster = 77;
constexpr WorkerRank kRank = 0;
constexpr Incarnation kIncarnation = 9;

// A server of one shard, which does with every frame what the test says.
class ScriptedServer {
 public:
  using Script = std::function<void(MessageStream& stream, const RequestFrame& request)>;

  ScriptedServer(const std::shared_ptr<InprocNetwork>& network, Script script)
      : transport_(network),
        script_(std::move(script)),
        loop_(transport_.MakeServerLoop("server")) {
    ListenOptions options;
    options.methods = {
        {"/kvstore.v1.Data/Shard0", loop_.get(),
         [this](std::unique_ptr<MessageStream> stream) { Accept(std::move(stream)); }}};
    auto listener = transport_.Listen("127.0.0.1:0", std::move(options));
    REQUIRE(listener.ok());
    listener_ = *std::move(listener);
  }
  ~ScriptedServer() { listener_->Shutdown(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(listener_->port()); }

 private:
  void Accept(std::unique_ptr<MessageStream> stream) {
    MessageStream* const raw = stream.get();
    streams_.push_back(std::move(stream));
    StreamEvents events;
    events.on_message = [this, raw](const Payload& message) {
      const absl::StatusOr<RequestFrame> frame = DecodeFrame<RequestFrame>(message);
      if (frame.ok()) script_(*raw, *frame);
    };
    events.on_closed = [](const absl::Status&) {};
    raw->SetEvents(std::move(events));
  }

  InprocTransport transport_;
  const Script script_;
  std::deque<std::unique_ptr<MessageStream>> streams_;  // the loop's
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Listener> listener_;
};

// The answer "done" to every entry of a frame.
ReplyFrame DoneTo(const RequestFrame& request) {
  ReplyFrame reply;
  reply.header = request.header;
  for (const RequestEntry& entry : request.entries) {
    reply.entries.emplace_back(entry).progress = Progress::kDone;
  }
  return reply;
}

// Hears of everything, asks what it is told to, and says when all of it is over.
class ListeningSink final : public PartSink {
 public:
  explicit ListeningSink(size_t expected, uint64_t operation = 1)
      : expected_(expected), operation_(operation) {}

  PartAsks OnPart(Op op, size_t index, Completion completion) noexcept override {
    ops.push_back(op);
    indices.push_back(index);
    statuses.push_back(completion.status);
    if (ops.size() == expected_) over.Give(true);
    return std::exchange(next, {});
  }
  uint64_t operation_id() const override { return operation_; }

  // The loop's; the test's when all is over.
  std::vector<Op> ops;
  std::vector<size_t> indices;
  std::vector<absl::Status> statuses;
  PartAsks next;
  Answer<bool> over;

 private:
  const size_t expected_;
  const uint64_t operation_;
};

PartRequest PushOf(KeyId key, const std::string& bytes) {
  PartRequest request;
  request.op = Op::kPush;
  request.id = {key, 0};
  request.piece.data = Payload::CopyOf(bytes);
  return request;
}

// A worker's links to the server at `address`. ClientCoreOptions are such that only the test's
// faults make it dial or try again.
class Worker {
 public:
  Worker(const std::shared_ptr<InprocNetwork>& network, const std::string& address,
         bool routed = true)
      : transport_(network), loop_(transport_.MakeLoop("worker")) {
    ClientCoreOptions options;
    options.redial_min_ms = 1;
    links_ = std::make_unique<ShardLinks>(&transport_, loop_.get(), options, [this] { ++wanted_; });
    if (routed) Route(address);
  }
  void Route(const std::string& address) {
    RoutingTable table;
    table.epoch = 1;
    table.job = 1;
    table.servers = {{address, 50, 1}};
    table.workers = {{kIncarnation, "b:2"}};
    table.SpreadSlots();
    InLoop([&] {
      links_->OnRouting(kCluster, kRank, kIncarnation,
                        std::make_shared<const RoutingTable>(std::move(table)));
    });
  }
  ~Worker() {
    InLoop([&] {
      links_->EndJob(absl::CancelledError("the test is over"));
      links_->Stop();
    });
    loop_.reset();
  }

  ShardLinks& links() { return *links_; }
  // How often a routing table was wanted.
  int wanted() {
    int wanted = 0;
    InLoop([&] { wanted = wanted_; });
    return wanted;
  }
  void InLoop(const std::function<void()>& task) {
    const auto done = std::make_shared<Answer<bool>>();
    loop_->Post([&] {
      task();
      done->Give(true);
    });
    done->Wait();
  }

 private:
  InprocTransport transport_;
  int wanted_ = 0;  // the loop's
  std::unique_ptr<ShardLinks> links_;
  std::unique_ptr<EventLoop> loop_;
};

}  // namespace

TEST_CASE("what was added before a flush goes out in one frame, and each sink hears its own",
          "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  std::vector<size_t> frames;  // the server's loop's, the test's when all is over
  ScriptedServer server(network, [&](MessageStream& stream, const RequestFrame& request) {
    frames.push_back(request.entries.size());
    stream.Send(EncodeFrame(DoneTo(request)));
  });
  Worker worker(network, server.address());
  const auto first = std::make_shared<ListeningSink>(2);
  const auto second = std::make_shared<ListeningSink>(1);
  worker.links().Add({{PushOf(1, "a"), first, 5}, {PushOf(2, "b"), second, 6}});
  worker.links().Add({{PushOf(3, "c"), first, 7}});
  worker.links().Flush();
  first->over.Wait();
  second->over.Wait();
  CHECK(first->indices == std::vector<size_t>{5, 7});
  CHECK(second->indices == std::vector<size_t>{6});
  CHECK(frames == std::vector<size_t>{3});
}

TEST_CASE("what is added for good keeps its place in the order", "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  std::map<Round, std::string> pushed;  // the server's loop's, the test's when all is over
  ScriptedServer server(network, [&](MessageStream& stream, const RequestFrame& request) {
    for (const RequestEntry& entry : request.entries) {
      pushed[entry.round] = entry.piece.data.ToString();
    }
    stream.Send(EncodeFrame(DoneTo(request)));
  });
  Worker worker(network, server.address());
  const auto sink = std::make_shared<ListeningSink>(4);
  worker.InLoop([&] {  // so that nothing is submitted in between
    worker.links().Add({{PushOf(1, "a"), sink, 0}});
    worker.links().AddForGood({{PushOf(1, "b"), sink, 1}});  // flushes by itself
    worker.links().Add({{PushOf(1, "c"), sink, 2}});
    worker.links().AddForGood({{PushOf(1, "d"), sink, 3}});
  });
  sink->over.Wait();
  CHECK(pushed == std::map<Round, std::string>{{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}});
}

TEST_CASE("what a sink asks next goes out, too", "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  ScriptedServer server(network, [](MessageStream& stream, const RequestFrame& request) {
    stream.Send(EncodeFrame(DoneTo(request)));
  });
  Worker worker(network, server.address());
  const auto sink = std::make_shared<ListeningSink>(3);
  sink->next.push_back({PushOf(2, "b"), sink, 0});
  sink->next.push_back({PushOf(3, "c"), sink, 1});
  worker.links().Add({{PushOf(1, "a"), sink, 8}});
  worker.links().Flush();
  sink->over.Wait();
  CHECK(sink->indices == std::vector<size_t>{8, 0, 1});
}

TEST_CASE("a stream that breaks is dialled again and its requests are asked after",
          "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  std::vector<Op> got;
  std::string address;
  ScriptedServer server(network, [&](MessageStream& stream, const RequestFrame& request) {
    got.push_back(request.entries[0].op);
    if (got.size() == 1) return network->BreakStreams(address);
    ReplyFrame reply = DoneTo(request);
    // The first push went down with the stream, as far as this server knows.
    if (request.entries[0].op == Op::kProbe) reply.entries[0].progress = Progress::kUnknown;
    stream.Send(EncodeFrame(reply));
  });
  address = server.address();
  Worker worker(network, address);
  const auto sink = std::make_shared<ListeningSink>(1);
  worker.links().Add({{PushOf(1, "a"), sink, 0}});
  worker.links().Flush();
  sink->over.Wait();
  CHECK(sink->statuses[0].ok());
  CHECK((got == std::vector<Op>{Op::kPush, Op::kProbe, Op::kPush}));
}

TEST_CASE("bytes that are no frame end the stream, not the request", "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  int frames = 0;
  ScriptedServer server(network, [&](MessageStream& stream, const RequestFrame& request) {
    stream.Send(++frames == 1 ? Payload::CopyOf("\xff\xff") : EncodeFrame(DoneTo(request)));
  });
  Worker worker(network, server.address());
  const auto sink = std::make_shared<ListeningSink>(1);
  worker.links().Add({{PushOf(1, "a"), sink, 0}});
  worker.links().Flush();
  sink->over.Wait();
  CHECK(sink->statuses[0].ok());
  CHECK(frames == 2);
}

TEST_CASE("the job's end fails what is open, and what is queued and was not flushed",
          "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  const auto arrived = std::make_shared<Answer<bool>>();
  ScriptedServer server(network, [&](MessageStream&, const RequestFrame&) { arrived->Give(true); });
  const auto open = std::make_shared<ListeningSink>(1);
  const auto queued = std::make_shared<ListeningSink>(1);
  {
    Worker worker(network, server.address());
    worker.links().Add({{PushOf(1, "a"), open, 0}});
    worker.links().Flush();
    arrived->Wait();
    worker.InLoop([&] { worker.links().EndJob(absl::AbortedError("over")); });
    worker.links().Add({{PushOf(2, "b"), queued, 0}});
  }
  CHECK(open->statuses == std::vector<absl::Status>{absl::AbortedError("over")});
  REQUIRE(queued->statuses.size() == 1);
  CHECK(!queued->statuses[0].ok());
}

TEST_CASE("what is asked before there is a routing table waits for it", "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  ScriptedServer server(network, [](MessageStream& stream, const RequestFrame& request) {
    stream.Send(EncodeFrame(DoneTo(request)));
  });
  const auto part = std::make_shared<ListeningSink>(1);
  const auto whole = std::make_shared<ListeningSink>(1);
  Worker worker(network, server.address(), /*routed=*/false);
  CHECK(worker.wanted() == 0);
  worker.links().Add({{PushOf(1, "a"), part, 0}});
  worker.links().Flush();
  worker.InLoop([&] {
    ShardRequest request;
    request.op = Op::kLeave;
    worker.links().AskShards(request, whole);
  });
  CHECK(worker.wanted() == 1);
  SECTION("and goes out when it comes") {
    worker.Route(server.address());
    part->over.Wait();
    whole->over.Wait();
    CHECK(part->statuses == std::vector<absl::Status>{absl::OkStatus()});
    CHECK(whole->statuses == std::vector<absl::Status>{absl::OkStatus()});
  }
  SECTION("and fails when the job ends without one") {
    worker.InLoop([&] { worker.links().EndJob(absl::AbortedError("over")); });
    CHECK(part->statuses == std::vector<absl::Status>{absl::AbortedError("over")});
    CHECK(whole->statuses == std::vector<absl::Status>{absl::AbortedError("over")});
  }
}

TEST_CASE("whom an operation waits for is asked of the servers", "[dist][links]") {
  const auto network = std::make_shared<InprocNetwork>();
  const auto arrived = std::make_shared<Answer<bool>>();
  const bool answers = GENERATE(true, false);
  CAPTURE(answers);
  const auto probed = std::make_shared<Answer<std::vector<KeyId>>>();
  ScriptedServer server(network, [&](MessageStream& stream, const RequestFrame& request) {
    if (request.entries[0].op != Op::kProbe) {
      arrived->Give(true);
      return;
    }
    std::vector<KeyId> keys;
    for (const RequestEntry& entry : request.entries) keys.push_back(entry.key);
    probed->Give(std::move(keys));
    if (!answers) return;
    ReplyFrame reply = DoneTo(request);
    reply.entries[0].progress = Progress::kReceived;
    reply.entries[0].missing_ranks = {4};
    stream.Send(EncodeFrame(reply));
  });
  Worker worker(network, server.address());
  const auto sink = std::make_shared<ListeningSink>(1, 100);
  const auto other = std::make_shared<ListeningSink>(1, 200);
  worker.links().Add({{PushOf(1, "a"), sink, 0}, {PushOf(2, "b"), other, 0}});
  worker.links().Flush();
  arrived->Wait();
  const auto told = std::make_shared<Answer<std::vector<WaitInfo>>>();
  worker.InLoop([&] {
    worker.links().Explain({100}, answers ? 60000 : 1,
                           [told](std::vector<WaitInfo> infos) { told->Give(std::move(infos)); });
  });
  const std::vector<WaitInfo> infos = told->Wait();
  CHECK(probed->Wait() == std::vector<KeyId>{1});  // the other operation is not asked after
  REQUIRE(infos.size() == 1);
  CHECK(infos[0].id.key == 1);
  CHECK(infos[0].answered == answers);
  CHECK(infos[0].missing == (answers ? std::vector<WorkerRank>{4} : std::vector<WorkerRank>{}));
}

}  // namespace kvstore
