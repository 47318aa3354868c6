// What every transport promises, as tests. An executable links transport_conformance*.cc and
// defines MakeParticipant; a new transport inherits every case.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/transport/transport.h"

namespace kvstore::testing {

// A participant's transport: all of them reach each other. Defined by each executable.
std::unique_ptr<Transport> MakeParticipant();
// "127.0.0.1", "[::1]", …
std::vector<std::string> HostsToListenOn();

// Longer than anything here takes; a test that waits so long has failed.
inline constexpr std::chrono::seconds kPatience{20};

// Opens once.
class Gate {
 public:
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    cond_.NotifyAll();
  }
  bool Await() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    MutexLock lock(mutex_);
    while (!open_) {
      if (!cond_.WaitUntil(mutex_, deadline)) return open_;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar cond_;
  bool open_ KVS_GUARDED_BY(mutex_) = false;
};

// Runs `work` on the loop and waits for it.
void RunOn(EventLoop& loop, std::function<void()> work);

// What one end of a stream saw. Thread-safe, but for `stream`, which belongs to the loop.
class Peer {
 public:
  // Records everything.
  StreamEvents Events();
  bool AwaitMessages(size_t count);
  // The status of on_closed; nullopt when it did not come.
  std::optional<absl::Status> AwaitClosed();
  std::vector<std::string> messages();
  bool closed();

  std::unique_ptr<MessageStream> stream;

 private:
  Mutex mutex_;
  CondVar cond_;
  std::vector<std::string> messages_ KVS_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ KVS_GUARDED_BY(mutex_);
};

// A listener with one loop that keeps the streams it accepted, in order.
class Server {
 public:
  // What to do with a message, on the loop; by default it is recorded only.
  using OnMessage = std::function<void(Peer&, Payload)>;

  explicit Server(OnMessage on_message = nullptr, const std::string& address = "127.0.0.1:0",
                  std::vector<UnaryMethod> unary = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::string& address() const { return address_; }
  EventLoop& loop() { return *loop_; }
  Listener& listener() { return *listener_; }
  Transport& transport() { return *transport_; }
  // Waits until so many streams were accepted; the one with that number, from 1.
  Peer& AwaitAccepted(size_t count);

  static constexpr const char* kMethod = "/kvstore.test.Echo/Talk";

 private:
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<EventLoop> loop_;
  OnMessage on_message_;
  Mutex mutex_;
  CondVar cond_;
  std::vector<std::unique_ptr<Peer>> peers_ KVS_GUARDED_BY(mutex_);
  std::unique_ptr<Listener> listener_;
  std::string address_;
};

// Sends each message back.
inline void Echo(Peer& peer, Payload message) { peer.stream->Send(std::move(message)); }

// A loop that dials. Its streams are destroyed with it.
class Client {
 public:
  Client() : transport_(MakeParticipant()), loop_(transport_->MakeLoop("test-client")) {}
  ~Client() { StopLoop(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Peer& Dial(const std::string& address, const std::string& method = Server::kMethod);
  // Dials with events of the test's own; the stream is kept in the returned Peer.
  Peer& Dial(const std::string& address, const std::string& method, StreamEvents events);
  void Send(Peer& peer, const std::string& bytes);
  void Close(Peer& peer);
  void StopLoop() { loop_.reset(); }
  EventLoop& loop() { return *loop_; }
  Transport& transport() { return *transport_; }

 private:
  std::unique_ptr<Transport> transport_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::unique_ptr<EventLoop> loop_;
};

// Counts the owners that are alive. Outlives them all.
class OwnerCount {
 public:
  // `bytes` and an owner that counts.
  Slice Wrap(std::shared_ptr<const std::string> bytes);
  bool AwaitNone();
  size_t made() const { return made_.load(); }
  size_t released() const { return released_.load(); }

 private:
  std::atomic<size_t> made_{0};
  std::atomic<size_t> released_{0};
  Mutex mutex_;
  CondVar cond_;
};

// `size` bytes that depend on `seed` and the position.
std::string Pattern(uint64_t seed, size_t size);

}  // namespace kvstore::testing
