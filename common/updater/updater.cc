#include "common/updater/updater.h"

namespace kvstore {

size_t UpdaterState::bytes() const {
  size_t total = 0;
  for (const MutableBufferPtr& tensor : tensors) total += tensor->size();
  return total;
}

}  // namespace kvstore
