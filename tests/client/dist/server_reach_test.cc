// Whether a worker reaches the servers, over the in-process network.
#include "client/dist/server_reach.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <deque>

#include "common/base/mutex.h"
#include "common/transport/inproc/inproc_transport.h"
#include "common/transport/methods.h"

namespace kvstore {
namespace {

// What was told, in order. Thread-safe.
class Hearing {
 public:
  ServerReach::Told Listener() {
    return [this](const absl::Status& status) {
      MutexLock lock(mutex_);
      told_.push_back(status);
      changed_.NotifyAll();
    };
  }
  absl::Status Await(size_t index) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    MutexLock lock(mutex_);
    while (told_.size() <= index) REQUIRE(changed_.WaitUntil(mutex_, deadline));
    return told_[index];
  }
  size_t count() {
    MutexLock lock(mutex_);
    return told_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<absl::Status> told_ KVS_GUARDED_BY(mutex_);
};

class Fixture {
 public:
  ~Fixture() {
    loop_->Post([this] { reach_.Stop(); });
    loop_.reset();
  }

  // Returns its address.
  std::string StartServer() {
    transports_.push_back(std::make_unique<InprocTransport>(network_));
    loops_.push_back(transports_.back()->MakeServerLoop("server"));
    ListenOptions options;
    options.methods = {
        {ShardMethod(0), loops_.back().get(), [](std::unique_ptr<MessageStream>) {}}};
    auto listener = transports_.back()->Listen("127.0.0.1:0", std::move(options));
    REQUIRE(listener.ok());
    listeners_.push_back(*std::move(listener));
    return "127.0.0.1:" + std::to_string(listeners_.back()->port());
  }
  void Try(std::vector<ServerReach::Server> servers, Hearing* hearing) {
    loop_->Post([this, servers = std::move(servers), hearing] {
      reach_.Try(servers, hearing->Listener());
    });
  }
  InprocNetwork& network() { return *network_; }

 private:
  const std::shared_ptr<InprocNetwork> network_ = std::make_shared<InprocNetwork>();
  std::vector<std::unique_ptr<InprocTransport>> transports_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  InprocTransport transport_{network_};
  std::unique_ptr<EventLoop> loop_ = transport_.MakeLoop("worker");
  ServerReach reach_{&transport_, loop_.get(), {/*redial_ms=*/5, /*patience_ms=*/10000}};
};

TEST_CASE("when every server is reached that is told once", "[dist][reach]") {
  Hearing hearing, next;
  Fixture f;
  f.Try({{0, f.StartServer()}, {1, f.StartServer()}}, &hearing);
  CHECK(hearing.Await(0).ok());
  // Nothing else is on its way: another attempt's news comes after whatever there was of this one.
  f.Try({{0, f.StartServer()}}, &next);
  CHECK(next.Await(0).ok());
  CHECK(hearing.count() == 1);
}

TEST_CASE("a server that is not reached is named with its address and why, and dialled again",
          "[dist][reach]") {
  Hearing hearing;
  Fixture f;
  const std::string near = f.StartServer(), far = f.StartServer();
  f.network().SetUnreachable(far, true);
  f.Try({{0, near}, {1, far}}, &hearing);
  const absl::Status status = hearing.Await(0);
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(status.message()),
             Catch::StartsWith("cannot reach server 1 at " + far + " ("));
  f.network().SetUnreachable(far, false);
  CHECK(hearing.Await(1).ok());
  CHECK(hearing.count() == 2);  // the same trouble again was not told again
}

TEST_CASE("a new attempt at the same servers tells the trouble that is known at once, to its own",
          "[dist][reach]") {
  Hearing first, second;
  Fixture f;
  const std::string far = f.StartServer();
  f.network().SetUnreachable(far, true);
  f.Try({{0, far}}, &first);
  const absl::Status known = first.Await(0);
  f.Try({{0, far}}, &second);
  CHECK(second.Await(0) == known);
  f.network().SetUnreachable(far, false);
  CHECK(second.Await(1).ok());
  CHECK(first.count() == 1);
}

TEST_CASE("three servers are named, and how many more there are", "[dist][reach]") {
  Hearing hearing;
  Fixture f;
  std::vector<ServerReach::Server> servers;
  for (uint32_t rank = 0; rank < 5; ++rank) {
    servers.push_back({rank, f.StartServer()});
    f.network().SetUnreachable(servers.back().address, true);
  }
  f.Try(servers, &hearing);
  const std::string message(hearing.Await(4).message());
  CHECK_THAT(message, Catch::Contains("server 0 at ") && Catch::Contains("server 1 at ") &&
                          Catch::Contains("server 2 at ") && Catch::EndsWith(" and 2 more"));
}

TEST_CASE("an attempt that was replaced is heard of no more", "[dist][reach]") {
  Hearing first, second, third;
  Fixture f;
  const std::string far = f.StartServer();
  f.network().SetUnreachable(far, true);
  f.Try({{0, far}}, &first);
  CHECK_FALSE(first.Await(0).ok());
  f.Try({{0, f.StartServer()}}, &second);
  CHECK(second.Await(0).ok());
  f.network().SetUnreachable(far, false);
  f.Try({{0, far}}, &third);
  CHECK(third.Await(0).ok());
  CHECK(first.count() == 1);
}

}  // namespace
}  // namespace kvstore
