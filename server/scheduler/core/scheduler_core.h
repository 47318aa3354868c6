// SchedulerCore: membership, ranks, the routing table, barriers, the job's end. Pure.
//
// Rules (docs/protocol.md, proved by tests/simulation):
//   S1  nothing that must survive a restart is told to anybody before it is persisted: every call
//       that changes durable state puts the new state in `out->persist`, and its messages are to
//       be sent only after that state is on disk (or never, if the scheduler dies first).
//   S2  ranks are stable: the same nonce gets the same rank and incarnation back, on any session,
//       before and after a restart of the scheduler.
//   S3  incarnations are ordered: a later life of a rank has a higher one; a registration of an
//       older life is refused with ABORTED.
//   S4  a barrier counts distinct (generation, worker) of the view; workers that left drop out.
//   S5  after a start nobody is declared dead for three heartbeats (grace).
//   S6  in a job that has begun (S9) a server that died is never replaced on its slots: the job
//       ends with DATA_LOSS that names it and its slots. A server that was restarted takes its
//       place in the next job. A dead worker ends the job with FAILED_PRECONDITION that names it.
//   S7  a cluster has one job at a time. It forms, starts (S8), begins (S9), and ends once; the
//       next one forms at once with the servers that are still there. Nodes of the job that ended
//       are told so again whenever they come back.
//   S8  a job starts only with members that have all confirmed the same attempt. When every place
//       is taken and every node connected, the scheduler makes an attempt: it proposes the job to
//       all, under a number that is never used twice. When all have confirmed that number, the
//       routing table is persisted and told. An attempt ends without a start
//         - when a member is lost, replaced or new: confirmations of it count for nothing any more;
//         - after three heartbeats: a member that has said nothing loses its place. A worker that
//           does not reach every server says so (NotReady) instead of confirming, which is shown;
//           it keeps its place.
//       The next attempt begins as soon as every place is taken again by a connected node. Those
//       who had confirmed notice nothing but another proposal.
//   S9  a job begins when the first worker asks for it, which it does before its first request to a
//       server, or passes a barrier, or leaves; and only while all members are connected. Until
//       then nothing can be lost with a member: when one is given up, or a server comes back as a
//       new process, the job goes back to forming, under the same number, and starts again under a
//       higher epoch. After that S6 holds.
//
//   S10 a reader is in no job: it takes no rank, is counted nowhere, and nobody hears of it or
//   waits
//       for it. It is told the routing table when the job has begun and is of the type that it
//       names; later how that job ended. A reader that is lost is forgotten; it says itself, when
//       it comes back, who it is and which job it reads, also to a scheduler that was restarted.
//
// Example of S8 and S9: 2 workers, 1 server, heartbeats of 1 s.
//
//    0.0 s  the third of them registers: attempt 1 is proposed
//    0.1 s  worker 0 and server 0 have confirmed; the machine of worker 1 has died, but its
//           connection still looks open
//    3.0 s  worker 1 has said nothing for three heartbeats: it loses its place
//    9.0 s  it has been started again elsewhere and registers: attempt 2 is proposed; a
//           confirmation of attempt 1 that still comes in counts for nothing
//    9.1 s  all three have confirmed attempt 2: epoch 1 is told, the job has started
//    9.5 s  no worker has asked to begin, and the server is restarted: the job forms again, and
//           attempt 3 is proposed with the new process as server 0
//    9.7 s  epoch 2 is told
//   20.0 s  worker 0 calls Init: it asks to begin and is let; from now on a death ends the job
//
// A refusal with UNAVAILABLE puts a node off ("come again"): the rank or address in question is
// held by a node that the scheduler has lost but not yet given up, or that may be lost: until
// lost_dead_ms after a job began, and so also before it begins, the one who asks may be the node
// itself, started again before its end was noticed. A server whose rank or address is held is
// always put off.
//
// Messages name nodes as "worker 1 (host:pid)", "server 0 (host:port)".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/cluster/routing_table.h"
#include "kvstore/v1/scheduler.pb.h"
#include "kvstore/v1/scheduler_state.pb.h"

namespace kvstore {

using SessionId = uint64_t;  // a node's stream, numbered by the shell

inline constexpr uint32_t kShardsMax = 1024;         // of one server
inline constexpr size_t kNodeAddressBytesMax = 255;  // address or label
inline constexpr size_t kPluginBytesMax = 255;       // Register.updater_plugin
inline constexpr size_t kReadersMax = 1024;          // at a time

struct SchedulerOptions {
  uint32_t workers = 1;
  uint32_t servers = 1;
  int64_t heartbeat_ms = 1000;
  int64_t suspect_ms = 3000;       // without a message: shown
  int64_t silent_dead_ms = 60000;  // without a message: dead
  int64_t lost_dead_ms = 5000;     // session lost and not back: dead
};

struct SchedulerOutbox {
  // The state that must be on disk before anything in `messages` is sent; nothing if it is as
  // before.
  std::optional<v1::SchedulerState> persist;
  struct Message {
    SessionId session = 0;
    v1::SchedulerMessage message;
  };
  std::vector<Message> messages;
  std::vector<SessionId> close;  // after the messages; no OnSessionDown is expected
  struct LogLine {
    bool warning = false;  // WARN, else INFO
    std::string text;
  };
  std::vector<LogLine> log;
  // The cluster's only job is over (see JobEnded): code and message.
  std::optional<v1::JobEnded> job_ended;
  // With job_ended: how many nodes of the job, the dead not counted, had no session on which they
  // could be told.
  uint32_t job_ended_untold = 0;
};

class SchedulerCore {
 public:
  // Whether a cluster of this shape can go on from a state read from disk.
  // Errors: FAILED_PRECONDITION names the numbers of workers and servers if they differ; DATA_LOSS
  // says what is contradictory in the state.
  static absl::Status CheckState(const SchedulerOptions& options, const v1::SchedulerState& state);

  // `state`: what was persisted last (CheckState was OK), or empty for a new cluster, which takes
  // `new_cluster` (a random number). Raises the term; the first outbox carries that state to
  // persist.
  SchedulerCore(SchedulerOptions options, std::optional<v1::SchedulerState> state,
                ClusterId new_cluster, int64_t now_ms, SchedulerOutbox* out);
  // A draft: the same core, to try a call on. A call that throws std::bad_alloc leaves its core
  // half changed; whoever wants none of it tries the call on a draft, which then takes the core's
  // place.
  SchedulerCore(const SchedulerCore& other);
  ~SchedulerCore();

  void OnMessage(int64_t now_ms, SessionId session, const v1::NodeMessage& message,
                 SchedulerOutbox* out);
  // A heartbeat of a node that is well does nothing but note the time, so that it needs no draft
  // and no memory: true. False: nothing is noted, it is for OnMessage.
  bool OnHeartbeat(int64_t now_ms, SessionId session) noexcept;
  void OnSessionDown(int64_t now_ms, SessionId session, SchedulerOutbox* out);
  void OnTimer(int64_t now_ms, SchedulerOutbox* out);
  // Never later than the first thing that OnTimer has to do; INT64_MAX when there is none.
  int64_t NextTimerMs() const;

  v1::ClusterStatus Status(int64_t now_ms) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore
