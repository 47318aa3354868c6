#include "examples/word_vectors/tables.h"

#include <algorithm>
#include <string>
#include <utility>

namespace word_vectors {
namespace {

using kvstore::NDArray;

const std::vector<std::string>& Keys() {
  static const std::vector<std::string> keys = {"words.input", "words.output"};
  return keys;
}

NDArray IdsOf(const std::vector<int64_t>& rows) {
  if (rows.empty()) return NDArray();
  const NDArray ids({static_cast<int64_t>(rows.size())}, kvstore::DataType::kInt64);
  std::copy(rows.begin(), rows.end(), ids.data_as<int64_t>());
  return ids;
}

}  // namespace

Tables::Tables(kvstore::KVStore* store, uint32_t words, size_t dim)
    : store_(store), words_(words), dim_(dim) {
  const NDArray zeros = NDArray::RowSparse(Shape());
  store_->Init(Keys(), {zeros, zeros});
}

std::vector<Rows> Tables::Pull(const std::vector<Batch>& batches) {
  std::vector<Rows> pulled;
  for (size_t i = 0; i < batches.size(); ++i) {
    pulled.push_back({NDArray::RowSparse(Shape()), NDArray::RowSparse(Shape())});
  }
  std::vector<std::string> keys;
  std::vector<std::pair<NDArray*, NDArray>> outputs_and_row_ids;
  for (size_t i = 0; i < batches.size(); ++i) {
    keys.insert(keys.end(), Keys().begin(), Keys().end());
    outputs_and_row_ids.emplace_back(&pulled[i].inputs, IdsOf(batches[i].inputs));
    outputs_and_row_ids.emplace_back(&pulled[i].outputs, IdsOf(batches[i].outputs));
  }
  store_->PullRowSparse(keys, outputs_and_row_ids);
  return pulled;
}

NDArray Tables::DenseRows(const std::vector<int64_t>& rows) const {
  if (rows.empty()) return NDArray();
  return NDArray({static_cast<int64_t>(rows.size()), static_cast<int64_t>(dim_)});
}

Rows Tables::Gradients(const Batch& batch) const {
  return {DenseRows(batch.inputs), DenseRows(batch.outputs)};
}

void Tables::Push(const std::vector<Batch>& batches, const std::vector<Rows>& gradients) {
  std::vector<std::string> keys;
  std::vector<NDArray> values;
  for (size_t i = 0; i < batches.size(); ++i) {
    keys.insert(keys.end(), Keys().begin(), Keys().end());
    values.push_back(NDArray::RowSparse(Shape(), batches[i].inputs, gradients[i].inputs));
    values.push_back(NDArray::RowSparse(Shape(), batches[i].outputs, gradients[i].outputs));
  }
  store_->Push(keys, values);
}

NDArray Tables::Read(Table table, uint32_t begin, uint32_t end) {
  std::vector<int64_t> rows(end - begin);
  for (uint32_t i = 0; i < rows.size(); ++i) rows[i] = begin + i;
  NDArray pulled = NDArray::RowSparse(Shape());
  const std::vector<std::string> key = {Keys()[table == Table::kInputs ? 0 : 1]};
  store_->PullRowSparse(key, {{&pulled, IdsOf(rows)}});
  pulled.WaitToRead();
  return pulled;
}

}  // namespace word_vectors
