// Reducer: the seam between the arrays that a call names for a key, each in the memory of its
// context, and the key's one value in host memory. The values of a push become one contribution or
// one sum (Reduce, Fold); a value, or a part of it, goes to the outputs of a pull (Broadcast).
// Stores of one process and of a cluster use the same one. CpuReducer (cpu_reducer.h) is for arrays
// in host memory; one for arrays on devices has the same interface.
//
// Which sum it is, is a promise (docs/consistency.md): the left fold in the order of the list, in
// AccumulatorOf(dtype), rounded at most once. Each element is summed for itself, so that neither
// the ranges nor the number of threads change a bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/order/dependency_engine.h"
#include "client/reduce/block_threads.h"
#include "client/reduce/contribution.h"
#include "client/reduce/under_way.h"
#include "client/store/store_backend.h"
#include "common/base/status_macros.h"
#include "common/kernels/kernels.h"
#include "common/rows/row_sum.h"
#include "common/tensor/dtype.h"

namespace kvstore {

// Elements of a dense value.
struct ElementRange {
  uint64_t first = 0;
  size_t elements = 0;
};

// As what a fold is written.
enum class FoldedAs : uint8_t {
  kAccumulated,  // in AccumulatorOf(dtype)
  kRounded,      // in the dtype
};

// What is written before something of so many bytes in all is read may still be in a cache then;
// of more it may not.
inline constexpr uint64_t kCachedBytesMax = uint64_t{32} << 20;
constexpr Stores StoresFor(uint64_t bytes) {
  return bytes > kCachedBytesMax ? Stores::kStreamed : Stores::kCached;
}

// Arrays are readable, or writable, when they come here: the dependency engine has seen to it.
// Methods may throw std::bad_alloc; then outputs are filled in part, and nothing else has happened.
// Threading: Reduce and what uses threads() by one thread at a time; Fold and Broadcast from any
// thread, for different ranges.
class Reducer {
 public:
  virtual ~Reducer() = default;

  // The contribution of an operation that brings one array which can be sent as it is: lent, and
  // kept by `token`. Nothing for all others, for which Reduce is to be called.
  virtual std::optional<Contribution> AsIs(const KeyOperation& operation,
                                           const TokenPtr& token) const = 0;
  // Sums the operation's values, one or more arrays of the key's dtype and shape, of either
  // storage; rounded once to the key's dtype. Long: not on a thread that others wait for.
  virtual absl::StatusOr<Contribution> Reduce(const KeyOperation& operation) = 0;

  // Writes a range of the sum of `values`, arrays of default storage of that dtype, to `sum`, in
  // host memory. `sum` may be that range of one of them, if it is written in their dtype.
  virtual absl::Status Fold(DType dtype, absl::Span<const NDArray> values,
                            const ElementRange& range, FoldedAs as, Stores stores,
                            void* sum) const = 0;
  // The first half of it, where devices do a part (under_way.h); `sum` is written, and the values
  // stay as they are, until Finish returns.
  virtual absl::StatusOr<UnderWayPtr> BeginFold(DType dtype, absl::Span<const NDArray> values,
                                                const ElementRange& range, FoldedAs as,
                                                Stores stores, void* sum) const {
    KVS_RETURN_IF_ERROR(Fold(dtype, values, range, as, stores, sum));
    return nullptr;
  }
  // The sum of the values, of either storage, of a row_sparse key. That of a single value may be
  // lent (row_sum.h): the arrays stay as they are while it lives.
  virtual absl::StatusOr<RowSum> FoldRows(const ValueSpec& spec,
                                          absl::Span<const NDArray> values) const = 0;

  // Writes a range of a value, which lies at `data` in host memory, to that range of every output:
  // arrays of default storage, converted to their dtypes. `data` is in none of them.
  virtual absl::Status Broadcast(DType dtype, const void* data, const ElementRange& range,
                                 Stores stores, absl::Span<const NDArray> outputs) const = 0;
  // The first half of it. `data` is read by this call only; outputs are written until Finish
  // returns.
  virtual absl::StatusOr<UnderWayPtr> BeginBroadcast(DType dtype, const void* data,
                                                     const ElementRange& range, Stores stores,
                                                     absl::Span<const NDArray> outputs) const {
    KVS_RETURN_IF_ERROR(Broadcast(dtype, data, range, stores, outputs));
    return nullptr;
  }

  // Who shares the ranges of one large value.
  virtual BlockThreads& threads() = 0;
};

}  // namespace kvstore
