// The inside of SchedulerCore, shared by the files that implement it:
//   scheduler_core.cc          calls in, outbox out; time: suspects and deaths
//   scheduler_registration.cc  who may take which rank
//   scheduler_start.cc         how a job starts and begins (S8, S9)
//   scheduler_job.cc           barriers, leaving, the job's end
//   scheduler_readers.cc       who reads the job without being in it (S10)
//   scheduler_state.cc         durable state to protobuf and back, its check, the status page
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/scheduler/core/scheduler_core.h"

namespace kvstore {

// "worker 1 (host:pid)".
std::string NodeName(const v1::NodeRecord& record);
// "5 s", "0.3 s": durations in messages.
std::string Seconds(int64_t ms);
// Messages of users travel on in messages of ours: bounded, on one line, and not cut inside of a
// UTF-8 character, which protobuf would refuse.
std::string OneLine(std::string text, size_t bytes_max);

class SchedulerCore::Impl {
 public:
  Impl(SchedulerOptions options, std::optional<v1::SchedulerState> state, ClusterId new_cluster,
       int64_t now_ms, SchedulerOutbox* out);

  void OnMessage(int64_t now_ms, SessionId session, const v1::NodeMessage& message,
                 SchedulerOutbox* out);
  bool OnHeartbeat(int64_t now_ms, SessionId session);
  void OnSessionDown(int64_t now_ms, SessionId session, SchedulerOutbox* out);
  void OnTimer(int64_t now_ms, SchedulerOutbox* out);
  int64_t NextTimerMs() const { return next_timer_ms_; }
  v1::ClusterStatus Status(int64_t now_ms) const;

 private:
  struct Node {
    v1::NodeRecord record;  // durable
    std::optional<SessionId> session;
    int64_t heard_ms = 0;  // last message
    int64_t lost_ms = 0;   // without a session: since when
    // While a job forms: this node is lost for good, and its rank may be taken by another process.
    bool vacant = false;
    // Of a worker: it has asked to begin and waits for the answer. It asks again on every new
    // session.
    bool asks_to_begin = false;
    v1::Health health = v1::HEALTH_ALIVE;
  };
  using NodeKey = std::pair<int, uint32_t>;  // role, rank
  struct SessionOwner {
    NodeKey key;
    bool past = false;  // in past_workers_, else in nodes_
  };
  // Known by its session alone (S10).
  struct Reader {
    uint64_t nonce = 0;
    Incarnation incarnation = 0;
    std::string address;
    std::string store_type;
    JobId job = 0;  // whose routing table it was told; 0: it waits for a job to begin
    int64_t heard_ms = 0;
  };
  struct Arrival {
    int64_t deadline_at_ms = INT64_MAX;
  };
  // Why a node cannot confirm, as it said itself.
  struct Obstacle {
    uint64_t attempt = 0;  // in which it was said last
    std::string text;
  };
  // An attempt to start the job (S8). All of nodes_ were connected when it was made, and still are:
  // whatever changes that ends the attempt (Bind, LostSession).
  struct Attempt {
    uint64_t number = 0;
    int64_t deadline_at_ms = 0;
    std::set<NodeKey> confirmed;
  };

  // ---- scheduler_core.cc
  void Begin(int64_t now_ms, SchedulerOutbox* out);
  void Finish();
  void Send(SessionId session, v1::SchedulerMessage message);
  void SendTo(const Node& node, v1::SchedulerMessage message);
  void Broadcast(const v1::SchedulerMessage& message);
  void Refuse(SessionId session, const absl::Status& why);
  void CloseSession(SessionId session);
  void LostSession(Node* node);
  void Log(std::string line) { out_->log.push_back({false, std::move(line)}); }
  void Warn(std::string line) { out_->log.push_back({true, std::move(line)}); }
  void Arm(int64_t at_ms);
  void SetHealth(Node* node, v1::Health health);
  void CheckNodes();
  void CheckNode(Node* node);
  int64_t NodeTimerMs(const Node& node) const;
  int64_t SilentDeadAtMs(const Node& node) const;
  int64_t LostDeadAtMs(const Node& node) const;
  void GiveUp(Node* node, const std::string& why);

  // ---- scheduler_registration.cc
  void OnRegister(SessionId session, const v1::Register& request);
  absl::Status CheckRequest(const v1::Register& request) const;
  Node* FindByNonce(uint64_t nonce);
  Node* FindPastByNonce(uint64_t nonce);
  void Resume(SessionId session, const v1::Register& request, Node* node);
  void ResumePast(SessionId session, Node* node);
  bool RefusedForItsAddress(SessionId session, const v1::Register& request);
  absl::StatusOr<uint32_t> ChooseRank(const v1::Register& request) const;
  absl::Status NoPlace(v1::Role role) const;
  // Whether the job began at least lost_dead_ms ago. Until then a worker that is refused may be a
  // member that died just before the job began and was started again. (The end of a process is
  // noticed by then; that of a host may take keepalive's 15 s.)
  bool BeganLongAgo() const;
  absl::Status HeldBy(const Node& node) const;
  absl::Status AdoptStoreType(const v1::Register& request);
  // Whether a server that takes this rank has the other servers' updater plugin.
  absl::Status CheckPlugin(const v1::Register& request, uint32_t rank) const;
  void Admit(SessionId session, const v1::Register& request, uint32_t rank);
  void Bind(SessionId session, Node* node, bool past);
  void SendRegistered(const Node& node, JobId job);
  void SendRegistered(SessionId session, uint32_t rank, Incarnation incarnation, JobId job);
  void SendWhoIsUnwell(const Node& to);

  // ---- scheduler_start.cc
  // Whether the job has started: there is a routing table.
  bool running() const { return routing_.epoch() != 0; }
  bool AllConnected() const;
  void Propose();
  void SendProposal(const Node& node);
  void GiveUpAttempt() { attempt_.reset(); }
  void ExpireAttempt();
  void OnConfirm(Node* node, const v1::Confirm& confirm);
  void OnNotReady(Node* node, const v1::NotReady& report);
  void Start();
  void OnBegin(Node* node);
  void TryBegin();
  void NoteBegun();
  void Reform(const std::string& why);

  // ---- scheduler_job.cc
  void OnBarrier(Node* node, const v1::BarrierRequest& request);
  void TryCompleteBarrier();
  void ExpireBarriers();
  std::string MissingAtBarrier() const;
  void OnLeave(Node* node);
  void OnFailed(Node* node, const v1::FailedReport& report);
  void Free(Node* node, const std::string& why);
  void EndJob(absl::StatusCode code, const std::string& message);
  std::string LostSlots(const v1::NodeRecord& server) const;
  uint32_t SlotsOf(const v1::NodeRecord& server) const;

  // ---- scheduler_readers.cc
  void OnReaderRegisters(SessionId session, const v1::Register& request);
  void OnReaderMessage(SessionId session, const v1::NodeMessage& message);
  // Whether what a reader says of itself fits what is known.
  absl::Status CheckReader(SessionId session, const v1::Register& request) const;
  // Tells a reader that waits the routing table of the job, which has begun.
  void TellReader(SessionId session, Reader* reader);
  void TellReaders();
  void TellReadersTheEnd();
  // Those that have been silent for too long are gone.
  void ExpireReaders();
  int64_t ReaderTimerMs(const Reader& reader) const {
    return reader.heard_ms + options_.silent_dead_ms;
  }

  // ---- scheduler_state.cc
  v1::SchedulerState ToState() const;
  void FromState(const v1::SchedulerState& state);
  std::string StateName() const;

  const SchedulerOptions options_;

  // Durable: SchedulerState. Whoever changes one of these sets dirty_.
  ClusterId cluster_ = 0;
  Term term_ = 0;
  JobId job_ = 1;  // forming or running
  Incarnation last_incarnation_ = 0;
  Epoch last_epoch_ = 0;
  std::string store_type_;
  std::map<NodeKey, Node> nodes_;
  v1::Routing routing_;  // epoch 0 while the job forms
  bool begun_ = false;   // only with a routing table
  uint64_t barrier_generation_ = 0;
  std::optional<v1::JobEnded> ended_;     // the job before
  std::map<NodeKey, Node> past_workers_;  // of that job

  // Volatile.
  std::map<NodeKey, Node> dead_servers_;  // that the job before ended with
  std::map<SessionId, SessionOwner> sessions_;
  std::map<SessionId, Reader> readers_;
  uint64_t readers_named_ = 0;      // incarnations that this life of the scheduler gave to readers
  std::optional<Attempt> attempt_;  // only while the job forms
  uint64_t attempts_ = 0;           // of this life of the scheduler
  std::map<NodeKey, Obstacle> obstacles_;           // likewise
  std::map<WorkerRank, Arrival> barrier_arrivals_;  // at generation barrier_generation_ + 1
  int64_t barrier_since_ms_ = 0;
  int64_t begun_ms_ = 0;  // since when begun_ is set
  int64_t grace_until_ms_ = 0;
  int64_t next_timer_ms_ = INT64_MAX;
  bool dirty_ = false;

  // These two belong to the call that runs; Begin sets them, Finish clears them.
  int64_t now_ms_ = 0;
  SchedulerOutbox* out_ = nullptr;
};

}  // namespace kvstore
