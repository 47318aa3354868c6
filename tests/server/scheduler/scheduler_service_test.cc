// The scheduler's shell over the in-process transport: what goes to disk before what goes out, and
// sessions that say nothing or nonsense.
#include "server/scheduler/scheduler_service.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "common/base/mutex.h"
#include "common/membership/scheduler_session.h"
#include "common/transport/inproc/inproc_transport.h"
#include "common/transport/methods.h"
#include "tests/server/scheduler/core/scheduler_fixture.h"

namespace kvstore {
namespace {

constexpr int64_t kDeadlineMs = 20000;

// A node by hand: a stream to the scheduler, and what came on it.
class HandNode {
 public:
  HandNode(std::shared_ptr<InprocNetwork> network, const std::string& address)
      : transport_(std::move(network)), loop_(transport_.MakeLoop("node")) {
    loop_->Post([this, address] {
      StreamEvents events;
      events.on_message = [this](const Payload& bytes) {
        const MutexLock lock(mutex_);
        messages_.emplace_back();
        parsed_ = messages_.back().ParseFromString(bytes.ToString()) && parsed_;
        if (messages_.back().has_proposal()) {
          v1::NodeMessage confirm;
          confirm.mutable_confirm()->set_attempt(messages_.back().proposal().attempt());
          stream_->Send(Payload::CopyOf(confirm.SerializeAsString()));
        }
        changed_.NotifyAll();
      };
      events.on_closed = [this](const absl::Status&) {
        const MutexLock lock(mutex_);
        closed_ = true;
        changed_.NotifyAll();
      };
      stream_ = transport_.Dial(*loop_, address, kSchedulerSessionMethod, std::move(events));
    });
  }
  ~HandNode() { loop_.reset(); }

  void Send(std::string bytes) {
    loop_->Post([this, bytes = std::move(bytes)] { stream_->Send(Payload::CopyOf(bytes)); });
  }
  void Register(const v1::Register& request) {
    v1::NodeMessage message;
    *message.mutable_register_() = request;
    Send(message.SerializeAsString());
  }
  void Leave() {
    v1::NodeMessage message;
    message.mutable_leave();
    Send(message.SerializeAsString());
  }
  // The first message of the kind; fails at the deadline.
  v1::SchedulerMessage Await(v1::SchedulerMessage::KindCase kind) {
    const MutexLock lock(mutex_);
    while (true) {
      for (const v1::SchedulerMessage& message : messages_) {
        if (message.kind_case() == kind) return message;
      }
      REQUIRE(changed_.WaitUntil(mutex_, deadline_));
    }
  }
  void AwaitClosed() {
    const MutexLock lock(mutex_);
    while (!closed_) REQUIRE(changed_.WaitUntil(mutex_, deadline_));
    CHECK(parsed_);
  }
  size_t messages() {
    const MutexLock lock(mutex_);
    return messages_.size();
  }
  bool closed() {
    const MutexLock lock(mutex_);
    return closed_;
  }

 private:
  const std::chrono::steady_clock::time_point deadline_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kDeadlineMs);
  InprocTransport transport_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<v1::SchedulerMessage> messages_;
  bool parsed_ = true;
  bool closed_ = false;
  std::unique_ptr<MessageStream> stream_;
  std::unique_ptr<EventLoop> loop_;
};

class ServiceFixture {
 public:
  ServiceFixture() {
    std::string name = (std::filesystem::temp_directory_path() / "kvs_service_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory = name;
    options.core.workers = 1;
    options.core.servers = 1;
    options.listen = "127.0.0.1:7070";
  }
  ~ServiceFixture() {
    service.reset();
    std::filesystem::remove_all(directory);
  }

  absl::Status Start() {
    auto file = StateFile::Open(directory);
    if (!file.ok()) return file.status();
    SchedulerServiceEvents events;
    events.on_broken = [this](const absl::Status& status) {
      const MutexLock lock(mutex);
      broken = status;
      changed.NotifyAll();
    };
    events.on_job_over = [this](const v1::JobEnded& ended) {
      const MutexLock lock(mutex);
      job_over = ended;
      changed.NotifyAll();
    };
    transport = std::make_unique<InprocTransport>(network);
    auto started = SchedulerService::Start(options, *std::move(file), transport.get(), events);
    if (!started.ok()) return started.status();
    service = *std::move(started);
    return absl::OkStatus();
  }
  v1::ClusterStatus Status() {
    InprocTransport asking(network);
    const auto reply = asking.CallUnary(options.listen, kSchedulerStatusMethod, "", kDeadlineMs);
    REQUIRE(reply.ok());
    v1::ClusterStatus status;
    REQUIRE(status.ParseFromString(*reply));
    return status;
  }

  std::filesystem::path directory;
  SchedulerServiceOptions options;
  std::shared_ptr<InprocNetwork> network = std::make_shared<InprocNetwork>();
  std::unique_ptr<InprocTransport> transport;
  std::unique_ptr<SchedulerService> service;
  Mutex mutex;
  CondVar changed;
  std::optional<absl::Status> broken;
  std::optional<v1::JobEnded> job_over;
};

TEST_CASE("a job from registration to its end, over streams", "[scheduler][service]") {
  ServiceFixture f;
  REQUIRE(f.Start().ok());
  HandNode server(f.network, f.options.listen);
  HandNode worker(f.network, f.options.listen);
  server.Register(ServerRegister(201, 9000));
  worker.Register(WorkerRegister(101));
  CHECK(worker.Await(v1::SchedulerMessage::kRouting).routing().epoch() == 1);
  server.Await(v1::SchedulerMessage::kRouting);
  const v1::ClusterStatus status = f.Status();
  CHECK(status.state() == "running");
  CHECK(status.nodes_size() == 2);
  worker.Leave();
  worker.Await(v1::SchedulerMessage::kLeave);
  CHECK(server.Await(v1::SchedulerMessage::kJobEnded).job_ended().code() == 0);
  const MutexLock lock(f.mutex);
  while (!f.job_over) {
    REQUIRE(
        f.changed.WaitUntil(f.mutex, std::chrono::steady_clock::now() + std::chrono::seconds(20)));
  }
  CHECK(f.job_over->job() == 1);
}

TEST_CASE("a scheduler that restarts on its directory knows its nodes", "[scheduler][service]") {
  ServiceFixture f;
  REQUIRE(f.Start().ok());
  {
    HandNode worker(f.network, f.options.listen);
    worker.Register(WorkerRegister(101));
    CHECK(worker.Await(v1::SchedulerMessage::kRegistered).registered().term() == 1);
  }
  const ClusterId cluster = f.Status().cluster();
  f.service.reset();
  REQUIRE(f.Start().ok());
  HandNode worker(f.network, f.options.listen);
  v1::Register request = WorkerRegister(101);
  request.set_incarnation(1);
  worker.Register(request);
  const v1::Registered registered = worker.Await(v1::SchedulerMessage::kRegistered).registered();
  CHECK(registered.term() == 2);
  CHECK(registered.incarnation() == 1);
  CHECK(registered.cluster() == cluster);
}

TEST_CASE("a scheduler that cannot persist tells nobody anything", "[scheduler][service]") {
  ServiceFixture f;
  REQUIRE(f.Start().ok());
  // The next state goes to a device that is always full.
  if (!std::filesystem::exists("/dev/full")) return;
  std::filesystem::create_symlink("/dev/full", f.directory / "state.tmp");
  HandNode worker(f.network, f.options.listen);
  worker.Register(WorkerRegister(101));
  {
    const MutexLock lock(f.mutex);
    while (!f.broken) {
      REQUIRE(f.changed.WaitUntil(f.mutex,
                                  std::chrono::steady_clock::now() + std::chrono::seconds(20)));
    }
    CHECK(f.broken->code() == absl::StatusCode::kResourceExhausted);
  }
  f.service.reset();
  worker.AwaitClosed();
  CHECK(worker.messages() == 0);
}

TEST_CASE("bytes that are no message are refused, and others live on", "[scheduler][service]") {
  ServiceFixture f;
  REQUIRE(f.Start().ok());
  HandNode good(f.network, f.options.listen);
  good.Register(ServerRegister(201, 9000));
  good.Await(v1::SchedulerMessage::kRegistered);
  const std::string bytes = GENERATE(std::string("\xff\xff\xff"), std::string("GET / HTTP/1.1"),
                                     std::string("\x0a\x7fshort"));
  HandNode bad(f.network, f.options.listen);
  bad.Send(bytes);
  const v1::Refused refused = bad.Await(v1::SchedulerMessage::kRefused).refused();
  CHECK(static_cast<absl::StatusCode>(refused.code()) == absl::StatusCode::kInvalidArgument);
  bad.AwaitClosed();

  // Also on a session that was good: the node is lost then, not forgotten.
  good.Send(bytes);
  good.AwaitClosed();
  const v1::ClusterStatus status = f.Status();
  REQUIRE(status.nodes_size() == 1);
  CHECK_FALSE(status.nodes(0).connected());
}

TEST_CASE("what comes on a session after the message that ended it is not heard",
          "[scheduler][service]") {
  ServiceFixture f;
  REQUIRE(f.Start().ok());
  // The session may still be open, for what is told only when the registration is on disk.
  for (uint64_t nonce = 101; nonce < 121; ++nonce) {
    HandNode node(f.network, f.options.listen);
    v1::NodeMessage first, last, again;
    *first.mutable_register_() = WorkerRegister(nonce);
    last.mutable_failed()->set_message("gave up");
    *again.mutable_register_() = WorkerRegister(nonce);
    node.Send(first.SerializeAsString());
    node.Send(last.SerializeAsString());
    node.Send(again.SerializeAsString());
    node.AwaitClosed();
    const v1::ClusterStatus status = f.Status();
    REQUIRE(status.nodes_size() == 1);
    CHECK_FALSE(status.nodes(0).connected());
  }
}

TEST_CASE("while the disk stands still, a session that floods is closed and others are not",
          "[scheduler][service]") {
  ServiceFixture f;
  f.options.unanswered_messages_max = 10;
  REQUIRE(f.Start().ok());
  HandNode quiet(f.network, f.options.listen);
  quiet.Register(ServerRegister(201, 9000));
  quiet.Await(v1::SchedulerMessage::kRegistered);
  // To be opened for writing by nobody, until somebody reads.
  const std::string pipe = (f.directory / "state.tmp").string();
  std::filesystem::remove(pipe);
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  HandNode worker(f.network, f.options.listen);
  worker.Register(WorkerRegister(101));
  v1::NodeMessage heartbeat;
  heartbeat.mutable_heartbeat();
  for (int n = 0; n < 10; ++n) worker.Send(heartbeat.SerializeAsString());
  quiet.Send(heartbeat.SerializeAsString());
  const v1::Refused refused = worker.Await(v1::SchedulerMessage::kRefused).refused();
  CHECK(static_cast<absl::StatusCode>(refused.code()) == absl::StatusCode::kResourceExhausted);
  worker.AwaitClosed();
  CHECK(worker.messages() == 1);  // of its registration it was not told
  CHECK(quiet.messages() == 1);
  CHECK_FALSE(quiet.closed());

  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  f.service.reset();
  ::close(reader);
}

TEST_CASE("an empty message is refused before Register", "[scheduler][service]") {
  ServiceFixture f;
  REQUIRE(f.Start().ok());
  HandNode node(f.network, f.options.listen);
  node.Send("");
  CHECK(
      static_cast<absl::StatusCode>(node.Await(v1::SchedulerMessage::kRefused).refused().code()) ==
      absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a session that says nothing is closed", "[scheduler][service]") {
  ServiceFixture f;
  f.options.first_message_ms = 20;
  REQUIRE(f.Start().ok());
  HandNode node(f.network, f.options.listen);
  const v1::Refused refused = node.Await(v1::SchedulerMessage::kRefused).refused();
  CHECK(static_cast<absl::StatusCode>(refused.code()) == absl::StatusCode::kDeadlineExceeded);
  node.AwaitClosed();
}

TEST_CASE("too many sessions that say nothing are refused, until one of them speaks",
          "[scheduler][service]") {
  ServiceFixture f;
  f.options.silent_sessions_max = 1;
  REQUIRE(f.Start().ok());
  HandNode first(f.network, f.options.listen);
  first.Send("");
  first.Await(v1::SchedulerMessage::kRefused);  // it spoke, though not well
  HandNode silent(f.network, f.options.listen);
  HandNode other(f.network, f.options.listen);
  // One of the two came second.
  const auto refused = [](HandNode& node) {
    return static_cast<absl::StatusCode>(
        node.Await(v1::SchedulerMessage::kRefused).refused().code());
  };
  std::optional<absl::StatusCode> code;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kDeadlineMs);
  while (!code) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    if (silent.messages() != 0) code = refused(silent);
    if (other.messages() != 0) code = refused(other);
    std::this_thread::yield();
  }
  CHECK(*code == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a state that does not fit, or a port that is taken, is an error of the start",
          "[scheduler][service]") {
  ServiceFixture f;
  REQUIRE(f.Start().ok());
  SECTION("in use") {
    const absl::Status status = f.Start();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  }
  SECTION("another shape") {
    f.service.reset();
    f.options.core.workers = 5;
    const absl::Status status = f.Start();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK_THAT(std::string(status.message()), Catch::Contains("5 workers"));
  }
  SECTION("port taken") {
    InprocTransport other(f.network);
    const auto second = SchedulerService::Start(f.options, nullptr, &other, {});
    CHECK(second.status().code() == absl::StatusCode::kUnavailable);
  }
}

}  // namespace
}  // namespace kvstore
