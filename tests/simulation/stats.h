// What a run did and which faults it met. A run without faults proves nothing, so kvsim demands a
// minimum of each.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kvstore::sim {

enum class Fault : uint32_t {
  kFrameLost,
  kFrameDuplicated,
  kFrameReordered,
  kStreamBroken,
  kSessionBroken,
  kDialRefused,
  kWorkerPaused,
  kServerPaused,
  kSchedulerPaused,
  kPartition,
  kSchedulerCrash,
  kPersistLost,      // a write under way at a crash did not reach the disk
  kPersistSurvived,  // … and one that did
  kPushRefused,      // answered with retry-after: the parking lot was full
  kUpdateFailed,     // the updater refused a round
  kWorkerCrash,
  kServerCrash,
  kNodeFrozen,
  kNodeRestarted,
  kWorkerFailed,  // reported by itself
  kRestartedWhileForming,
  kCommandRepeated,
  kInitRefused,  // over the memory budget; taken back
  kDiskFailed,
  kClockLeapt,
  kInitTakenBack,       // of a key that is then made again, while others wait for it
  kOptimizerRefused,    // by one server, when asked
  kPullRefused,         // it asked for what cannot be
  kPushRefusedForGood,  // likewise; its worker gave up
  kProposedAgain,       // an attempt at a start failed, and there was another
  kStartedAgain,        // a job that had not begun lost a member, and started again without it
  kPullHeldUp,          // by workers that are behind; each time that something else came meanwhile
  kMeasureFailed,       // a part could not be measured for a round, which failed on all of them
  kDeletedUnder,        // a push or a pull of a value that was deleted or reset meanwhile
  kKeyFailed,           // a push or a pull of a key of which a push was refused before
  kNumbersChanged,      // of an optimizer, from a step on, on one shard
  kHoldRefused,         // an operator's change came too late
  kHeldAndSet,          // one was held on all servers, and then set
  kStateLoaded,         // what an updater keeps of a part was replaced
  kEncoded,             // a contribution to a compressed part
  kReaderPulled,        // a value, beside the job
  kReaderDied,
  kReaderToldTheEnd,  // of the job that it read
  kLostAtStart,       // a member died at the moment at which its job began, which failed
  kGrouped,           // requests about several parts went as a group
  kCount
};
inline constexpr size_t kFaults = static_cast<size_t>(Fault::kCount);
inline constexpr std::array<std::string_view, kFaults> kFaultNames = {"frames lost",
                                                                      "frames duplicated",
                                                                      "frames reordered",
                                                                      "streams broken",
                                                                      "sessions broken",
                                                                      "dials refused",
                                                                      "workers paused",
                                                                      "servers paused",
                                                                      "scheduler paused",
                                                                      "partitions",
                                                                      "scheduler crashes",
                                                                      "persists lost",
                                                                      "persists kept",
                                                                      "pushes refused",
                                                                      "updates failed",
                                                                      "workers crashed",
                                                                      "servers crashed",
                                                                      "nodes frozen",
                                                                      "nodes restarted",
                                                                      "workers failed",
                                                                      "restarts while forming",
                                                                      "commands repeated",
                                                                      "Inits refused",
                                                                      "disk writes failed",
                                                                      "clocks leapt",
                                                                      "Inits taken back",
                                                                      "optimizers refused",
                                                                      "pulls refused",
                                                                      "pushes refused for good",
                                                                      "attempts that failed",
                                                                      "jobs started again",
                                                                      "pulls held up",
                                                                      "measurings failed",
                                                                      "requests of deleted values",
                                                                      "requests of failed keys",
                                                                      "numbers changed",
                                                                      "holds refused",
                                                                      "holds set",
                                                                      "states loaded",
                                                                      "pushes encoded",
                                                                      "pulls of readers",
                                                                      "readers died",
                                                                      "readers told the end",
                                                                      "jobs lost at their start",
                                                                      "groups of requests"};

struct Stats {
  std::array<uint64_t, kFaults> faults{};
  uint64_t events = 0;
  uint64_t frames = 0;    // of the data plane
  uint64_t messages = 0;  // of the control plane
  uint64_t commits = 0;
  uint64_t pushes = 0;  // completed
  uint64_t pulls = 0;
  uint64_t barriers = 0;
  uint64_t commands = 0;
  int64_t virtual_ms = 0;

  void Count(Fault fault) { ++faults[static_cast<size_t>(fault)]; }
  Stats& operator+=(const Stats& other) {
    for (size_t i = 0; i < kFaults; ++i) faults[i] += other.faults[i];
    events += other.events;
    frames += other.frames;
    messages += other.messages;
    commits += other.commits;
    pushes += other.pushes;
    pulls += other.pulls;
    barriers += other.barriers;
    commands += other.commands;
    virtual_ms += other.virtual_ms;
    return *this;
  }
};

}  // namespace kvstore::sim
