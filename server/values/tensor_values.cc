#include "server/values/tensor_values.h"

#include "server/values/dense_value.h"
#include "server/values/row_value.h"

namespace kvstore {

std::unique_ptr<PartValue> TensorValues::Make(const KeySpec& key, PartId id) {
  if (key.storage == Storage::kRowSparse) return std::make_unique<RowValue>(key, id, updater_);
  return std::make_unique<DenseValue>(key, id, updater_);
}

}  // namespace kvstore
