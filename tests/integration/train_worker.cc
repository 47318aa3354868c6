// A worker with a closed formula: every pull is checked against it, so any lost, repeated or
// misplaced contribution shows at once. The process tests start it, kill it, and read its lines:
//
//   rank 0 round 12            after each round (flushed)
//   rank 0 done 40             after the last one
//   rank 0 dead: 0 workers, 1 servers, server 1 1, worker 1 0
//   rank 0 error DATA_LOSS after 1.25 s: server 1 (127.0.0.1:4711) died …
//
// Key k of worker r gets the gradient (r+1)·(k+1) in every round; the optimizer is `sum`, so after
// round n every element is n·(k+1)·Σ(r+1): integers, exact in f32 far beyond what is run here. A
// worker that leaves after m rounds counts m times. On dist_async a pull between has at least its
// own pushes, on dist_ssp:<s> also all but the last s of everybody's, and after the last barrier
// all have all. Seconds are those since the last good round.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kvstore/kvstore.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string store = "dist_sync";
  std::string dtype = "f32";
  int rounds = 10;
  int keys = 3;
  int64_t elements = 1000;
  int64_t row_width = 0;  // 0: dense keys; else row_sparse ones, of rows of so many elements
  int delay_ms = 0;       // up to so long, at random, before each round
  int leaver = -1;        // this rank leaves in order …
  int leave_after = 0;    // … after so many rounds; every worker is told
  int abandon_after = 0;  // throw after so many rounds; 0: never
  bool barriers = false;
  unsigned seed = 1;
  // From that step on (round n is of step n - 1) the sums count three times: that is what kvctl is
  // to change, while the workers wait as below; 0: never.
  int changed_from = 0;
  std::string wait_for;  // a file: after round 3, until nobody has it locked
  std::string profile;   // rank 0 has the servers record the rounds, and write this file
};

void Say(int rank, const std::string& line) {
  std::printf("rank %d %s\n", rank, line.c_str());
  std::fflush(stdout);
}

// Throws when an element differs from the closed formula. With `own_rank` it is the least that may
// be: that worker's `round` pushes, and all but the last `behind` of the others'.
template <typename Element>
void CheckValue(const kvstore::NDArray& value, int key, int round, int workers,
                const Options& options, int own_rank = -1, int behind = 0) {
  double sum = 0;
  for (int rank = 0; rank < workers; ++rank) {
    int pushes = rank == own_rank ? round : std::max(round - behind, 0);
    if (options.changed_from > 0) pushes += 2 * std::max(pushes - options.changed_from, 0);
    sum += (rank + 1) * (rank == options.leaver ? std::min(pushes, options.leave_after) : pushes);
  }
  const double expected = sum * (key + 1);
  const auto* data = value.data_as<Element>();
  for (int64_t i = 0; i < value.size(); ++i) {
    const bool at_least = own_rank >= 0;
    if (at_least ? data[i] < static_cast<Element>(expected)
                 : data[i] != static_cast<Element>(expected)) {
      throw std::runtime_error("key " + std::to_string(key) + " round " + std::to_string(round) +
                               " element " + std::to_string(i) + ": " + std::to_string(expected) +
                               " expected, got " + std::to_string(data[i]));
    }
  }
}

template <typename Element>
void Train(const Options& options, kvstore::KVStore& store, Clock::time_point* last_good) {
  const int rank = store.get_rank();
  const int workers = store.get_group_size();
  const size_t bound = options.store.find("ssp:");
  const bool bounded = bound != std::string::npos;
  const bool async = bounded || options.store.find("async") != std::string::npos;
  // Of whose pushes a pull between may lack so many.
  const int behind = bounded ? std::stoi(options.store.substr(bound + 4))
                     : async ? options.rounds
                             : 0;
  std::mt19937 random(options.seed * 1000 + static_cast<unsigned>(rank));
  const kvstore::DataType dtype =
      sizeof(Element) == 8 ? kvstore::DataType::kFloat64 : kvstore::DataType::kFloat32;
  const int64_t width = options.row_width;
  const std::vector<int64_t> shape = width == 0
                                         ? std::vector<int64_t>{options.elements}
                                         : std::vector<int64_t>{options.elements / width, width};
  std::vector<int> keys;
  std::vector<kvstore::NDArray> zeros, gradients, weights;
  std::vector<kvstore::NDArray*> outputs;
  for (int key = 0; key < options.keys; ++key) {
    keys.push_back(key);
    zeros.push_back(width == 0 ? kvstore::NDArray(shape, dtype)
                               : kvstore::NDArray::RowSparse(shape, dtype));
    gradients.emplace_back(shape, dtype);
    weights.emplace_back(shape, dtype);
    auto* gradient = gradients.back().data_as<Element>();
    for (int64_t i = 0; i < gradients.back().size(); ++i) {
      gradient[i] = static_cast<Element>((rank + 1) * (key + 1));
    }
  }
  for (kvstore::NDArray& weight : weights) outputs.push_back(&weight);
  store.Init(keys, zeros);
  const bool changes = options.changed_from > 0;
  if (rank == 0) store.SetOptimizer(kvstore::OptimizerSpec(changes ? "test" : "sum"));
  store.WaitAll();
  using Command = kvstore::KVStoreServerProfilerCommand;
  if (!options.profile.empty()) {  // of the other ranks this is nothing
    store.SetServerProfilerCommand(Command::kSetConfig, "filename:" + options.profile);
    store.SetServerProfilerCommand(Command::kState, "1");
  }
  store.Barrier();
  for (int round = 1; round <= options.rounds; ++round) {
    if (options.delay_ms > 0) {
      // Shakes the timing between workers; nothing waits for this to be long enough.
      std::this_thread::sleep_for(std::chrono::milliseconds(
          std::uniform_int_distribution<int>(0, options.delay_ms)(random)));
    }
    store.Push(keys, gradients);
    store.Pull(keys, outputs);
    for (int key = 0; key < options.keys; ++key) {
      weights[static_cast<size_t>(key)].WaitToRead();
      CheckValue<Element>(weights[static_cast<size_t>(key)], key, round, workers, options,
                          async ? rank : -1, behind);
      const auto staleness = static_cast<int64_t>(store.staleness(key));
      if (bounded && staleness > behind) {
        throw std::runtime_error("round " + std::to_string(round) + " is given a staleness of " +
                                 std::to_string(staleness));
      }
    }
    if (options.barriers) store.Barrier();
    store.Step();
    *last_good = Clock::now();
    Say(rank, "round " + std::to_string(round));
    if (rank == options.leaver && round == options.leave_after) {
      store.Leave();
      Say(rank, "left " + std::to_string(round));
      return;
    }
    if (round == 3 && !options.wait_for.empty()) {
      Say(rank, "waits");
      const int file = open(options.wait_for.c_str(), O_RDONLY | O_CLOEXEC);
      if (file < 0 || flock(file, LOCK_SH) != 0) throw std::runtime_error(options.wait_for);
      close(file);
    }
    if (round == options.abandon_after) throw std::runtime_error("abandoned on purpose");
  }
  if (async) {
    store.WaitAll();
    store.Barrier();
    store.Pull(keys, outputs);
    for (int key = 0; key < options.keys; ++key) {
      weights[static_cast<size_t>(key)].WaitToRead();
      CheckValue<Element>(weights[static_cast<size_t>(key)], key, options.rounds, workers, options);
    }
  }
  if (!options.profile.empty()) {
    store.Barrier();
    store.SetServerProfilerCommand(Command::kDump, "1");
  }
  Say(rank, "done " + std::to_string(options.rounds));
}

void SayWhoIsDead(const kvstore::KVStore& store) {
  const std::string workers = std::to_string(store.get_num_dead_node(kvstore::kWorkerGroup));
  const std::string servers = std::to_string(store.get_num_dead_node(kvstore::kServerGroup));
  // Single nodes: server r is 8 + 2r, worker r is 9 + 2r.
  const std::string server_1 = std::to_string(store.get_num_dead_node(8 + 2 * 1));
  const std::string worker_1 = std::to_string(store.get_num_dead_node(9 + 2 * 1));
  Say(store.get_rank(), "dead: " + workers + " workers, " + servers + " servers, server 1 " +
                            server_1 + ", worker 1 " + worker_1);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"a worker whose results have a closed formula"};
  app.add_option("--store", options.store);
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"f32", "f64"}));
  app.add_option("--rounds", options.rounds);
  app.add_option("--keys", options.keys);
  app.add_option("--elements", options.elements);
  app.add_option("--row-width", options.row_width);
  app.add_option("--delay-ms", options.delay_ms);
  app.add_option("--leaver", options.leaver);
  app.add_option("--leave-after", options.leave_after);
  app.add_option("--abandon-after", options.abandon_after);
  app.add_flag("--barriers", options.barriers);
  app.add_option("--seed", options.seed);
  app.add_option("--changed-from", options.changed_from);
  app.add_option("--wait-for", options.wait_for);
  app.add_option("--profile", options.profile);
  CLI11_PARSE(app, argc, argv);

  int rank = -1;
  Clock::time_point last_good = Clock::now();
  try {
    std::unique_ptr<kvstore::KVStore> store = kvstore::KVStore::CreateUnique(options.store);
    rank = store->get_rank();
    Say(rank, "ready pid " + std::to_string(getpid()));
    last_good = Clock::now();
    try {
      if (options.dtype == "f64") {
        Train<double>(options, *store, &last_good);
      } else {
        Train<float>(options, *store, &last_good);
      }
    } catch (const kvstore::Error&) {
      SayWhoIsDead(*store);
      throw;
    }
    return 0;
  } catch (const kvstore::Error& error) {
    const double seconds = std::chrono::duration<double>(Clock::now() - last_good).count();
    char text[64];
    std::snprintf(text, sizeof text,
                  "error %s after %.2f s: ", kvstore::ErrorCodeName(error.code()), seconds);
    Say(rank, text + std::string(error.what()));
    return 3;
  } catch (const std::exception& error) {
    Say(rank, std::string("wrong: ") + error.what());
    return 4;
  }
}
