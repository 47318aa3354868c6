// AnyCut: the cut of a value, of whatever storage. A value itself: it takes no memory.
#pragma once

#include <variant>

#include "client/dist/cut.h"
#include "client/dist/dense_cut.h"
#include "client/dist/row_sparse_cut.h"
#include "client/store/store_backend.h"
#include "common/rows/row_cut.h"

namespace kvstore {

// Immutable.
class AnyCut {
 public:
  // Of a value that is known.
  explicit AnyCut(const ValueSpec& spec) : cut_(MakeCut(spec)) {}

  const Cut& operator*() const {
    return std::visit([](const Cut& cut) -> const Cut& { return cut; }, cut_);
  }
  const Cut* operator->() const { return &**this; }

 private:
  using Variant = std::variant<DenseCut, RowSparseCut>;

  static Variant MakeCut(const ValueSpec& spec) {
    if (spec.row_sparse) return RowSparseCut(spec.dtype, RowShapeOf(spec.shape, spec.dtype));
    return DenseCut(spec.dtype, spec.bytes);
  }

  const Variant cut_;
};

}  // namespace kvstore
