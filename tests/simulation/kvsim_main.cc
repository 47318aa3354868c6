// kvsim: runs whole clusters from seeds.
//
//   kvsim --seeds 1..3000              all must keep their promises
//   kvsim --seeds 17..17 --trace       one seed, event by event
//   kvsim --fresh 20                   random seeds, for 20 s; the first one is printed
//   kvsim --regressions FILE           the seeds that once failed
//   kvsim --hunt 500                   one of the seeds 1..500 must fail: for a broken variant
//   (mutants/)
//
// Exit code 0: all as it must be; 1: a violation, a hunt without one, or too few faults; 2: usage.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>

#include "common/config/help_formatter.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/stats.h"

namespace kvstore::sim {
namespace {

// For the handler of an abort inside of a core.
volatile uint64_t current_seed = 0;

void OnAbort(int) {
  char text[96];
  const int length = std::snprintf(text, sizeof text, "aborted in seed %llu\n",
                                   static_cast<unsigned long long>(current_seed));
  if (length > 0) (void)!write(STDERR_FILENO, text, static_cast<size_t>(length));
  std::signal(SIGABRT, SIG_DFL);
}

struct Range {
  uint64_t first = 1;
  uint64_t last = 1000;
};

bool Parse(const std::string& text, Range* range) {
  const size_t dots = text.find("..");
  char* end = nullptr;
  range->first = std::strtoull(text.c_str(), &end, 10);
  if (end == text.c_str()) return false;
  if (dots == std::string::npos) {
    range->last = range->first;
    return *end == '\0';
  }
  const char* second = text.c_str() + dots + 2;
  if (end != text.c_str() + dots) return false;
  range->last = std::strtoull(second, &end, 10);
  return end != second && *end == '\0' && range->last >= range->first;
}

struct Options {
  bool verbose = false;
  bool trace = false;
  std::string program = "kvsim";  // of the command that replays a seed
};

bool RunSeed(uint64_t seed, const Options& options, Stats* total) {
  current_seed = seed;
  const Outcome outcome = Simulate(seed, options.trace);
  *total += outcome.stats;
  if (options.verbose) {
    fmt::print("seed {}: {}; {} events, {} ms, fingerprint {:016x}\n", seed, outcome.shape,
               outcome.stats.events, outcome.stats.virtual_ms, outcome.fingerprint);
  }
  if (outcome.violation.empty()) return true;
  fmt::print("seed {}: {}\n  {}\n  replay: {} --seeds {}..{} --trace\n", seed, outcome.violation,
             outcome.shape, options.program, seed, seed);
  std::fflush(stdout);
  return false;
}

void Report(uint64_t seeds, double seconds, const Stats& total) {
  fmt::print(
      "{} seeds in {:.2f} s: {:.0f} seeds/s, {} events, {} frames, {} control messages, "
      "{:.1f} h of virtual time\n",
      seeds, seconds, static_cast<double>(seeds) / seconds, total.events, total.frames,
      total.messages, static_cast<double>(total.virtual_ms) / 3.6e6);
  fmt::print("checked: {} commits, {} pushes, {} pulls, {} barriers, {} commands\nfaults:",
             total.commits, total.pushes, total.pulls, total.barriers, total.commands);
  for (size_t i = 0; i < kFaults; ++i) {
    fmt::print("{} {} {}", i == 0 ? "" : ",", kFaultNames[i], total.faults[i]);
  }
  fmt::print("\n");
}

// A long run must have met every fault; else it shows less than it claims.
bool EnoughFaults(uint64_t seeds, const Stats& total) {
  if (seeds < 1000) return true;
  bool enough = true;
  for (size_t i = 0; i < kFaults; ++i) {
    // The last one takes bad luck, not weather.
    const bool rare = i == static_cast<size_t>(Fault::kLostAtStart);
    const uint64_t least = rare ? 0 : seeds / 100;
    if (total.faults[i] >= least) continue;
    fmt::print("too few faults to prove anything: {} {}, at least {} expected\n", total.faults[i],
               kFaultNames[i], least);
    enough = false;
  }
  return enough;
}

int RunRange(const Range& range, const Options& options) {
  Stats total;
  uint64_t failures = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t seed = range.first; seed <= range.last; ++seed) {
    if (!RunSeed(seed, options, &total) && ++failures == 20) {
      fmt::print("20 seeds failed, stopping at {}\n", seed);
      break;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const uint64_t seeds = range.last - range.first + 1;
  Report(seeds, took.count(), total);
  if (failures > 0) return 1;
  return EnoughFaults(seeds, total) ? 0 : 1;
}

// Seeds that are always the same find nothing new. They follow a random one; what fails is printed
// with the command that replays it.
int RunFresh(int64_t seconds, const Options& options) {
  std::random_device random;
  // Far from those that are run by hand, and short enough to be typed.
  const uint64_t first = 1000000000 + random() % 1000000000 * 1000;
  fmt::print("fresh seeds from {}\n", first);
  std::fflush(stdout);
  Stats total;
  uint64_t failures = 0;
  uint64_t seed = first;
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::duration<double> took{};
  for (; took.count() < static_cast<double>(seconds) && failures < 20; ++seed) {
    if (!RunSeed(seed, options, &total)) ++failures;
    took = std::chrono::steady_clock::now() - begin;
  }
  Report(seed - first, took.count(), total);
  return failures > 0 ? 1 : 0;
}

// Lines of "seed  bug  note"; # begins a comment.
int RunRegressions(const std::string& file, const Options& options) {
  std::ifstream lines(file);
  if (!lines) {
    fmt::print(stderr, "{}: a readable file expected\n", file);
    return 2;
  }
  Stats total;
  uint64_t ran = 0;
  uint64_t failures = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    uint64_t seed = 0;
    if (!(words >> seed)) continue;
    ++ran;
    if (!RunSeed(seed, options, &total)) ++failures;
  }
  fmt::print("{} seeds that once failed: {} fail\n", ran, failures);
  return failures > 0 ? 1 : 0;
}

// The cores of this executable are broken: the first seed that shows it.
int Hunt(uint64_t seeds, const Options& options) {
  Stats total;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    if (!RunSeed(seed, options, &total)) return 0;
  }
  fmt::print("none of the seeds 1..{} failed\n", seeds);
  return 1;
}

int Main(int argc, char** argv) {
  CLI::App app("Runs whole clusters from seeds and checks every promise.", "kvsim");
  app.formatter(std::make_shared<HelpFormatter>());
  std::string seeds = "1..1000";
  std::string regressions;
  int64_t fresh_s = 0;
  Options options;
  app.add_option("--fresh", fresh_s, "seconds to run random seeds for, instead of --seeds");
  app.add_option("--seeds", seeds, "A..B, or one number")->type_name("A..B")->capture_default_str();
  app.add_option("--regressions", regressions, "replay the seeds of this file instead")
      ->type_name("FILE");
  app.add_flag("--verbose", options.verbose, "a line for each seed");
  app.add_flag("--trace", options.trace, "every event");
  uint64_t hunted = 0;
  app.add_option("--hunt", hunted, "expect one of the seeds 1..N to fail")->type_name("N");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGABRT, OnAbort);
  options.program = std::string(argv[0]);
  if (hunted > 0) return Hunt(hunted, options);
  if (fresh_s > 0) return RunFresh(fresh_s, options);
  if (!regressions.empty()) return RunRegressions(regressions, options);
  Range range;
  if (!Parse(seeds, &range)) {
    fmt::print(stderr, "--seeds {}: A..B expected, with A <= B\n", seeds);
    return 2;
  }
  return RunRange(range, options);
}

}  // namespace
}  // namespace kvstore::sim

int main(int argc, char** argv) { return kvstore::sim::Main(argc, argv); }
