// Params: what one seed chooses about a run: shape of the cluster, weather, budgets, and whether
// the faults stay within what the guarantees tolerate.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/core/client_core.h"
#include "common/membership/core/membership_core.h"
#include "server/core/server_core.h"
#include "server/scheduler/core/scheduler_core.h"
#include "tests/simulation/rng.h"

namespace kvstore::sim {

// What a server charges for a part: a value and a sum.
inline constexpr uint64_t kChargedBytes = 16;
inline constexpr int64_t kDiskSlowMs = 2000;

// The one fault of a run that exceeds the budget.
enum class Lethal {
  kNone,  // all work must complete, exactly
  kWorkerCrash,
  kWorkerRestart,  // crash, and a new life asks to take part
  kWorkerFrozen,   // stopped for good, connections intact
  kPushRefused,    // its push is refused, which it cannot mend: it reports its failure
  kWorkerFails,    // reports its own failure
  kServerCrash,
  kServerRestart,
  kServerFrozen,
};
const char* LethalName(Lethal lethal);

struct Params {
  uint64_t seed = 0;

  uint32_t workers = 1;
  uint32_t servers = 1;
  std::vector<uint32_t> shards;     // by server process
  std::vector<uint32_t> key_parts;  // parts of each key
  std::vector<bool> row_sparse;     // by key: contributions have fragments, pulls ask for rows
  uint32_t rounds = 3;              // pushes of each worker to each key before the last barrier
  uint32_t ahead = 1;               // part requests a worker leaves unanswered before it waits
  bool burst = false;               // pushes, hardly a pull: as far ahead as the client lets go
  uint32_t epochs = 1;              // stretches of work, a barrier behind each
  bool explicit_ranks = false;
  bool last_is_late = false;  // rank 0 does everything last
  uint32_t update_fails_permille = 0;
  // How often the updater measures the whole of a value before each update of its parts.
  uint32_t measurings = 0;
  bool async = false;                 // dist_async instead of dist_sync
  std::optional<uint64_t> staleness;  // dist_ssp with this bound; then also `async`
  bool commands = false;              // workers send commands to the servers
  bool trials = false;            // rank 0 begins with Inits that are refused, and takes them back
  bool inits_taken_back = false;  // rank 0 takes Inits of the keys back, and makes them again
  bool lives = false;             // all keys are deleted, under way, and made anew
  bool resets = false;            // or they are reset
  bool two_lives() const { return lives || resets; }
  bool compressed = false;    // pushes to dense keys are encoded
  bool states = false;        // rank 0 reads what the updater keeps, and has other states loaded
  bool numbers = false;       // rank 0 changes numbers of the optimizer from a step on
  bool operates = false;      // an operator does, on a synchronous store
  bool bad_requests = false;  // pulls that are refused; an optimizer that a server refuses
  uint32_t jobs = 1;          // one after the other, on the same servers
  uint32_t readers = 0;       // beside the jobs

  // Weather, until heal_ms.
  uint32_t loss_permille = 0;
  uint32_t dup_permille = 0;
  bool reorder = false;
  int64_t delay_min_ms = 0;
  int64_t delay_max_ms = 2;
  uint32_t delay_tail_permille = 0;  // as many take up to delay_tail_ms
  int64_t delay_tail_ms = 0;
  int64_t timer_late_ms = 0;
  int64_t disk_ms = 5;
  uint32_t disk_slow_permille = 0;   // writes that take up to kDiskSlowMs more
  uint32_t disk_fails_permille = 0;  // writes that fail: the scheduler ends, and is started again
  bool clocks = false;               // those of the processes differ, and leap now and then
  int64_t notice_ms = 300;           // until an end learns that its stream broke
  int64_t heal_ms = 10000;

  // Chaos: a fault of an enabled class about every so many ms; INT64_MAX: none.
  int64_t chaos_every_ms = 1000;
  bool breaks_streams = false;
  bool breaks_sessions = false;
  bool pauses = false;
  bool partitions = false;
  bool crashes_scheduler = false;

  // Nodes die and begin anew while the job forms, or has started and nothing was done in it yet.
  bool restarts_while_forming = false;
  // What a worker does, for at most so long, between the start of the job and its first request.
  int64_t idle_ms = 0;
  bool opening_barrier = false;  // the first thing that the workers do

  Lethal lethal = Lethal::kNone;
  int64_t lethal_ms = 0;

  bool encode_frames = false;    // frames go through EncodeFrame and DecodeFrame
  bool optimistic_dial = false;  // a stream is up, for its dialler, before anybody accepted it

  SchedulerOptions scheduler;
  ServerCoreOptions server;
  ClientCoreOptions client;
  MembershipOptions membership;

  static Params FromSeed(uint64_t seed);
  std::string StoreType() const;
  std::string Describe() const;  // one line
};

}  // namespace kvstore::sim
