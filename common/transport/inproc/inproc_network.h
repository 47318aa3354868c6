// InprocNetwork: the addresses of one process. Every participant of a test makes its own
// InprocTransport on the same network; the test breaks what it wants to see broken.
//
// Thread-safe. Lock order: the network's, then a listener's.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/transport/inproc/inproc_stream.h"
#include "common/transport/transport.h"

namespace kvstore {

// A bound address. Kept by its Listener and found through the network.
class InprocListenerState {
 public:
  InprocListenerState(std::string address, ListenOptions options)
      : address_(std::move(address)), options_(std::move(options)) {}

  const std::string& address() const { return address_; }
  const ListenOptions& options() const { return options_; }

  // Makes the other end of `client` and hands it to the method's acceptor on its loop.
  absl::Status Accept(const std::string& method, const std::shared_ptr<InprocLink>& link,
                      const std::shared_ptr<InprocEnd>& client) KVS_EXCLUDES(mutex_);
  absl::Status Call(const std::string& method, const std::string& request, UnaryReply reply)
      KVS_EXCLUDES(mutex_);
  void BreakStreams() KVS_EXCLUDES(mutex_);
  // Refuses from now on, ends all streams and waits for it.
  void Shutdown() KVS_EXCLUDES(mutex_);

 private:
  struct Connection {
    std::shared_ptr<InprocLink> link;
    std::weak_ptr<InprocEnd> client;
    std::weak_ptr<InprocEnd> server;
  };

  const std::string address_;
  const ListenOptions options_;
  Mutex mutex_;
  std::vector<Connection> connections_ KVS_GUARDED_BY(mutex_);
  uint64_t accepted_ KVS_GUARDED_BY(mutex_) = 0;
  bool closing_ KVS_GUARDED_BY(mutex_) = false;
};

class InprocNetwork {
 public:
  explicit InprocNetwork(size_t message_bytes_max = kMessageBytesMax)
      : message_bytes_max_(message_bytes_max) {}

  // ---- fault hooks; `address` is the bound one, "127.0.0.1:10000"

  // Every stream of the listener breaks: messages that are under way are lost, both ends see
  // on_closed(UNAVAILABLE). New dials succeed.
  void BreakStreams(const std::string& address) KVS_EXCLUDES(mutex_);
  // Makes the address unreachable, or reachable again. While it is unreachable, dials and unary
  // calls fail with UNAVAILABLE; open streams go on.
  void SetUnreachable(const std::string& address, bool unreachable) KVS_EXCLUDES(mutex_);
  // Messages delivered so far, on all streams.
  uint64_t messages() const { return messages_.load(std::memory_order_relaxed); }

  // ---- for InprocTransport

  // Port 0 becomes a port of the network's counter. Errors: as Transport::Listen.
  absl::StatusOr<std::shared_ptr<InprocListenerState>> Bind(const std::string& address,
                                                            ListenOptions options)
      KVS_EXCLUDES(mutex_);
  void Unbind(const std::string& address) KVS_EXCLUDES(mutex_);
  // Errors: INVALID_ARGUMENT for an address that is none; UNAVAILABLE nobody listens there.
  absl::StatusOr<std::shared_ptr<InprocListenerState>> Find(const std::string& address)
      KVS_EXCLUDES(mutex_);
  std::atomic<uint64_t>* message_counter() { return &messages_; }
  size_t message_bytes_max() const { return message_bytes_max_; }

 private:
  const size_t message_bytes_max_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<InprocListenerState>> listeners_ KVS_GUARDED_BY(mutex_);
  std::set<std::string> unreachable_ KVS_GUARDED_BY(mutex_);
  int next_port_ KVS_GUARDED_BY(mutex_) = 10000;
  std::atomic<uint64_t> messages_{0};  // relaxed: a statistic
};

}  // namespace kvstore
