// The training of word vectors with a KVStore: every worker learns from its share of the lines,
// batch by batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "examples/word_vectors/batch.h"
#include "examples/word_vectors/tables.h"
#include "examples/word_vectors/vocabulary.h"

namespace word_vectors {

struct TrainingOptions {
  SamplingOptions sampling;
  uint32_t batch = 32;  // lines per worker and step
  int simulates = 1;    // how many workers' batches this process pushes
};

// Of one epoch, this process alone.
struct Figures {
  double loss = 0;  // the sum over all pairs
  uint64_t pairs = 0;
  uint64_t rows = 0;    // pulled and pushed
  uint64_t bytes = 0;   // of these rows and their ids
  size_t rows_max = 0;  // that one worker's batch needed, of both tables
  double seconds = 0;
};

class Trainer {
 public:
  // All of these outlive the trainer. `rank` is the first of the workers that this process is, of
  // `workers`.
  Trainer(const TrainingOptions& options, const Vocabulary& vocabulary, const Corpus& corpus,
          Tables* tables, int rank, int workers);

  // Every worker calls it as often; with dist_sync they go step by step.
  Figures Epoch(int epoch);

 private:
  // The lines of each worker that this process is.
  using Shares = std::vector<std::vector<uint32_t>>;
  std::vector<Batch> MakeBatches(const Shares& shares, size_t step, int epoch);
  // The gradient at the rows that were pulled.
  Rows Learn(const Batch& batch, const Rows& pulled, Figures* figures);

  const TrainingOptions options_;
  const Corpus& corpus_;
  Tables* const tables_;
  const int rank_;
  const int workers_;
  BatchMaker maker_;
};

}  // namespace word_vectors
