// The two tables of word vectors, as two row_sparse keys of a KVStore. Only the servers hold them:
// a worker pulls the rows of its batch and pushes the gradients of the same rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "examples/word_vectors/batch.h"
#include "kvstore/kvstore.h"

namespace word_vectors {

enum class Table { kInputs, kOutputs };

// The rows that a batch needs, in the order of batch.inputs and batch.outputs; or their gradients.
struct Rows {
  kvstore::NDArray inputs;
  kvstore::NDArray outputs;
};

// Threading: thread-compatible.
class Tables {
 public:
  // `store` outlives the tables. Creates the keys, of `words` rows of `dim` floats, all zero: their
  // shape is all that is sent. Every worker does it.
  Tables(kvstore::KVStore* store, uint32_t words, size_t dim);

  // Queues the pulls of all batches (of several workers in one process) as one call. WaitToRead()
  // before an array is read.
  std::vector<Rows> Pull(const std::vector<Batch>& batches);

  // Arrays for the gradients of a batch; an empty handle where it has no row.
  Rows Gradients(const Batch& batch) const;

  // Queues the pushes of all batches as one call; `gradients` are those of the batches, in their
  // order, and belong to the store from then on.
  void Push(const std::vector<Batch>& batches, const std::vector<Rows>& gradients);

  // Until all pulls and pushes are done.
  void Wait() { store_->WaitAll(); }

  // The rows [begin, end), as this worker may see them; waits for them.
  kvstore::NDArray Read(Table table, uint32_t begin, uint32_t end);

  uint32_t words() const { return words_; }
  size_t dim() const { return dim_; }

 private:
  std::vector<int64_t> Shape() const { return {words_, static_cast<int64_t>(dim_)}; }
  kvstore::NDArray DenseRows(const std::vector<int64_t>& rows) const;

  kvstore::KVStore* const store_;
  const uint32_t words_;
  const size_t dim_;
};

}  // namespace word_vectors
