// What passes between the operations of a dist store and the links to the servers: requests about
// parts, and who hears what became of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "client/core/client_core.h"

namespace kvstore {

struct PartAsk;

// Hears what becomes of requests.
class PartSink {
 public:
  virtual ~PartSink() = default;
  // One request is over: `op` and `index` are those of its PartAsk. Returns what is to be asked
  // next. Called on the session's loop; must not block.
  virtual std::vector<PartAsk> OnPart(Op op, size_t index, Completion completion) = 0;
  // Which operation asks, for explanations: OperationToken::id(); 0 if none does.
  virtual uint64_t operation_id() const = 0;
};

// One request, whose ticket is still to be filled in.
struct PartAsk {
  PartRequest request;
  std::shared_ptr<PartSink> sink;
  size_t index = 0;  // chosen by whoever asks: tells the sink which of its requests this is
};

}  // namespace kvstore
