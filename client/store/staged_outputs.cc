#include "client/store/staged_outputs.h"

#include <algorithm>
#include <utility>

#include "client/array/ndarray_impl.h"
#include "client/device/device_library.h"
#include "common/base/status_macros.h"

namespace kvstore {

StagedOutputs StagedOutputs::In(KeyOperation* operation) {
  StagedOutputs made;
  Arrays outputs = operation->outputs;
  for (NDArray& output : outputs) {
    if (!OnDevice(output.context())) continue;
    const auto same =
        std::find_if(made.staged_.begin(), made.staged_.end(),
                     [&](const Staged& staged) { return staged.output.impl() == output.impl(); });
    if (same == made.staged_.end()) {
      const bool rows = output.storage_type() == StorageType::kRowSparse;
      made.staged_.push_back({rows ? MakeRowSparseArray(output.shape(), output.dtype())
                                   : MakeArray(output.shape(), output.dtype()),
                              output});
      output = made.staged_.back().on_host;
    } else {
      output = same->on_host;
    }
  }
  if (operation->kind == OperationKind::kPullRows) {
    for (const Staged& staged : made.staged_) staged.output.impl()->SetRows({});
  }
  operation->outputs = std::move(outputs);
  return made;
}

absl::Status StagedOutputs::CopyToDevices() const {
  for (const Staged& staged : staged_) {
    const NDArray& to = staged.output;
    if (to.storage_type() == StorageType::kRowSparse) {
      KVS_RETURN_IF_ERROR(CopyRows(staged.on_host, to));
      continue;
    }
    KVS_RETURN_IF_ERROR(CopyBytes({to.context(), to.data()}, {Context(), staged.on_host.data()},
                                  staged.on_host.bytes()));
  }
  return absl::OkStatus();
}

}  // namespace kvstore
