#include "examples/word_vectors/trainer.h"

#include <algorithm>
#include <chrono>

#include "examples/word_vectors/model.h"

namespace word_vectors {

Trainer::Trainer(const TrainingOptions& options, const Vocabulary& vocabulary, const Corpus& corpus,
                 Tables* tables, int rank, int workers)
    : options_(options),
      corpus_(corpus),
      tables_(tables),
      rank_(rank),
      workers_(workers),
      maker_(vocabulary, options.sampling) {}

Figures Trainer::Epoch(int epoch) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<uint32_t> order = OrderOfLines(corpus_.size(), options_.sampling.seed, epoch);
  Shares shares;
  for (int i = 0; i < options_.simulates; ++i) {
    shares.push_back(ShareOf(order, rank_ + i, workers_));
  }
  // Shares differ by one line at most; every worker pushes equally often, at the end with a smaller
  // batch, or none.
  const size_t workers = static_cast<size_t>(workers_);
  const size_t share_max = (corpus_.size() + workers - 1) / workers;
  const size_t steps = (share_max + options_.batch - 1) / options_.batch;

  Figures figures;
  std::vector<Batch> batches = MakeBatches(shares, 0, epoch);
  for (size_t step = 0; step < steps; ++step) {
    const std::vector<Rows> pulled = tables_->Pull(batches);
    std::vector<Rows> gradients;
    for (size_t i = 0; i < batches.size(); ++i) {
      gradients.push_back(Learn(batches[i], pulled[i], &figures));
    }
    tables_->Push(batches, gradients);
    // While the push is under way. The pull that follows waits for it, and with dist_sync for the
    // other workers'.
    batches = MakeBatches(shares, step + 1, epoch);
  }
  tables_->Wait();
  figures.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return figures;
}

std::vector<Batch> Trainer::MakeBatches(const Shares& shares, size_t step, int epoch) {
  std::vector<Batch> batches;
  for (const std::vector<uint32_t>& share : shares) {
    const size_t begin = std::min(step * options_.batch, share.size());
    const size_t end = std::min(begin + options_.batch, share.size());
    batches.push_back(maker_.Make(corpus_, share.data() + begin, share.data() + end, epoch));
  }
  return batches;
}

Rows Trainer::Learn(const Batch& batch, const Rows& pulled, Figures* figures) {
  const size_t dim = tables_->dim();
  pulled.inputs.WaitToRead();
  pulled.outputs.WaitToRead();
  float* inputs = pulled.inputs.data_as<float>();  // our copy of these rows
  for (size_t i = 0; i < batch.inputs.size(); ++i) {
    AddStart(options_.sampling.seed, static_cast<uint32_t>(batch.inputs[i]), dim, inputs + i * dim);
  }
  Rows gradients = tables_->Gradients(batch);
  figures->loss += Gradient(batch, dim, inputs, pulled.outputs.data_as<float>(),
                            gradients.inputs.data_as<float>(), gradients.outputs.data_as<float>());
  figures->pairs += batch.pairs;
  const size_t rows = batch.inputs.size() + batch.outputs.size();
  figures->rows += 2 * rows;
  figures->bytes += 2 * rows * (dim * sizeof(float) + sizeof(int64_t));
  figures->rows_max = std::max(figures->rows_max, rows);
  return gradients;
}

}  // namespace word_vectors
