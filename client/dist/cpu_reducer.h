// CpuReducer: the Reducer for values in host memory. One array of default storage that is pushed to
// a dense key is lent as it is; everything else is copied or summed on one thread of the reducer:
// keys of a higher priority first, the operations of a key in their order (WorkQueue).
#pragma once

#include <memory>
#include <optional>

#include "client/dist/reducer.h"
#include "client/order/work_queue.h"

namespace kvstore {

class CpuReducer final : public Reducer {
 public:
  CpuReducer();

  std::optional<Contribution> AsIs(const KeyOperation& operation,
                                   const TokenPtr& token) const override;
  void Reduce(std::shared_ptr<const KeyOperation> operation, const TokenPtr& token,
              Done done) override;
  bool InThread() const override { return queue_.InTask(); }
  void Stop() override { queue_.Stop(); }

 private:
  WorkQueue queue_;
};

// The contribution of the operation's values as copies or sums, on the calling thread. May throw
// std::bad_alloc.
Contribution ReduceOnCpu(const KeyOperation& operation);

}  // namespace kvstore
