// World: virtual time and the processes in it. Events run one at a time in (time, order of
// scheduling); a process that is paused finds them waiting when it goes on, one that died never
// sees them.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/simulation/params.h"
#include "tests/simulation/rng.h"
#include "tests/simulation/stats.h"

namespace kvstore::sim {

using ProcessId = uint32_t;

// A broken promise. Ends the run.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class World {
 public:
  using Task = std::function<void()>;

  World(const Params& params, bool trace) : params_(params), trace_(trace), rng_(params.seed) {}

  const Params& params() const { return params_; }
  int64_t now_ms() const { return now_ms_; }
  // What the clock of a process says; each has one of its own, which began somewhere, and may leap.
  int64_t clock_ms(ProcessId id) const { return now_ms_ + processes_[id].clock_ahead_ms; }
  void Leap(ProcessId id, int64_t ms) { processes_[id].clock_ahead_ms += ms; }
  Rng& rng() { return rng_; }
  Stats& stats() { return stats_; }
  bool healed() const { return healed_; }
  void Heal() { healed_ = true; }

  ProcessId AddProcess(std::string name);
  const std::string& name(ProcessId id) const { return processes_[id].name; }
  bool up(ProcessId id) const { return processes_[id].up; }
  bool paused(ProcessId id) const { return processes_[id].paused; }
  void Begin(ProcessId id);                  // a life
  void Kill(ProcessId id);                   // ends it
  void Pause(ProcessId id, int64_t for_ms);  // INT64_MAX: for ever

  // Runs `task` in the present life of `id`.
  void At(int64_t at_ms, ProcessId id, Task task);
  void After(int64_t delay_ms, ProcessId id, Task task) {
    At(now_ms_ + delay_ms, id, std::move(task));
  }
  // Runs `task` outside of all processes: the network, the chaos.
  void Outside(int64_t delay_ms, Task task);

  // False when nothing is left to happen.
  bool RunNext();

  // Mixes what happened into the run's fingerprint.
  void Note(uint64_t what) { fingerprint_ = Mix64(fingerprint_ ^ what); }
  uint64_t fingerprint() const { return fingerprint_; }
  bool tracing() const { return trace_; }
  void Trace(const std::string& line) const;  // ask tracing() before building the line
  [[noreturn]] void Fail(const std::string& what) const;

 private:
  struct Process {
    std::string name;
    uint32_t life = 0;
    int64_t clock_ahead_ms = 0;  // of the world's
    bool up = false;
    bool paused = false;
    bool paused_for_good = false;
    uint64_t pauses = 0;
    std::vector<Task> backlog;
  };
  struct Event {
    int64_t at_ms;
    uint64_t order;
    uint32_t place;
    bool operator<(const Event& o) const {
      return at_ms != o.at_ms ? at_ms > o.at_ms : order > o.order;
    }
  };
  struct Planned {
    ProcessId process = 0;
    uint32_t life = 0;  // 0: outside
    Task task;
  };
  void Push(int64_t at_ms, ProcessId process, uint32_t life, Task task);
  void Resume(ProcessId id, uint32_t life, uint64_t pause);

  const Params& params_;
  const bool trace_;
  Rng rng_;
  Stats stats_;
  int64_t now_ms_ = 0;
  bool healed_ = false;
  uint64_t order_ = 0;
  uint64_t fingerprint_ = 0;
  std::vector<Process> processes_;
  std::priority_queue<Event> events_;
  std::vector<Planned> planned_;
  std::vector<uint32_t> free_;
};

// One timer of a process: fires once at the earliest time asked for since it fired last. Times are
// those of the process's clock.
class Alarm {
 public:
  Alarm(World& world, ProcessId process, World::Task task)
      : world_(world), process_(process), task_(std::move(task)) {}
  // INT64_MAX arms nothing.
  void Arm(int64_t at_ms);

 private:
  void Fire(int64_t tag);

  World& world_;
  const ProcessId process_;
  const World::Task task_;
  int64_t armed_ms_ = INT64_MAX;
  int64_t last_ms_ = -1;
  int fired_at_once_ = 0;
};

}  // namespace kvstore::sim
