// CpuReducer: the Reducer for arrays in host memory. One array of default storage that is pushed to
// a dense key is lent as it is; everything else is copied or summed, dense values in one pass over
// all arrays of the list, part by part on several threads.
#pragma once

#include <cstddef>
#include <optional>

#include "client/reduce/reducer.h"

namespace kvstore {

// The sum of dense arrays of one dtype and shape, rounded once, part by part on the reducer's
// threads. May throw std::bad_alloc.
absl::StatusOr<Contribution> SumByParts(Reducer& reducer, absl::Span<const NDArray> values);

class CpuReducer final : public Reducer {
 public:
  // `threads`: as BlockThreads has it.
  explicit CpuReducer(size_t threads) : threads_(threads) {}

  std::optional<Contribution> AsIs(const KeyOperation& operation,
                                   const TokenPtr& token) const override;
  absl::StatusOr<Contribution> Reduce(const KeyOperation& operation) override;
  absl::Status Fold(DType dtype, absl::Span<const NDArray> values, const ElementRange& range,
                    FoldedAs as, Stores stores, void* sum) const override;
  absl::StatusOr<RowSum> FoldRows(const ValueSpec& spec,
                                  absl::Span<const NDArray> values) const override;
  absl::Status Broadcast(DType dtype, const void* data, const ElementRange& range, Stores stores,
                         absl::Span<const NDArray> outputs) const override;
  BlockThreads& threads() override { return threads_; }

 private:
  absl::StatusOr<Contribution> ReduceDense(absl::Span<const NDArray> given);

  BlockThreads threads_;
};

}  // namespace kvstore
