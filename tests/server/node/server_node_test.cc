// A scheduler and servers on the in-process transport: registration, routing, a push and a pull by
// hand, status, refusals.
#include "server/node/server_node.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <map>

#include "common/base/mutex.h"
#include "common/transport/inproc/inproc_transport.h"
#include "common/transport/methods.h"
#include "server/scheduler/scheduler_service.h"

namespace kvstore {
namespace {

constexpr int64_t kDeadlineMs = 20000;
constexpr char kScheduler[] = "127.0.0.1:7070";

// What threads of the nodes told, waited for with a deadline.
template <typename T>
class Told {
 public:
  void Put(T value) {
    const MutexLock lock(mutex_);
    values_.push_back(std::move(value));
    changed_.NotifyAll();
  }
  T Await(size_t index = 0) {
    const MutexLock lock(mutex_);
    while (values_.size() <= index) REQUIRE(changed_.WaitUntil(mutex_, deadline_));
    return values_[index];
  }

 private:
  const std::chrono::steady_clock::time_point deadline_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kDeadlineMs);
  Mutex mutex_;
  CondVar changed_;
  std::vector<T> values_;
};

struct Server {
  Server(std::shared_ptr<InprocNetwork> network, uint32_t shards, const std::string& scheduler,
         const std::string& listen = "127.0.0.1:0", int64_t connect_timeout_ms = kDeadlineMs)
      : transport(std::move(network)) {
    ServerNodeOptions options;
    options.scheduler = scheduler;
    options.listen = listen;
    if (listen.rfind("0.0.0.0:", 0) != 0) options.advertise = listen;
    options.shards = shards;
    options.connect_timeout_ms = connect_timeout_ms;
    ServerNodeEvents events;
    events.on_listening = [this](const std::string& on, const std::string& advertise) {
      listening.Put({on, advertise});
    };
    events.on_stop = [this](const absl::Status& status) { stop.Put(status); };
    events.on_job_ended = [this](const v1::JobEnded& job) { ended.Put(job); };
    auto started = ServerNode::Start(options, &transport, events);
    REQUIRE(started.ok());
    node = *std::move(started);
  }
  v1::ServerStatus Status() {
    const auto reply = transport.CallUnary(node->address(), kServerStatusMethod, "", kDeadlineMs);
    REQUIRE(reply.ok());
    v1::ServerStatus status;
    REQUIRE(status.ParseFromString(*reply));
    return status;
  }

  // Until its shards have a routing table, a server puts every request off (workers ask again; the
  // worker of this test does not).
  void AwaitRouted() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kDeadlineMs);
    while (Status().epoch() == 0) REQUIRE(std::chrono::steady_clock::now() < deadline);
  }

  InprocTransport transport;
  Told<std::pair<std::string, std::string>> listening;  // on, advertised
  Told<absl::Status> stop;
  Told<v1::JobEnded> ended;
  std::unique_ptr<ServerNode> node;
};

// A worker's session and its streams to shards, by hand.
class Worker {
 public:
  Worker(std::shared_ptr<InprocNetwork> network, uint64_t nonce)
      : transport_(std::move(network)), loop_(transport_.MakeLoop("worker")) {
    MembershipOptions options;
    options.registration.set_role(v1::ROLE_WORKER);
    options.registration.set_address("host:" + std::to_string(nonce));
    options.registration.set_nonce(nonce);
    options.registration.set_store_type("dist_sync");
    options.registration.set_protocol(kProtocolVersion);
    loop_->Post([this, options] {
      session_ = std::make_unique<SchedulerSession>(&transport_, loop_.get(), kScheduler, options,
                                                    [this](const MembershipOutbox& news) {
                                                      if (news.proposal)
                                                        session_->Confirm(news.proposal->attempt());
                                                      if (news.registered)
                                                        registered.Put(*news.registered);
                                                      if (news.routing != nullptr)
                                                        routing.Put(news.routing);
                                                      if (news.job_ended)
                                                        ended.Put(*news.job_ended);
                                                      if (news.left) left.Put(true);
                                                    });
      session_->Start();
    });
  }
  ~Worker() { loop_.reset(); }

  void Begin() {
    loop_->Post([this] { session_->Begin(); });
  }
  void Leave() {
    loop_->Post([this] { session_->Leave(); });
  }
  // Sends `bytes` to a shard on a stream of its own; replies and its end are told.
  void Send(const std::string& address, ShardIndex shard, Payload bytes) {
    loop_->Post([this, address, shard, bytes] {
      auto& stream = streams_[{address, shard}];
      if (stream == nullptr) {
        StreamEvents events;
        events.on_message = [this](const Payload& reply) {
          replies.Put(*DecodeFrame<ReplyFrame>(Payload::CopyOf(reply.ToString())));
        };
        events.on_closed = [this](const absl::Status& status) { closed.Put(status); };
        stream = transport_.Dial(*loop_, address, ShardMethod(static_cast<uint32_t>(shard)),
                                 std::move(events));
      }
      stream->Send(bytes);
    });
  }
  // Of the part's owner.
  void Ask(RequestEntry entry, const std::optional<KeySpec>& key = std::nullopt) {
    const RoutingPtr table = routing.Await();
    const v1::Registered self = registered.Await();
    const ShardAddress owner = table->OwnerOf({entry.key, entry.part});
    RequestFrame frame;
    frame.header.cluster = self.cluster();
    frame.header.epoch = table->epoch;
    frame.header.job = table->job;
    frame.header.rank = self.rank();
    frame.header.incarnation = self.incarnation();
    frame.header.server_incarnation = table->servers[owner.server].incarnation;
    entry.request = ++last_request_;
    frame.entries.push_back(std::move(entry));
    if (key) frame.keys.push_back(*key);
    Send(table->servers[owner.server].address, owner.shard, EncodeFrame(frame));
  }

  Told<v1::Registered> registered;
  Told<RoutingPtr> routing;
  Told<v1::JobEnded> ended;
  Told<bool> left;
  Told<ReplyFrame> replies;
  Told<absl::Status> closed;

 private:
  InprocTransport transport_;
  std::map<std::pair<std::string, ShardIndex>, std::unique_ptr<MessageStream>> streams_;
  std::unique_ptr<SchedulerSession> session_;
  RequestId last_request_ = 0;
  std::unique_ptr<EventLoop> loop_;
};

struct Cluster {
  Cluster(uint32_t workers, uint32_t servers) {
    SchedulerServiceOptions options;
    options.core.workers = workers;
    options.core.servers = servers;
    options.listen = kScheduler;
    auto started = SchedulerService::Start(options, nullptr, &transport,
                                           {[](absl::Status) {}, [](v1::JobEnded) {}});
    REQUIRE(started.ok());
    scheduler = *std::move(started);
  }

  std::shared_ptr<InprocNetwork> network = std::make_shared<InprocNetwork>();
  InprocTransport transport{network};
  std::unique_ptr<SchedulerService> scheduler;
};

RequestEntry Entry(Op op, KeyId key, Round round, const std::vector<float>& values = {}) {
  RequestEntry entry;
  entry.op = op;
  entry.key = key;
  entry.round = round;
  if (!values.empty()) {
    entry.piece.data = Payload::CopyOf(
        {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  return entry;
}

TEST_CASE("servers register, take their slots, serve a key, and hear of the end",
          "[daemon][server_node]") {
  Cluster cluster(1, 2);
  Server first(cluster.network, 2, kScheduler), second(cluster.network, 3, kScheduler);
  Worker worker(cluster.network, 5);
  const RoutingPtr table = worker.routing.Await();
  REQUIRE(table->servers.size() == 2);
  first.AwaitRouted();
  second.AwaitRouted();

  for (KeyId key = 0; key < 20; ++key) {
    KeySpec spec;
    spec.key = key;
    spec.dtype = DType::kFloat32;
    spec.shape = {2};
    worker.Ask(Entry(Op::kInit, key, 0, {1, 2}), spec);
  }
  for (size_t i = 0; i < 20; ++i) {
    const ReplyFrame reply = worker.replies.Await(i);
    REQUIRE(reply.entries.size() == 1);
    CHECK(reply.entries[0].code == absl::StatusCode::kOk);
    CHECK(reply.entries[0].progress == Progress::kDone);
  }
  worker.Ask(Entry(Op::kPush, 3, 1, {10, 20}));
  size_t at = 20;
  while (worker.replies.Await(at).entries.at(0).progress != Progress::kDone) ++at;
  worker.Ask(Entry(Op::kPull, 3, 1));
  const ReplyFrame pulled = worker.replies.Await(at + 1);
  REQUIRE(pulled.entries.at(0).data.size() == 8);
  std::vector<float> values(2);
  pulled.entries[0].data.CopyTo(values.data());
  CHECK(values == std::vector<float>{10, 20});  // assign

  uint64_t keys = 0, rounds = 0;
  for (Server* server : {&first, &second}) {
    const v1::ServerStatus status = server->Status();
    CHECK(status.epoch() == 1);
    CHECK(status.incarnation() != 0);
    CHECK(table->servers.at(status.rank()).address == server->node->address());
    keys += status.keys();
    rounds += status.committed_rounds();
  }
  CHECK(keys == 20);
  CHECK(rounds == 1);

  worker.Leave();
  worker.left.Await();
  CHECK(first.ended.Await().code() == 0);
  CHECK(second.ended.Await().code() == 0);
}

TEST_CASE("bytes that are no frame are answered, their stream is closed, the server lives",
          "[daemon][server_node]") {
  Cluster cluster(1, 1);
  Server server(cluster.network, 1, kScheduler);
  Worker worker(cluster.network, 5);
  const RoutingPtr table = worker.routing.Await();
  server.AwaitRouted();
  worker.Send(table->servers[0].address, 0, Payload::CopyOf("\xff\xff garbage"));
  const ReplyFrame reply = worker.replies.Await();
  REQUIRE(reply.entries.size() == 1);
  CHECK(reply.entries[0].code == absl::StatusCode::kInvalidArgument);
  (void)worker.closed.Await();  // OK or not, it ends
  CHECK(server.Status().epoch() == 1);
}

TEST_CASE("a request that comes before the server has a routing table is put off",
          "[daemon][server_node]") {
  Cluster cluster(1, 2);  // one server is missing: nobody is routed
  Server server(cluster.network, 1, kScheduler);
  Worker worker(cluster.network, 5);
  RequestFrame frame;
  frame.header.cluster = 77;
  frame.entries.push_back(Entry(Op::kPull, 7, 0));
  frame.entries[0].request = 3;
  worker.Send(server.node->address(), 0, EncodeFrame(frame));
  const ReplyFrame reply = worker.replies.Await();
  CHECK(reply.header.cluster == 77);
  REQUIRE(reply.entries.size() == 1);
  CHECK(reply.entries[0].request == 3);
  CHECK(reply.entries[0].code == absl::StatusCode::kUnavailable);
  CHECK(reply.entries[0].retry_after_ms > 0);
}

TEST_CASE("a server that finds no scheduler says so in time", "[daemon][server_node]") {
  const auto network = std::make_shared<InprocNetwork>();
  Server server(network, 1, "127.0.0.1:7071", "127.0.0.1:0", 30);
  const absl::Status status = server.stop.Await();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("scheduler 127.0.0.1:7071: not registered within 0.03 s"));
}

TEST_CASE("a server that was told no address listens where its host is on the way to the scheduler",
          "[daemon][server_node]") {
  Cluster cluster(1, 1);
  Server server(cluster.network, 1, kScheduler, "");
  const auto [on, advertised] = server.listening.Await();
  CHECK(on == "127.0.0.1:10000");
  CHECK(advertised == on);
  Worker worker(cluster.network, 5);
  CHECK(worker.routing.Await()->servers.at(0).address == advertised);
}

TEST_CASE("a server without a way to its scheduler goes on looking, and says why in time",
          "[daemon][server_node]") {
  const std::string nowhere(70, 'x');  // no name of DNS is so long: nobody is asked
  Server server(std::make_shared<InprocNetwork>(), 1, nowhere + ":7071", "", 30);
  const absl::Status status = server.stop.Await();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("not registered within 0.03 s: cannot resolve the host " + nowhere));
}

TEST_CASE("on all addresses a server advertises that of its way to the scheduler, if it can listen",
          "[daemon][server_node]") {
  const auto network = std::make_shared<InprocNetwork>();
  Server first(network, 1, "127.0.0.1:7071", "0.0.0.0:5000");
  CHECK(first.listening.Await() ==
        std::pair<std::string, std::string>("0.0.0.0:5000", "127.0.0.1:5000"));
  Server second(network, 1, "127.0.0.1:7071", "0.0.0.0:5000");
  const absl::Status status = second.stop.Await();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(status.message()), Catch::Contains("0.0.0.0:5000: already in use"));
}

TEST_CASE("a server that is refused is told to stop with the reason", "[daemon][server_node]") {
  Cluster cluster(1, 1);
  Server server(cluster.network, 1, kScheduler);
  Worker worker(cluster.network, 5);
  worker.routing.Await();
  worker.Begin();  // before that it is put off
  Server second(cluster.network, 1, kScheduler);
  const absl::Status status = second.stop.Await();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK_THAT(std::string(status.message()), Catch::Contains("job 1 has its 1 servers"));
}

TEST_CASE("a session that breaks is resumed and the server goes on", "[daemon][server_node]") {
  Cluster cluster(1, 1);
  Server server(cluster.network, 1, kScheduler);
  Worker worker(cluster.network, 5);
  worker.routing.Await();
  const v1::Registered before = worker.registered.Await();
  cluster.network->BreakStreams(kScheduler);
  const v1::Registered after = worker.registered.Await(1);
  CHECK(after.incarnation() == before.incarnation());
  worker.Leave();
  worker.left.Await();
  CHECK(server.ended.Await().code() == 0);
}

}  // namespace
}  // namespace kvstore
