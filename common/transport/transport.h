// Streams of messages between threads that each run one event loop. Two implementations share these
// interfaces and their conformance tests: grpc/ between processes, inproc/ between threads of one
// process (tests, ThreadSanitizer, fault hooks).
//
//   loop A                                    loop B
//   Dial(loop A, address, method, events) =>  Acceptor of that method, on the loop it was given
//   stream->Send(message)                 =>  events.on_message(message)
//   stream->Close()                       =>  events.on_closed(status)
//
// Everything about a stream happens on its loop's thread: its calls are made there and its events
// arrive there, one at a time. Only EventLoop::Post, PostAfter and Now are thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/wire/payload.h"

namespace kvstore {

// One thread that runs tasks, timers and stream events.
class EventLoop {
 public:
  virtual ~EventLoop() = default;  // stops: pending tasks are run, pending timers dropped; joins

  // Runs `task` on the loop's thread, after those posted before it. Thread-safe.
  virtual void Post(std::function<void()> task) = 0;
  // Runs `task` on the loop's thread not before `delay_ms` from now. Thread-safe; cannot be
  // cancelled (a task looks at its own state).
  virtual void PostAfter(int64_t delay_ms, std::function<void()> task) = 0;
  virtual bool InLoop() const = 0;
};

// Milliseconds of the steady clock: the `now` of every core.
inline int64_t SteadyNowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct StreamEvents {
  // A whole message. Its slices live as long as somebody keeps them.
  std::function<void(Payload)> on_message;
  // Last event of the stream: OK when the peer closed it, else why it broke (UNAVAILABLE: not
  // reachable). Not delivered after Close() was called on this side.
  std::function<void(absl::Status)> on_closed;
};

// One end of a bidirectional stream of messages. Loop-bound.
class MessageStream {
 public:
  // Closes if it is still open; messages already sent may still go out. Destroying a stream inside
  // its own event is allowed.
  virtual ~MessageStream() = default;

  // Set once by an acceptor before it returns; a dialled stream has them from the start.
  virtual void SetEvents(StreamEvents events) = 0;
  // Queues the message. The slices' owners are released when the transport no longer needs the
  // bytes, from any thread. Messages arrive whole, in order, or the stream closes.
  virtual void Send(Payload message) = 0;
  // Bytes queued and not yet given to the wire: what back-pressure looks at.
  virtual size_t queued_bytes() const = 0;
  // Idempotent. No event comes after it. The peer sees on_closed.
  virtual void Close() = 0;
  // Of the other end, for logs: "ipv4:127.0.0.1:41822".
  virtual std::string peer() const = 0;
};

using Acceptor = std::function<void(std::unique_ptr<MessageStream>)>;

// A method that a listener serves: streams of `method` arrive on `loop`.
struct ServedMethod {
  std::string method;  // "/kvstore.v1.Data/Shard0"
  EventLoop* loop = nullptr;
  Acceptor acceptor;
};

class Listener {
 public:
  virtual ~Listener() = default;  // stops accepting and closes all its streams; call Shutdown first
  // The port that was bound (chosen by the system when 0 was asked for).
  virtual int port() const = 0;
  // Stops accepting, closes streams (their peers see on_closed), waits until that is done.
  virtual void Shutdown() = 0;
};

// What a process talks through. Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;

  // A loop that dials. `name` (at most 15 bytes) shows up as the thread's name.
  virtual std::unique_ptr<EventLoop> MakeLoop(const std::string& name) = 0;
  // A loop that a listener's streams may arrive on (it may dial too). To be made before Listen.
  virtual std::unique_ptr<EventLoop> MakeServerLoop(const std::string& name) = 0;

  // Binds `address` ("127.0.0.1:0", "[::1]:7070", "0.0.0.0:7070") and serves `methods`; each loop
  // must come from this transport's MakeServerLoop and outlive the listener. Once per transport.
  // Errors: UNAVAILABLE names the address and why (port taken, no such address);
  // INVALID_ARGUMENT for an address that is none.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& address,
                                                           std::vector<ServedMethod> methods) = 0;

  // Never blocks and never fails at once: a peer that is not there is told by on_closed.
  // Call on `loop`'s thread.
  virtual std::unique_ptr<MessageStream> Dial(EventLoop& loop, const std::string& address,
                                              const std::string& method, StreamEvents events) = 0;
};

}  // namespace kvstore
