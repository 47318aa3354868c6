// MembershipCore: a node's side of its session with the scheduler: register, heartbeat, reconnect,
// confirm, begin, barriers, leaving. Pure; servers, workers and readers run the same.
//
// Rules:
//   M1  the scheduler is dialled again for as long as the node lives (backoff redial_min..max).
//       Every new session begins with Register carrying the same nonce and, once issued, the
//       incarnation, so that a scheduler that restarted recognises the node.
//   M2  whatever the node still waits for (barrier, begin, leave, failure report) is sent again on
//       every new session.
//   M3  a routing table with a lower epoch than the current one is ignored.
//   M4  an answer to a barrier generation that is not waited for is ignored.
//   M5  a node has one identity for life: a scheduler that answers with another cluster or
//       incarnation is not obeyed.
//   M6  a proposal is confirmed on the session that it came on, and only while it is the last one;
//       it is forgotten with its session. The scheduler proposes again when the node is back.
//   M7  a worker sends servers nothing before `begun`. Until then a later routing table may name
//       other members in the same job. A reader is told no table before: it begins with it.
//   M8  a reader names the job whose table it has in every Register: the scheduler keeps nothing of
//       it. It reads that one job.
//
// Example: a worker, with redials after 100 ms to 1 s and heartbeats of 1 s.
//
//    0.0 s  it dials, and sends Register with nonce 77; Registered: rank 1, incarnation 12
//    0.1 s  Proposal of attempt 5: the shell dials the servers, then calls Confirm(5)
//    0.2 s  Routing, epoch 1. The shell calls Begin, the scheduler answers Begun: requests may go
//    4.0 s  Barrier() is generation 3; it waits for other workers
//    5.0 s  the connection breaks. Dials at 5.1, 5.3 and 5.7 s; the last one succeeds
//    5.7 s  it sends Register with nonce 77 and incarnation 12 (M1). Registered, as before; then it
//           sends the barrier of generation 3 again (M2)
//    6.0 s  the barrier's answer. Had it been lost with the connection, the scheduler would know
//           that generation 3 is complete, and answer again
//
// Loop-bound.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/cluster/routing_table.h"
#include "kvstore/v1/scheduler.pb.h"

namespace kvstore {

struct MembershipOptions {
  v1::Register registration;  // role, address, shards, nonce, …; incarnation is filled in
  int64_t redial_min_ms = 100;
  int64_t redial_max_ms = 1000;
  // A session without any answer to Register for so long is closed and dialled again.
  int64_t register_timeout_ms = 3000;
};

struct MembershipOutbox {
  bool close = false;  // close the session and forget it; no event is expected
  bool dial = false;   // after `close`: open a session; answer with OnSessionUp or OnSessionDown
  // To be sent on the session, before `close` is carried out.
  std::vector<v1::NodeMessage> messages;

  // What the node learns.
  std::optional<v1::Registered> registered;  // the first one of each session
  // The job is about to start: to be answered with Confirm(), when the node is ready for it.
  std::optional<v1::Proposal> proposal;
  RoutingPtr routing;                      // a newer table
  bool begun = false;                      // the answer to Begin()
  std::vector<v1::BarrierReply> barriers;  // answers to the generation that is waited for
  bool left = false;
  std::optional<absl::Status> refused;    // definite: the node cannot take part
  std::optional<v1::JobEnded> job_ended;  // of the node's job; each job's end comes once
  std::vector<v1::NodeHealth> health;
};

class MembershipCore {
 public:
  explicit MembershipCore(MembershipOptions options);

  void Start(int64_t now_ms, MembershipOutbox* out);
  void OnSessionUp(int64_t now_ms, MembershipOutbox* out);
  void OnSessionDown(int64_t now_ms, MembershipOutbox* out);
  void OnMessage(int64_t now_ms, const v1::SchedulerMessage& message, MembershipOutbox* out);
  void OnTimer(int64_t now_ms, MembershipOutbox* out);
  // INT64_MAX when there is none.
  int64_t NextTimerMs() const;

  // Begins or repeats a barrier: if the last one is still open (its deadline passed) the same
  // generation is asked for again. Returns the generation.
  uint64_t Barrier(int64_t now_ms, uint64_t deadline_ms, MembershipOutbox* out);
  // This node is ready for the job as proposed under `attempt`. Ignored if that is over.
  void Confirm(int64_t now_ms, uint64_t attempt, MembershipOutbox* out);
  // This node is not ready for that job, because of `why`: "cannot reach server 0 at …". Confirm
  // may follow.
  void NotReady(int64_t now_ms, uint64_t attempt, const std::string& why, MembershipOutbox* out);
  // A worker is about to send the servers its first request: answered with `begun`, when the job
  // has started and all its members are there. A repeat is harmless.
  void Begin(int64_t now_ms, MembershipOutbox* out);
  // Answered with `left`; at once when the job is over.
  void Leave(int64_t now_ms, MembershipOutbox* out);
  void ReportFailure(int64_t now_ms, const std::string& message, MembershipOutbox* out);

  const std::optional<v1::Registered>& identity() const { return identity_; }
  const RoutingPtr& routing() const { return routing_; }
  // Whether there is a session on which the scheduler has answered.
  bool connected() const { return session_registered_; }
  // Since when there is no such session; INT64_MAX when there is one.
  int64_t disconnected_since_ms() const { return disconnected_since_ms_; }
  // Whether requests may be sent to the servers (M7).
  bool begun() const { return begin_phase_ == BeginPhase::kBegun; }
  // Why the scheduler last put this node off (refused it with UNAVAILABLE, so that it tries again);
  // may be empty.
  const std::string& last_put_off() const { return last_put_off_; }
  // Last reported health by (role, rank), of the current job.
  const std::map<std::pair<int, uint32_t>, v1::Health>& health() const { return health_; }

 private:
  bool reads() const { return options_.registration.role() == v1::ROLE_READER; }
  void Dial(MembershipOutbox* out);
  void LoseSession(int64_t now_ms, bool close, MembershipOutbox* out);
  void StopFor(absl::Status why, MembershipOutbox* out);
  void SendOpen(MembershipOutbox* out) const;
  void SendBarrier(MembershipOutbox* out) const;
  static void SendBegin(MembershipOutbox* out);
  void OnRegistered(int64_t now_ms, const v1::Registered& registered, MembershipOutbox* out);
  void OnRouting(const v1::Routing& proto, MembershipOutbox* out);
  void OnBarrierReply(const v1::BarrierReply& reply, MembershipOutbox* out);
  void OnRefused(int64_t now_ms, const v1::Refused& refused, MembershipOutbox* out);
  void OnJobEnded(const v1::JobEnded& ended, MembershipOutbox* out);
  void FinishLeaving(MembershipOutbox* out);
  void End(MembershipOutbox* out);
  int64_t HeartbeatMs() const;

  enum class BarrierPhase {
    kNone,
    kWaiting,
    kExpired,  // its deadline passed, but it is open: the next Barrier() waits for it again
  };

  enum class BeginPhase { kNone, kAsked, kBegun };

  MembershipOptions options_;
  std::optional<v1::Registered> identity_;
  RoutingPtr routing_;
  bool session_up_ = false;
  bool session_registered_ = false;
  bool over_ = false;  // refused, or left
  int64_t disconnected_since_ms_ = 0;
  int64_t redial_at_ms_ = INT64_MAX;
  int64_t redial_delay_ms_ = 0;
  int64_t register_deadline_ms_ = INT64_MAX;
  int64_t heartbeat_at_ms_ = INT64_MAX;
  uint64_t barrier_generation_ = 0;
  BarrierPhase barrier_phase_ = BarrierPhase::kNone;
  uint64_t barrier_deadline_ms_ = 0;
  BeginPhase begin_phase_ = BeginPhase::kNone;
  uint64_t proposed_ = 0;  // the attempt of this session that can be confirmed; 0: none
  bool leaving_ = false;
  JobId ended_job_ = 0;  // the last job whose end was told
  std::optional<std::string> failure_;
  std::string last_put_off_;
  std::map<std::pair<int, uint32_t>, v1::Health> health_;
};

}  // namespace kvstore
