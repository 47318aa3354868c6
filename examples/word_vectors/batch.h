// From lines of words to what a step needs: which words predict which, which noise they are told
// from, and the rows of the two tables where all of these lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "examples/word_vectors/noise.h"
#include "examples/word_vectors/vocabulary.h"

namespace word_vectors {

struct SamplingOptions {
  uint64_t seed = 1;
  uint32_t window = 8;      // at most so many words on each side
  uint32_t noise = 8;       // words per center
  double subsample = 3e-4;  // words that are a larger part of the text are thinned out; 0: none is
};

// A word, the words around it that it predicts, and noise words that it should not. A center's
// pairs share its noise (Ji et al., "Parallelizing Word2Vec in Shared and Distributed Memory",
// 2016), so a batch needs fewer rows.
struct Center {
  uint32_t input;     // place in Batch::inputs
  uint32_t contexts;  // targets[contexts .. noise): the words around it
  uint32_t noise;     // targets[noise .. end)
  uint32_t end;
};

struct Batch {
  std::vector<int64_t> inputs;   // rows of the input table, ascending, each once
  std::vector<int64_t> outputs;  // rows of the output table, likewise
  std::vector<Center> centers;
  std::vector<uint32_t> targets;  // places in `outputs`
  uint64_t pairs = 0;             // of a center and a word around it
};

// The lines in the order of an epoch: a permutation of 0 .. lines - 1, the same on every worker.
std::vector<uint32_t> OrderOfLines(size_t lines, uint64_t seed, int epoch);

// Every `workers`-th of them from `rank` on: each line belongs to exactly one worker.
std::vector<uint32_t> ShareOf(const std::vector<uint32_t>& order, int rank, int workers);

// Threading: thread-compatible.
class BatchMaker {
 public:
  BatchMaker(const Vocabulary& vocabulary, const SamplingOptions& options);

  // The batch of these lines of the corpus. What is drawn for a line depends on the seed, the epoch
  // and the line alone.
  Batch Make(const Corpus& corpus, const uint32_t* begin, const uint32_t* end, int epoch);

  // With which probability an occurrence of the word stays in the text.
  double KeepProbability(uint32_t id) const { return keep_[id]; }

 private:
  void AddLine(const std::vector<uint32_t>& line, Random random, Batch* batch);

  const SamplingOptions options_;
  const Noise noise_;
  std::vector<double> keep_;
  std::vector<uint32_t> places_;  // of a word in the sorted rows; scratch
  std::vector<uint32_t> kept_;    // scratch
};

}  // namespace word_vectors
