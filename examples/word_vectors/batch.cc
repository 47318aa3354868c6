#include "examples/word_vectors/batch.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace word_vectors {
namespace {

std::vector<double> KeepProbabilities(const Vocabulary& vocabulary, double subsample) {
  std::vector<double> keep(vocabulary.size(), 1.0);
  if (subsample == 0) return keep;
  // Source: word2vec.c (Mikolov et al. 2013), which keeps a little more than the paper says.
  for (uint32_t id = 0; id < vocabulary.size(); ++id) {
    const double part =
        static_cast<double>(vocabulary.count(id)) / static_cast<double>(vocabulary.total());
    keep[id] = std::min(1.0, (std::sqrt(part / subsample) + 1) * subsample / part);
  }
  return keep;
}

// Makes `ids` the places of words in `rows`, which gets each word once, ascending. `places` has
// room for every word.
template <typename Ids>
void NumberRows(Ids& ids, std::vector<uint32_t>& places, std::vector<int64_t>* rows) {
  for (const uint32_t id : ids) rows->push_back(id);
  std::sort(rows->begin(), rows->end());
  rows->erase(std::unique(rows->begin(), rows->end()), rows->end());
  for (size_t i = 0; i < rows->size(); ++i) {
    places[static_cast<size_t>((*rows)[i])] = static_cast<uint32_t>(i);
  }
  for (uint32_t& id : ids) id = places[id];
}

}  // namespace

std::vector<uint32_t> OrderOfLines(size_t lines, uint64_t seed, int epoch) {
  std::vector<uint32_t> order(lines);
  for (size_t i = 0; i < lines; ++i) order[i] = static_cast<uint32_t>(i);
  Random random{seed, kLineOrder, static_cast<uint64_t>(epoch)};
  for (size_t left = lines; left > 1; --left) {
    std::swap(order[left - 1], order[random.Below(static_cast<uint32_t>(left))]);
  }
  return order;
}

std::vector<uint32_t> ShareOf(const std::vector<uint32_t>& order, int rank, int workers) {
  std::vector<uint32_t> share;
  for (size_t i = static_cast<size_t>(rank); i < order.size(); i += static_cast<size_t>(workers)) {
    share.push_back(order[i]);
  }
  return share;
}

BatchMaker::BatchMaker(const Vocabulary& vocabulary, const SamplingOptions& options)
    : options_(options),
      noise_(vocabulary.counts()),
      keep_(KeepProbabilities(vocabulary, options.subsample)),
      places_(vocabulary.size()) {}

Batch BatchMaker::Make(const Corpus& corpus, const uint32_t* begin, const uint32_t* end,
                       int epoch) {
  Batch batch;
  std::vector<uint32_t> inputs;
  for (const uint32_t* line = begin; line != end; ++line) {
    AddLine(corpus[*line], {options_.seed, kLineDraws, static_cast<uint64_t>(epoch), *line},
            &batch);
  }
  for (const Center& center : batch.centers) inputs.push_back(center.input);
  NumberRows(inputs, places_, &batch.inputs);
  for (size_t i = 0; i < inputs.size(); ++i) batch.centers[i].input = inputs[i];
  NumberRows(batch.targets, places_, &batch.outputs);
  return batch;
}

void BatchMaker::AddLine(const std::vector<uint32_t>& line, Random random, Batch* batch) {
  kept_.clear();
  for (const uint32_t id : line) {
    if (random.Unit() < keep_[id]) kept_.push_back(id);
  }
  if (kept_.size() < 2) return;
  for (size_t i = 0; i < kept_.size(); ++i) {
    // Words nearer by are drawn more often: the window has a random size.
    const size_t window = 1 + random.Below(options_.window);
    Center center{kept_[i], static_cast<uint32_t>(batch->targets.size()), 0, 0};
    for (size_t j = i - std::min(i, window); j < std::min(kept_.size(), i + window + 1); ++j) {
      if (j != i) batch->targets.push_back(kept_[j]);
    }
    center.noise = static_cast<uint32_t>(batch->targets.size());
    for (uint32_t n = 0; n < options_.noise; ++n) batch->targets.push_back(noise_.Draw(random));
    center.end = static_cast<uint32_t>(batch->targets.size());
    batch->pairs += center.noise - center.contexts;
    batch->centers.push_back(center);
  }
}

}  // namespace word_vectors
