#include "client/dist/cut.h"

#include "client/dist/dense_cut.h"
#include "client/dist/row_sparse_cut.h"

namespace kvstore {

std::shared_ptr<const Cut> MakeCut(const ValueSpec& spec) {
  if (spec.row_sparse) {
    return std::make_shared<RowSparseCut>(spec.dtype, RowShapeOf(spec.shape, spec.dtype));
  }
  return std::make_shared<DenseCut>(spec.dtype, spec.bytes);
}

}  // namespace kvstore
