// What sums of several large arrays, and copies to as many, cost on the store of one process,
// beside what the machine's memory gives: STREAM's copy (b = a) and triad (c = a + s b) in the same
// run, by as many threads: the store's default, the CPUs, at most 4 (`taskset -c 0 local_bench`:
// one).
//
//   local_bench [--json] [store] [values] [keys] [elements] [passes] [optimizer]
//   default: local 4 25 1000000 15 assign
//
// In each pass one Push of `values` arrays for each key, waited for; one Pull of each key into as
// many; the same as one after the other without waiting in between, and as one PushPull; with
// STREAM in turns. Printed: the median of the passes, least and most, in ms; and the bytes that the
// work must move at least, 4 (values + 1) an element for push and as much for pull, as GB/s and as
// a share of the triad's. What comes out is checked. --json: as one line, in seconds, what
// bench/peers reads.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/machine_limits.h"
#include "kvstore/kvstore.h"

namespace kvstore::bench {
namespace {

struct Times {
  std::vector<double> seconds;

  void Measure(bool counts, const std::function<void()>& run) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (counts) seconds.push_back(took.count());
  }
  double Median() {
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }
};

// STREAM's arrays, as large as what the store moves, and its loops.
class Stream {
 public:
  Stream(size_t bytes, size_t threads)
      : elements_(bytes / 3 / sizeof(double)),
        threads_(threads),
        a_(elements_, 1.0),
        b_(elements_, 2.0),
        c_(elements_, 0.0) {}

  double bytes_copied() const { return 2.0 * 8.0 * static_cast<double>(elements_); }
  double bytes_of_triad() const { return 3.0 * 8.0 * static_cast<double>(elements_); }
  void Copy() {
    Share([this](size_t begin, size_t end) {
      const double* a = a_.data();
      double* b = b_.data();
      for (size_t i = begin; i < end; ++i) b[i] = a[i];
    });
  }
  void Triad() {
    Share([this](size_t begin, size_t end) {
      const double *a = a_.data(), *b = b_.data();
      double* c = c_.data();
      for (size_t i = begin; i < end; ++i) c[i] = a[i] + 3.0 * b[i];
    });
  }

 private:
  void Share(const std::function<void(size_t, size_t)>& loop) const {
    std::vector<std::thread> others;
    const size_t each = elements_ / threads_;
    for (size_t t = 1; t < threads_; ++t) others.emplace_back(loop, (t - 1) * each, t * each);
    loop((threads_ - 1) * each, elements_);
    for (std::thread& other : others) other.join();
  }

  const size_t elements_;
  const size_t threads_;
  std::vector<double> a_, b_, c_;
};

struct Plan {
  std::string store = "local";
  size_t values = 4;
  int keys = 25;
  int64_t elements = 1000000;
  int passes = 15;
  std::string optimizer = "assign";
};

class Model {
 public:
  explicit Model(const Plan& plan) : store_(KVStore::CreateUnique(plan.store)) {
    std::vector<NDArray> initial;
    for (int key = 0; key < plan.keys; ++key) {
      keys_.push_back(key);
      initial.emplace_back(std::vector<int64_t>{plan.elements});
    }
    store_->Init(keys_, initial);
    if (plan.optimizer != "assign") store_->SetOptimizer(OptimizerSpec(plan.optimizer));
    for (size_t value = 0; value < plan.values; ++value) {
      for (int key = 0; key < plan.keys; ++key) {
        gradients_.emplace_back(std::vector<int64_t>{plan.elements});
        auto* const data = gradients_.back().data_as<float>();
        for (int64_t i = 0; i < plan.elements; ++i) {
          data[i] = static_cast<float>(value + static_cast<size_t>((i + key) % 1000));
        }
        outputs_.emplace_back(std::vector<int64_t>{plan.elements});
        names_.push_back(key);
      }
    }
    for (NDArray& output : outputs_) to_.push_back(&output);
  }

  void Push() { store_->Push(names_, gradients_); }
  void Pull() { store_->Pull(names_, to_); }
  void PushPull() { store_->PushPull(names_, names_, gradients_, to_); }
  void Wait() { store_->WaitAll(); }
  // Whether the outputs are the sums, where there is no optimizer; they are spoiled.
  bool CheckSums(const Plan& plan) {
    bool right = true;
    for (size_t n = 0; n < outputs_.size(); ++n) {
      auto* const data = outputs_[n].data_as<float>();
      for (int64_t i = 0; i < plan.elements; ++i) {
        const auto of_first = static_cast<float>((i + names_[n]) % 1000);
        const auto count = static_cast<float>(plan.values);
        right &= data[i] == count * of_first + count * (count - 1) / 2;
        data[i] = -1;
      }
    }
    return right;
  }

 private:
  const std::unique_ptr<KVStore> store_;
  std::vector<int> keys_, names_;
  std::vector<NDArray> gradients_, outputs_;
  std::vector<NDArray*> to_;
};

void PrintLine(const char* name, Times& times, double bytes, double triad_gbs) {
  const double median = times.Median();
  fmt::print("{:<14} {:>8.1f} [{:.1f}-{:.1f}] {:>8.1f} {:>8.2f}\n", name, median * 1e3,
             times.seconds.front() * 1e3, times.seconds.back() * 1e3, bytes / median * 1e-9,
             bytes / median * 1e-9 / triad_gbs);
}

int Main(const Plan& plan, bool json) {
  const double value_bytes =
      4.0 * static_cast<double>(plan.elements) * static_cast<double>(plan.keys);
  const auto count = static_cast<double>(plan.values);
  const size_t threads = std::min<size_t>(CpuCount(), 4);
  Model model(plan);
  Stream stream(static_cast<size_t>(value_bytes * (2 * count + 1)), threads);
  Times copy, triad, push, pull, both, fused;
  bool right = true;
  for (int pass = -2; pass < plan.passes; ++pass) {  // the first warm up
    const bool counts = pass >= 0;
    copy.Measure(counts, [&] { stream.Copy(); });
    push.Measure(counts, [&] {
      model.Push();
      model.Wait();
    });
    pull.Measure(counts, [&] { model.Pull(), model.Wait(); });
    triad.Measure(counts, [&] { stream.Triad(); });
    both.Measure(counts, [&] { model.Push(), model.Pull(), model.Wait(); });
    fused.Measure(counts, [&] { model.PushPull(), model.Wait(); });
    if (plan.optimizer == "assign" && !counts) right &= model.CheckSums(plan);
  }
  const double triad_gbs = stream.bytes_of_triad() / triad.Median() * 1e-9;
  if (json) {
    const auto list = [](const Times& times) {
      return fmt::format("{:.6f}", fmt::join(times.seconds, ", "));
    };
    fmt::print("{{\"seconds\": [{}], \"fused\": [{}], \"triad_gbs\": {:.2f}}}\n", list(both),
               list(fused), triad_gbs);
  } else {
    fmt::print(
        "{}, {}: {} keys of {} x f32, {} arrays each ({:.0f} MB each), {} threads, {} passes\n",
        plan.store, plan.optimizer, plan.keys, plan.elements, plan.values, value_bytes * 1e-6,
        threads, plan.passes);
    fmt::print("{:<14} {:>8} {:<13} {:>6} {:>8}\n", "", "ms", "[least-most]", "GB/s", "of triad");
    const double one_way = value_bytes * (count + 1);
    PrintLine("STREAM copy", copy, stream.bytes_copied(), triad_gbs);
    PrintLine("STREAM triad", triad, stream.bytes_of_triad(), triad_gbs);
    PrintLine("push", push, one_way, triad_gbs);
    PrintLine("pull", pull, one_way, triad_gbs);
    PrintLine("push and pull", both, 2 * one_way, triad_gbs);
    PrintLine("pushpull", fused, 2 * one_way, triad_gbs);
  }
  if (!right) fmt::print(stderr, "wrong sums came out\n");
  return right ? 0 : 1;
}

}  // namespace
}  // namespace kvstore::bench

int main(int argc, char** argv) {
  kvstore::bench::Plan plan;
  std::vector<std::string> words(argv + 1, argv + argc);
  const bool json = !words.empty() && words[0] == "--json";
  if (json) words.erase(words.begin());
  if (!words.empty()) plan.store = words[0];
  if (words.size() > 1) plan.values = std::strtoul(words[1].c_str(), nullptr, 10);
  if (words.size() > 2) plan.keys = std::atoi(words[2].c_str());
  if (words.size() > 3) plan.elements = std::atol(words[3].c_str());
  if (words.size() > 4) plan.passes = std::atoi(words[4].c_str());
  if (words.size() > 5) plan.optimizer = words[5];
  if (plan.values < 1 || plan.keys < 1 || plan.elements < 1 || plan.passes < 1) {
    fmt::print(stderr,
               "usage: local_bench [--json] [store] [values >= 1] [keys >= 1] [elements >= 1] "
               "[passes >= 1] [optimizer]\n");
    return 2;
  }
  return kvstore::bench::Main(plan, json);
}
