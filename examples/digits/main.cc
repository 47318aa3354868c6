// Trains a small network on handwritten digits with a KVStore: each worker computes gradients on
// its share of the images and pushes them; the servers sum and apply them; everybody pulls the
// result.
//
//   kvctl run -n 2 -s 2 -- digits --store dist_sync     two workers, two servers
//   digits --store local --simulate-workers 2           one process, the very same bits
//   digits --store device --context gpu --devices 2     arrays on two GPUs, which sum

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "examples/digits/data.h"
#include "examples/digits/model.h"
#include "examples/support/compression_flag.h"
#include "examples/support/sha256.h"
#include "kvstore/kvstore.h"

namespace digits {
namespace {

struct Options {
  std::string store = "local";
  std::string data = "examples/digits/data/digits.csv";
  int epochs = 20;
  int batch = 32;
  int hidden = 1024;
  int simulate_workers = 1;
  std::string context = "cpu";
  int devices = 1;
  int delay_ms = 0;
  uint64_t seed = 1;
  double learning_rate = 0.1;
  double momentum = 0.9;
  double min_accuracy = 0;
  std::string compression;  // "2bit,threshold=0.5"; empty: none
};

// Parameters where the store finds them, and where the CPU, which does this program's arithmetic,
// does: the same arrays; or, where they are on a GPU, copies in host memory.
class Placed {
 public:
  Placed(Parameters parameters, bool on_gpu, int device) : here_(std::move(parameters)) {
    for (const kvstore::NDArray& array : here_) {
      there_.push_back(on_gpu ? array.Copy(kvstore::Context::Gpu(device)) : array);
    }
  }

  Parameters& there() { return there_; }

  // What the store last filled, to be read here.
  const Parameters& Fetch() {
    for (size_t k = 0; k < here_.size(); ++k) {
      there_[k].WaitToRead();
      if (Differ(k)) there_[k].SyncCopyToCPU(here_[k].data(), Elements(k));
    }
    return here_;
  }
  // To be written here, when the store needs what is there no more; then Bring() brings it there.
  Parameters& ToWrite() {
    for (const kvstore::NDArray& array : there_) array.WaitToWrite();
    return here_;
  }
  void Bring() {
    for (size_t k = 0; k < here_.size(); ++k) {
      if (Differ(k)) there_[k].SyncCopyFromCPU(here_[k].data(), Elements(k));
    }
  }

 private:
  bool Differ(size_t k) const { return there_[k].data() != here_[k].data(); }
  size_t Elements(size_t k) const { return static_cast<size_t>(here_[k].size()); }

  Parameters here_;
  Parameters there_;
};

// The part of the work that one device of one worker has.
struct Share {
  Samples samples;
  std::mt19937_64 random;  // shuffles the samples before each epoch
  Placed gradient;
  size_t weights;  // which it uses
};

class Trainer {
 public:
  explicit Trainer(const Options& options)
      : options_(options),
        model_(options.hidden),
        split_(SplitSamples(Load(options.data), options.seed)),
        store_(kvstore::KVStore::CreateUnique(options.store)),
        rank_(store_->get_rank()),
        // A local store has one worker, which may do the work of several.
        shares_here_(options.devices *
                     (store_->get_group_size() == 1 ? options.simulate_workers : 1)),
        shares_in_all_(store_->get_group_size() * shares_here_) {
    const bool on_gpus = options.context == "gpu";
    for (int device = 0; device < (on_gpus ? options.devices : 1); ++device) {
      // Every worker starts elsewhere: what counts is rank 0's, see Broadcast below.
      weights_.emplace_back(model_.RandomWeights(options.seed + static_cast<uint64_t>(rank_)),
                            on_gpus, device);
    }
    for (int i = 0; i < shares_here_; ++i) {
      const int number = rank_ * shares_here_ + i;
      const int device = i % options.devices;
      shares_.push_back({ShareOf(split_.train, number, shares_in_all_),
                         std::mt19937_64(options.seed + 1000u * static_cast<uint64_t>(number)),
                         Placed(model_.Zeros(), on_gpus, device),
                         on_gpus ? static_cast<size_t>(device) : 0});
      for (size_t k = 0; k < Model::keys().size(); ++k) {
        push_keys_.push_back(Model::keys()[k]);
        push_values_.push_back(shares_.back().gradient.there()[k]);
      }
    }
    for (Placed& weights : weights_) {
      for (size_t k = 0; k < Model::keys().size(); ++k) {
        pull_keys_.push_back(Model::keys()[k]);
        pull_outputs_.push_back(&weights.there()[k]);
      }
    }
  }

  // Returns the accuracy on the test set, in percent.
  double Run() {
    if (!options_.compression.empty()) {
      store_->SetGradientCompression(examples::CompressionOf(options_.compression));
    }
    if (rank_ == 0) {
      store_->SetOptimizer(kvstore::OptimizerSpec("sgd")
                               .Set("learning_rate", options_.learning_rate)
                               .Set("momentum", options_.momentum));
    }
    store_->Barrier();  // nobody pushes before the servers have the optimizer
    // Rank 0's weights become the store's, and everybody's.
    store_->Broadcast(Model::keys(), pull_keys_, weights_[0].there(), pull_outputs_);

    for (int epoch = 1; epoch <= options_.epochs; ++epoch) Epoch(epoch);
    const double accuracy = Accuracy();
    if (rank_ == 0) std::printf("test accuracy %.1f %%\n", accuracy);
    for (Placed& weights : weights_) std::printf("weights sha256 %s\n", HashOf(weights).c_str());
    std::fflush(stdout);
    return accuracy;
  }

 private:
  void Epoch(int epoch) {
    const auto start = std::chrono::steady_clock::now();
    const size_t batch = static_cast<size_t>(options_.batch);
    // Shares differ by one sample at most; every worker pushes equally often, at the end with a
    // smaller batch.
    const auto shares = static_cast<size_t>(shares_in_all_);
    const size_t share_max = (split_.train.size() + shares - 1) / shares;
    const size_t steps = (share_max + batch - 1) / batch;
    const float scale = 1.0f / static_cast<float>(options_.batch * shares_in_all_);

    for (Share& share : shares_) Shuffle(share.samples, share.random);
    double loss = 0;
    for (size_t step = 0; step < steps; ++step) {
      Delay();
      std::vector<const Parameters*> weights;
      for (Placed& each : weights_) weights.push_back(&each.Fetch());
      for (Share& share : shares_) {
        const size_t begin = std::min(step * batch, share.samples.size());
        const size_t end = std::min(begin + batch, share.samples.size());
        loss += model_.Gradient(*weights[share.weights], share.samples.data() + begin,
                                share.samples.data() + end, scale, share.gradient.ToWrite());
        share.gradient.Bring();
      }
      store_->Push(push_keys_, push_values_);
      store_->Pull(pull_keys_, pull_outputs_);
    }
    for (Placed& weights : weights_) weights.Fetch();

    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (rank_ == 0) Report(epoch, loss, static_cast<double>(steps) / seconds.count());
  }

  // One line. MB/s counts what this worker pushed and pulled.
  void Report(int epoch, double loss, double rounds_per_s) {
    size_t samples = 0;
    for (const Share& share : shares_) samples += share.samples.size();
    size_t bytes = 0;
    for (const kvstore::NDArray* array : pull_outputs_) bytes += array->bytes();
    for (const kvstore::NDArray& array : push_values_) bytes += array.bytes();
    std::printf("epoch %2d  loss %.4f  accuracy %.1f %%  %.0f rounds/s  %.1f MB/s\n", epoch,
                loss / static_cast<double>(samples), Accuracy(), rounds_per_s,
                rounds_per_s * static_cast<double>(bytes) / 1e6);
    std::fflush(stdout);
  }

  // Makes workers early and late at random, to show that the result does not depend on it.
  void Delay() {
    if (options_.delay_ms == 0) return;
    std::this_thread::sleep_for(std::chrono::microseconds(
        std::uniform_int_distribution<int>(0, 1000 * options_.delay_ms)(chance_)));
  }

  // On the test set, in percent.
  double Accuracy() { return 100 * model_.Accuracy(weights_[0].Fetch(), split_.test); }

  static std::string HashOf(Placed& weights) {
    examples::Sha256 hash;
    for (const kvstore::NDArray& array : weights.Fetch()) hash.Update(array.data(), array.bytes());
    return hash.Hex();
  }

  const Options options_;
  const Model model_;
  const Split split_;
  const std::unique_ptr<kvstore::KVStore> store_;
  const int rank_;
  const int shares_here_;
  const int shares_in_all_;
  std::vector<Placed> weights_;  // by device that has weights of its own
  std::vector<Share> shares_;
  std::vector<std::string> push_keys_;
  std::vector<kvstore::NDArray> push_values_;
  std::vector<std::string> pull_keys_;
  std::vector<kvstore::NDArray*> pull_outputs_;
  std::mt19937_64 chance_{std::random_device{}()};
};

}  // namespace
}  // namespace digits

int main(int argc, char** argv) {
  digits::Options options;
  CLI::App app("Trains a classifier of handwritten digits through a KVStore.");
  app.option_defaults()->always_capture_default();
  app.add_option("--store", options.store, "type of the KVStore: local, dist_sync, ...");
  app.add_option("--data", options.data, "the images (examples/digits/data/README.md)");
  app.add_option("--epochs", options.epochs, "passes over the images")
      ->check(CLI::Range(1, 100000));
  app.add_option("--batch", options.batch, "images per worker and step")
      ->check(CLI::Range(1, 100000));
  app.add_option("--hidden", options.hidden, "hidden units of the network")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--simulate-workers", options.simulate_workers,
                 "local stores: push the contributions of so many workers")
      ->check(CLI::Range(1, 64));
  app.add_option("--context", options.context, "where the arrays are that the store is given")
      ->check(CLI::IsMember({"cpu", "gpu"}));
  app.add_option("--devices", options.devices,
                 "of each worker: each computes gradients of its own, the worker pushes their sum")
      ->check(CLI::Range(1, 64));
  app.add_option("--delay-ms", options.delay_ms, "wait up to so long at random before each step")
      ->check(CLI::Range(0, 60000));
  app.add_option("--seed", options.seed, "of the split, the first weights and the order");
  app.add_option("--learning-rate", options.learning_rate, "of the servers' SGD");
  app.add_option("--momentum", options.momentum, "of the servers' SGD");
  app.add_option("--compression", options.compression,
                 "of the gradients: a type, then name=number, such as 2bit,threshold=0.01")
      ->type_name("TYPE,NAME=NUMBER...");
  app.add_option("--min-accuracy", options.min_accuracy, "fail below this test accuracy, percent");
  CLI11_PARSE(app, argc, argv);

  try {
    const double accuracy = digits::Trainer(options).Run();
    if (accuracy >= options.min_accuracy) return 0;
    std::fprintf(stderr, "digits: test accuracy of at least %.1f %% expected, got %.1f %%\n",
                 options.min_accuracy, accuracy);
  } catch (const std::exception& error) {  // a kvstore::Error, for one
    std::fprintf(stderr, "digits: %s\n", error.what());
  }
  return 1;
}
