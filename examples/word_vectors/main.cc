// Learns vectors for the words of a text with a KVStore: the words that occur in the same places
// get vectors that point the same way. The tables of vectors lie on the servers; a worker pulls
// just the rows that its batch needs, and pushes their gradients.
//
//   kvctl run -n 2 -s 2 -- word_vectors --store dist_sync   two workers, two servers
//   word_vectors --store local --simulate-workers 2         one process, the very same bits

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "examples/support/compression_flag.h"
#include "examples/word_vectors/results.h"
#include "examples/word_vectors/tables.h"
#include "examples/word_vectors/text.h"
#include "examples/word_vectors/trainer.h"
#include "examples/word_vectors/vocabulary.h"
#include "kvstore/kvstore.h"

namespace word_vectors {
namespace {

// Those of the default text whose neighbours are printed, if nothing else is asked for.
const std::vector<std::string> kShownWords = {"king",     "moses", "egypt",  "bread",
                                              "gold",     "sea",   "mother", "sword",
                                              "chariots", "five",  "jesus",  "wisdom"};

struct Options {
  std::string store = "local";
  std::string compression;  // "2bit,threshold=0.01"; empty: none
  std::string text = kDefaultText;
  TrainingOptions training;
  int epochs = 5;
  uint64_t count_min = 2;
  uint32_t dim = 64;
  double learning_rate = 0.05;
  std::vector<std::string> words;
  size_t neighbours = 6;
  uint64_t neighbour_count_min = 10;
};

std::vector<uint32_t> IdsOfShown(const Options& options, const Vocabulary& vocabulary) {
  std::vector<uint32_t> ids;
  for (const std::string& word : options.words) ids.push_back(vocabulary.IdOf(word));
  if (!ids.empty()) return ids;
  for (const std::string& word : kShownWords) {
    if (vocabulary.Has(word)) ids.push_back(vocabulary.IdOf(word));
  }
  return ids;
}

void Report(int epoch, const Figures& figures, size_t rows_of_tables) {
  std::printf("epoch %2d  loss %.4f  %.0f rows/s  %.1f MB/s  a batch has at most %zu of %zu rows\n",
              epoch, figures.loss / static_cast<double>(std::max<uint64_t>(figures.pairs, 1)),
              static_cast<double>(figures.rows) / figures.seconds,
              static_cast<double>(figures.bytes) / figures.seconds / 1e6, figures.rows_max,
              rows_of_tables);
  std::fflush(stdout);
}

void PrintNeighbours(const std::vector<uint32_t>& shown, const Options& options,
                     const Vocabulary& vocabulary, Tables* tables) {
  const auto found = NeighboursOf(shown, options.neighbours, options.neighbour_count_min,
                                  vocabulary, options.training.sampling.seed, tables);
  for (size_t i = 0; i < shown.size(); ++i) {
    std::printf("%-10s", vocabulary.word(shown[i]).c_str());
    for (const Neighbour& neighbour : found[i]) {
      std::printf("  %s %.2f", vocabulary.word(neighbour.id).c_str(), neighbour.cosine);
    }
    std::printf("\n");
  }
}

void Run(const Options& options) {
  const std::vector<Line> lines = SplitText(LoadText(options.text));
  const Vocabulary vocabulary(lines, options.count_min);
  const Corpus corpus = vocabulary.Encode(lines);
  const std::vector<uint32_t> shown = IdsOfShown(options, vocabulary);

  const auto store = kvstore::KVStore::CreateUnique(options.store);
  if (!options.compression.empty()) {
    store->SetGradientCompression(examples::CompressionOf(options.compression));
  }
  const int rank = store->get_rank();
  TrainingOptions training = options.training;
  // A local store has one worker, which may do the work of several.
  if (store->get_group_size() > 1) training.simulates = 1;
  if (rank == 0) {
    std::printf("%zu lines, %zu words in a vocabulary of %u, two tables of %u x %u floats\n",
                lines.size(), static_cast<size_t>(vocabulary.total()), vocabulary.size(),
                vocabulary.size(), options.dim);
    store->SetOptimizer(
        kvstore::OptimizerSpec("adagrad").Set("learning_rate", options.learning_rate));
  }
  store->Barrier();  // nobody pushes before the servers have the optimizer
  Tables tables(store.get(), vocabulary.size(), options.dim);
  Trainer trainer(training, vocabulary, corpus, &tables, rank,
                  store->get_group_size() * training.simulates);
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    const Figures figures = trainer.Epoch(epoch);
    if (rank == 0) Report(epoch, figures, 2 * size_t{vocabulary.size()});
  }
  store->Barrier();  // everybody's pushes are in the tables
  if (rank == 0) PrintNeighbours(shown, options, vocabulary, &tables);
  std::printf("tables sha256 %s\n", HashOf(&tables).c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace word_vectors

int main(int argc, char** argv) {
  word_vectors::Options options;
  word_vectors::SamplingOptions& sampling = options.training.sampling;
  CLI::App app("Learns vectors for the words of a text through a KVStore.");
  app.option_defaults()->always_capture_default();
  app.add_option("--store", options.store,
                 "type of the KVStore: local, dist_sync, dist_async, dist_ssp:2, ...");
  app.add_option("--text", options.text, "plain text, or the file of Debian's bible-kjv-text");
  app.add_option("--epochs", options.epochs, "passes over the text")->check(CLI::Range(1, 100000));
  app.add_option("--batch", options.training.batch, "lines per worker and step")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--dim", options.dim, "length of a vector")->check(CLI::Range(1, 4096));
  app.add_option("--window", sampling.window, "words on each side that a word predicts, at most")
      ->check(CLI::Range(1, 100));
  app.add_option("--noise", sampling.noise, "noise words that it is told from")
      ->check(CLI::Range(0, 1000));
  app.add_option("--subsample", sampling.subsample,
                 "thin out words that are a larger part of the text; 0: none")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--min-count", options.count_min, "leave out words that occur less often")
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--learning-rate", options.learning_rate, "of the servers' AdaGrad");
  app.add_option("--seed", sampling.seed, "of everything that is drawn");
  app.add_option("--compression", options.compression,
                 "of the gradients: a type, then name=number, such as 2bit,threshold=0.01")
      ->type_name("TYPE,NAME=NUMBER...");
  app.add_option("--simulate-workers", options.training.simulates,
                 "local stores: push the contributions of so many workers")
      ->check(CLI::Range(1, 64));
  app.add_option("--words", options.words, "whose neighbours to print, separated by commas")
      ->delimiter(',');
  app.add_option("--neighbours", options.neighbours, "how many of each")
      ->check(CLI::Range(0, 1000));
  app.add_option("--neighbour-min-count", options.neighbour_count_min,
                 "words that occur less often are nobody's neighbours");
  CLI11_PARSE(app, argc, argv);

  try {
    word_vectors::Run(options);
    return 0;
  } catch (const std::exception& error) {  // a kvstore::Error, for one
    std::fprintf(stderr, "word_vectors: %s\n", error.what());
  }
  return 1;
}
