// WireMonitor: looks at every frame a worker sends and is handed, and holds the client core to its
// rules C1 to C5, C8 and C9, whether or not a broken one would harm this run.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/core/client_core.h"
#include "common/wire/frame.h"
#include "tests/simulation/network.h"

namespace kvstore::sim {

class WireMonitor {
 public:
  WireMonitor(World& world, std::string who, const ClientCoreOptions& options)
      : world_(world), who_(std::move(who)), options_(options) {}

  // In the order of submission.
  void Submitted(Op op, PartId id, Round round, uint32_t fragment);
  void Completed(Op op, PartId id, Round round);
  // It ended without an answer (C11), which is not counted as missing any more (C5).
  void Abandoned(RequestId request);
  void Sent(ConnId stream, const RequestFrame& frame);
  // Just before the core is handed it.
  void Delivered(ConnId stream, const ReplyFrame& frame);

 private:
  struct Ask {
    Op op = Op::kUnspecified;
    Round round = 0;
    uint32_t fragment = 0;
    bool completed = false;
  };
  struct PartLog {
    std::vector<Ask> submitted;
    size_t sent = 0;  // so many of them went out at least once, in order
  };
  struct RequestLog {
    RequestEntry first;
    uint64_t bytes = 0;  // hash
    bool owned = false;  // the server said `received`
  };
  void FirstSent(const RequestEntry& entry);

  World& world_;
  const std::string who_;
  const ClientCoreOptions options_;
  std::map<PartId, PartLog> parts_;
  std::map<RequestId, RequestLog> requests_;
  std::map<ConnId, std::map<RequestId, uint64_t>> unanswered_;  // payload bytes
};

}  // namespace kvstore::sim
