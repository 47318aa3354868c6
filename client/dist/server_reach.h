// ServerReach: does this worker reach every server of a job that is about to start? It dials each
// of them, again and again, until all have answered; a worker confirms the job only then.
//
// Why: a server that advertises an address of a network that this host is not on, or behind a
// firewall, would otherwise show as requests that nobody answers, long after the start.
//
// Loop-bound.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/transport/transport.h"

namespace kvstore {

struct ServerReachOptions {
  int64_t redial_ms = 500;  // after a dial that failed
  // A dial without any answer for so long counts as trouble that is told, and goes on.
  int64_t patience_ms = 1000;
};

class ServerReach {
 public:
  struct Server {
    uint32_t rank = 0;
    std::string address;  // HOST:PORT
  };
  // OK: all are reached, the last call. Else UNAVAILABLE, "cannot reach server 1 at
  // 10.9.0.2:4242 (No route to host), ...", whenever the message changes.
  using Told = std::function<void(const absl::Status& status)>;

  // `transport` and `loop` outlive this, unless the loop is destroyed first.
  ServerReach(Transport* transport, EventLoop* loop, ServerReachOptions options);
  ~ServerReach();

  // Begins to dial, and forgets what was tried before, but for the troubles of servers that are in
  // the list again: these are told at once. `told` is called on the loop, not from here; it may
  // call this again.
  void Try(std::vector<Server> servers, Told told);
  void Stop();

 private:
  struct Attempt;

  Transport* const transport_;
  EventLoop* const loop_;
  const ServerReachOptions options_;
  // Callbacks hold it weakly: an attempt that was replaced hears nothing.
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace kvstore
