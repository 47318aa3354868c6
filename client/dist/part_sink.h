// What passes between the operations of a dist store and the links to the servers: requests about
// parts, and who hears what became of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "client/core/client_core.h"

namespace kvstore {

struct PartAsk;
// Those of one operation: mostly one, for which no memory is taken.
using PartAsks = absl::InlinedVector<PartAsk, 1>;

// Hears what becomes of requests.
class PartSink {
 public:
  virtual ~PartSink() = default;
  // Called when one request is over, on the session's loop; must not block. `op` and `index` are
  // those of its PartAsk; of a group (PartRequest::group) `index` is Completion::member. Returns
  // what is to be asked next. (A request for which there was no memory is over before it was
  // submitted, perhaps on another thread: ShardLinks::Flush.)
  virtual PartAsks OnPart(Op op, size_t index, Completion completion) noexcept = 0;
  // Called when what there is to hear for the moment was heard.
  virtual void Told() noexcept {}
  // The operation for which it asks (OperationToken::id()), for explanations; 0 if there is none.
  virtual uint64_t operation_id() const = 0;
};

// A request that is not submitted yet (ShardLinks fills in its ticket), and who hears of it.
struct PartAsk {
  PartRequest request;
  std::shared_ptr<PartSink> sink;
  size_t index =
      0;  // not of a group: chosen by whoever asks: tells the sink which of its requests this is
};

}  // namespace kvstore
