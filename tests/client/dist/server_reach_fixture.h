// Servers that a worker reaches or not, over the in-process network, and what it is told of them.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/dist/server_reach.h"
#include "common/base/mutex.h"
#include "common/transport/inproc/inproc_transport.h"
#include "common/transport/methods.h"

namespace kvstore {

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

class ReachFixture {
 public:
  ~ReachFixture() {
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
  // Returns when it has begun.
  void Try(const std::vector<ServerReach::Server>& servers, Hearing* hearing) {
    std::promise<void> begun;
    loop_->Post([&] {
      reach_.Try(servers, hearing->Listener());
      begun.set_value();
    });
    begun.get_future().wait();
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

}  // namespace kvstore
