// How fast the same bytes go over plain TCP: messages of the same size, as many in flight, over
// loopback, with one copy at the receiver. Nothing that serves keyed values over TCP is faster.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/kvbench/cases.h"
#include "bench/kvbench/machine.h"
#include "bench/kvbench/memory.h"

namespace kvstore::bench {

struct TcpOptions {
  CorePlan cores;
  std::string congestion;  // empty: the machine's
};

// One client and one server per connection, each side with its own memory:
//   push      client: header + payload         server: copies it to the key's place, acknowledges
//   pull      client: header                   server: header + payload; the client copies
//   pushpull  client: header + payload         server: copies, answers with the key's bytes
// latency is pushpull with one message in flight, which needs no second thread on either side.
// Rounds go over workers x servers connections: of round and async whole parts, both ways at once;
// of the others one message that holds all keys, or rows and their ids, then its answer.
// Thread-compatible.
class TcpBaseline {
 public:
  TcpBaseline(const Case& measured, int servers, const TcpOptions& options);
  ~TcpBaseline();

  // Moves messages for `warmup_s`, then for `seconds`, which are measured up to the last answer.
  // Errors: UNAVAILABLE a connection broke or could not be made; DATA_LOSS wrong bytes.
  absl::StatusOr<Sample> Run(double warmup_s, double seconds);

 private:
  struct Buffers;
  class Connection;

  const TcpOptions options_;
  const Case measured_;
  Case each_;                                      // of one connection
  std::vector<std::unique_ptr<Buffers>> buffers_;  // one per connection
};

}  // namespace kvstore::bench
