#include "client/dist/cpu_reducer.h"

#include <fmt/format.h>

#include <new>
#include <utility>
#include <vector>

#include "client/array/ndarray_impl.h"
#include "client/base/no_memory.h"
#include "client/store/row_values.h"
#include "common/kernels/kernels.h"
#include "common/tensor/buffer.h"

namespace kvstore {
namespace {

Contribution ReduceRows(const ValueSpec& spec, absl::Span<const NDArray> values) {
  Contribution contribution;
  contribution.rows = values.size() == 1 ? RowsOf(values[0]) : RowsOf(spec, FoldRows(spec, values));
  return contribution;
}

Contribution ReduceDense(const ValueSpec& spec, absl::Span<const NDArray> given) {
  Contribution contribution;
  const Arrays values = AllDense(given);
  if (values.size() == 1) {
    contribution.data = values[0].data_as<uint8_t>();
    contribution.owner = values[0].impl();
    return contribution;
  }
  const auto sum = std::make_shared<Buffer>(values[0].bytes());
  std::vector<const void*> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) sources.push_back(value.data());
  RoundedFold(spec.dtype, sum->data(), sources.data(), sources.size(),
              static_cast<size_t>(values[0].size()));
  contribution.data = sum->data();
  contribution.owner = sum;
  return contribution;
}

}  // namespace

Contribution ReduceOnCpu(const KeyOperation& operation) {
  return operation.spec.row_sparse ? ReduceRows(operation.spec, operation.values)
                                   : ReduceDense(operation.spec, operation.values);
}

CpuReducer::CpuReducer() : queue_("kvs-sums") {}

std::optional<Contribution> CpuReducer::AsIs(const KeyOperation& operation,
                                             const TokenPtr& token) const {
  absl::Span<const NDArray> values = operation.values;
  const bool as_is = !operation.spec.row_sparse && values.size() == 1 &&
                     values[0].storage_type() == StorageType::kDefault;
  if (!as_is) return std::nullopt;
  Contribution contribution;
  contribution.data = values[0].data_as<uint8_t>();
  contribution.owner = token;
  contribution.lent = true;
  return contribution;
}

void CpuReducer::Reduce(std::shared_ptr<const KeyOperation> operation, const TokenPtr& token,
                        Done done) {
  const KeyId key = operation->key->id;
  const int priority = operation->priority;
  queue_.Add(key, priority,
             [token, operation = std::move(operation), order = token->HoldOrder(),
              done = std::move(done)](bool run) {
               if (!run) {
                 return done(WordedStatus(absl::StatusCode::kCancelled,
                                          [] { return "the store was destroyed"; }));
               }
               absl::StatusOr<Contribution> contribution;
               try {
                 contribution = ReduceOnCpu(*operation);
               } catch (const std::bad_alloc&) {
                 contribution = WordedStatus(absl::StatusCode::kResourceExhausted, [&] {
                   return fmt::format(
                       "{}: memory for a sum of shape {} of {} expected, there is too little",
                       operation->key->label, ShapeString(operation->spec.shape),
                       DTypeName(operation->spec.dtype));
                 });
               }
               done(std::move(contribution));
             });
}

}  // namespace kvstore
