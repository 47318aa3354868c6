#include "client/reduce/cpu_reducer.h"

#include <memory>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "client/array/ndarray_impl.h"
#include "client/reduce/under_way.h"
#include "client/store/row_values.h"
#include "common/base/status_macros.h"
#include "common/cluster/partitioner.h"
#include "common/kernels/convert.h"
#include "common/rows/ascending.h"
#include "common/rows/row_cut.h"
#include "common/tensor/buffer.h"

namespace kvstore {
namespace {

constexpr size_t kListed = 8;  // arrays for whose addresses no memory is taken

}  // namespace

absl::StatusOr<Contribution> SumByParts(Reducer& reducer, absl::Span<const NDArray> values) {
  const auto sum = std::make_shared<Buffer>(values[0].bytes());
  const DType dtype = ToDType(values[0].dtype());
  const size_t width = DTypeBytes(dtype);
  KVS_RETURN_IF_ERROR(
      RunAhead(&reducer.threads(), PartCount(sum->size()), [&](size_t block, size_t) {
        const auto part = static_cast<PartIndex>(block);
        const ElementRange range{PartOffset(part) / width, PartBytes(sum->size(), part) / width};
        return reducer.BeginFold(dtype, values, range, FoldedAs::kRounded, StoresFor(sum->size()),
                                 sum->data() + PartOffset(part));
      }));
  Contribution contribution;
  contribution.data = sum->data();
  contribution.owner = sum;
  return contribution;
}

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

absl::StatusOr<Contribution> CpuReducer::Reduce(const KeyOperation& operation) {
  const ValueSpec& spec = operation.spec;
  absl::Span<const NDArray> values = operation.values;
  if (!spec.row_sparse) return ReduceDense(values);
  Contribution contribution;
  contribution.rows =
      values.size() == 1 ? RowsOf(values[0]) : RowsOf(spec, kvstore::FoldRows(spec, values));
  return contribution;
}

absl::StatusOr<Contribution> CpuReducer::ReduceDense(absl::Span<const NDArray> given) {
  const Arrays values = AllDense(given);
  if (values.size() > 1) return SumByParts(*this, values);
  Contribution contribution;
  contribution.data = values[0].data_as<uint8_t>();
  contribution.owner = values[0].impl();
  return contribution;
}

absl::Status CpuReducer::Fold(DType dtype, absl::Span<const NDArray> values,
                              const ElementRange& range, FoldedAs as, Stores stores,
                              void* sum) const {
  absl::InlinedVector<const void*, kListed> sources;
  sources.reserve(values.size());
  for (const NDArray& value : values) {
    sources.push_back(value.data_as<uint8_t>() + range.first * DTypeBytes(dtype));
  }
  if (as == FoldedAs::kRounded && AccumulatorOf(dtype) != dtype) {
    RoundedFold(dtype, sum, sources.data(), sources.size(), range.elements);
  } else {
    LeftFold(dtype, sum, sources.data(), sources.size(), range.elements, stores);
  }
  return absl::OkStatus();
}

absl::StatusOr<RowSum> CpuReducer::FoldRows(const ValueSpec& spec,
                                            absl::Span<const NDArray> values) const {
  if (values.size() == 1 && AccumulatorOf(spec.dtype) == spec.dtype) {
    const Rows rows = RowsOf(values[0]);
    if (Ascend(rows.ids, rows.count)) {
      return RowSum::Lent(spec.dtype, RowShapeOf(spec.shape, spec.dtype).row_elements, rows.ids,
                          rows.count, rows.data);
    }
  }
  return kvstore::FoldRows(spec, values);
}

absl::Status CpuReducer::Broadcast(DType dtype, const void* data, const ElementRange& range,
                                   Stores stores, absl::Span<const NDArray> outputs) const {
  absl::InlinedVector<void*, kListed> alike;
  for (const NDArray& output : outputs) {
    const DType to = ToDType(output.dtype());
    uint8_t* const out = output.data_as<uint8_t>() + range.first * DTypeBytes(to);
    if (to == dtype && stores == Stores::kStreamed) {
      alike.push_back(out);
    } else {
      Convert(dtype, data, to, out, range.elements);
    }
  }
  Spread(alike.data(), alike.size(), data, range.elements * DTypeBytes(dtype));
  return absl::OkStatus();
}

}  // namespace kvstore
