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
// arrive there, one at a time. Only EventLoop::Post, PostAfter, InLoop and NowMs are thread-safe.
// After its loop is destroyed a stream is dead and may be destroyed anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/tls/identity.h"
#include "common/wire/payload.h"

namespace kvstore {

// The largest message: a frame (kFrameBytesMax) and some room. A larger one is not sent: its
// stream ends with RESOURCE_EXHAUSTED.
inline constexpr size_t kMessageBytesMax = (4u << 20) + (64u << 10);

// One thread that runs tasks, timers and stream events.
class EventLoop {
 public:
  // Stops: pending tasks are run, pending timers dropped, streams that are still open are broken
  // (their peers see on_closed, this side sees nothing); joins. Not from the loop's own thread.
  virtual ~EventLoop() = default;

  // Runs `task` on the loop's thread, after those posted before it. Thread-safe.
  virtual void Post(std::function<void()> task) = 0;
  // Runs `task` on the loop's thread not before `delay_ms` from now. Thread-safe; cannot be
  // cancelled (a task looks at its own state).
  virtual void PostAfter(int64_t delay_ms, std::function<void()> task) = 0;
  virtual bool InLoop() const = 0;
  // The clock by which PostAfter counts. Thread-safe.
  virtual int64_t NowMs() const { return SteadyNowMs(); }
};

struct StreamEvents {
  // A whole message. Its slices live as long as somebody keeps them. If it throws std::bad_alloc,
  // the stream is broken: on_closed follows.
  std::function<void(Payload)> on_message;
  // Last event of the stream: OK when the peer closed it, else why it broke. UNAVAILABLE: not
  // reachable, connection lost, listener shut down; UNIMPLEMENTED: method not served;
  // RESOURCE_EXHAUSTED: message over kMessageBytesMax; UNAUTHENTICATED, PERMISSION_DENIED: the
  // listener does not know this process, or does not let it (permissions.h). Not delivered after
  // Close() on this side.
  std::function<void(absl::Status)> on_closed;
  // For a dialled stream: its connection stands, and a listener is at the other end. Called once,
  // before any message. Whether the listener serves the method is not known yet.
  std::function<void()> on_open = nullptr;
};

// One end of a bidirectional stream of messages. Loop-bound.
class MessageStream {
 public:
  // Closes if it is still open. Destroying a stream inside its own event is allowed.
  virtual ~MessageStream() = default;

  // Set once by an acceptor before it returns; a dialled stream has them from the start.
  virtual void SetEvents(StreamEvents events) = 0;
  // Queues the message. The slices' owners are released when the transport no longer needs the
  // bytes, from any thread; slices without an owner are copied. Messages arrive whole, in order, or
  // the stream closes. Ignored once the stream is closed.
  virtual void Send(Payload message) = 0;
  // Bytes queued and not yet given to the wire: what back-pressure looks at.
  virtual size_t queued_bytes() const = 0;
  // Idempotent. No event comes after it. What was sent before still goes out if the peer takes it
  // within two seconds; then the peer sees on_closed(OK).
  virtual void Close() = 0;
  // The address of the other end, for logs: "ipv4:127.0.0.1:41822".
  virtual std::string peer() const = 0;
  // Who dialled an accepted stream; without encryption nobody is known, and it has every role.
  virtual Identity caller() const { return {"", kAnyPeer, std::nullopt, ""}; }
  // Whether large messages go through memory that both ends have.
  virtual bool shares_memory() const { return false; }
};

using Acceptor = std::function<void(std::unique_ptr<MessageStream>)>;

// A method that a listener serves: streams of `method` arrive on `loop`.
struct ServedMethod {
  std::string method;  // "/kvstore.v1.Data/Shard0"
  EventLoop* loop = nullptr;
  Acceptor acceptor;
};

// Answers a unary call, once, from any thread. The first answer counts; a call whose every copy of
// the reply is dropped without an answer fails with UNAVAILABLE.
using UnaryReply = std::function<void(absl::StatusOr<std::string>)>;
using UnaryHandler = std::function<void(Payload request, UnaryReply reply)>;

// A request-reply method: `handler` runs on `loop` and may answer later (a status gathered from
// several loops). For operators' questions, not for the data path.
struct UnaryMethod {
  std::string method;  // "/kvstore.v1.Scheduler/GetStatus"
  EventLoop* loop = nullptr;
  UnaryHandler handler;
};

struct ListenOptions {
  std::vector<ServedMethod> methods = {};
  std::vector<UnaryMethod> unary_methods = {};
};

class Listener {
 public:
  virtual ~Listener() = default;  // shuts down if Shutdown was not called
  // The port that was bound (chosen by the system when 0 was asked for).
  virtual int port() const = 0;
  // Stops accepting and closes all streams: what was sent before still goes out (within two
  // seconds), then both ends see on_closed(UNAVAILABLE); unary calls without an answer fail with
  // it, too. Waits until that is done; idempotent. Not from a loop's thread.
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

  // Binds `address` ("127.0.0.1:0", "[::1]:7070", "0.0.0.0:7070") and serves the methods; each loop
  // must come from this transport's MakeServerLoop and outlive the listener. Once per transport.
  // Errors: UNAVAILABLE names the address and why (port taken, no such address);
  // INVALID_ARGUMENT for an address that is none, a method named twice, a loop of another kind.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& address,
                                                           ListenOptions options) = 0;

  // Never blocks and never fails at once: a peer that is not there is told by on_closed. After
  // std::bad_alloc there is no stream, and no event of it comes: Dial may be called again.
  // Call on `loop`'s thread.
  virtual std::unique_ptr<MessageStream> Dial(EventLoop& loop, const std::string& address,
                                              const std::string& method, StreamEvents events) = 0;

  // Asks a unary method and waits for the answer. Not from a loop's thread.
  // Errors: the handler's; UNAVAILABLE nobody there; UNIMPLEMENTED; DEADLINE_EXCEEDED.
  virtual absl::StatusOr<std::string> CallUnary(const std::string& address,
                                                const std::string& method,
                                                const std::string& request,
                                                int64_t deadline_ms) = 0;
};

}  // namespace kvstore
