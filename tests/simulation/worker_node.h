// WorkerNode: one worker: the client core, its session with the scheduler, and user code that runs
// a program. Checks every completion against the oracle.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/init_undo.h"
#include "common/codec/value_encoder.h"
#include "tests/simulation/data_plane.h"
#include "tests/simulation/member.h"
#include "tests/simulation/oracle_values.h"
#include "tests/simulation/scheduler_node.h"
#include "tests/simulation/wire_monitor.h"

namespace kvstore::sim {

// What workers find through the routing table, and know of each other only through the simulator.
class Cluster {
 public:
  virtual ~Cluster() = default;
  // A worker is told that the job failed.
  virtual void OnFailure(const absl::Status& why) = 0;
  // Whether a process that was worker or server `rank` has died while the job formed.
  virtual bool HasDied(v1::Role role, uint32_t rank) const = 0;
  virtual ProcessId ServerAt(const std::string& address) const = 0;
  virtual void DeliverToServer(ConnId stream, ShardAddress shard,
                               const RequestInTransit& frame) = 0;
  // Whether every worker has begun barrier `generation` of the job, or has left.
  virtual bool AllAtBarrier(uint64_t generation) const = 0;
};

class WorkerNode {
 public:
  enum class State {
    kStarting,
    kRunning,
    kFinished,  // left in order
    kFailed,    // told so: `failure()`
    kCrashed,
    kTurnedAway,  // a new life that came too late for the job
  };

  WorkerNode(World& world, Network& network, SchedulerNode& scheduler, Oracle& oracle,
             const Programs& programs, JobId job, Cluster& cluster, uint32_t index);

  ProcessId process() const { return process_; }
  void Start();
  void Crash();
  // Crashes; whoever supervises the process starts it again.
  void Restart(int64_t after_ms);
  // A push that no server can take; the worker reports its failure when it is told so.
  void PushWhatIsRefused();
  void ReportFailure(const std::string& message) { member_->ReportFailure(message); }
  void OnReply(ConnId stream, const ReplyInTransit& frame);

  State state() const { return state_; }
  bool ended() const { return state_ != State::kStarting && state_ != State::kRunning; }
  const absl::Status& failure() const { return failure_; }
  WorkerRank rank() const { return member_->core().identity()->rank(); }
  bool registered() const { return member_->core().identity().has_value(); }
  uint64_t barriers_begun() const { return barriers_begun_; }
  // The arrival of its former life counts until the job is formed again, with this life.
  bool arrived_before_it_died(uint64_t generation) const {
    return state_ == State::kStarting && former_barriers_begun_ >= generation;
  }
  bool leaving() const { return leaving_; }
  // It may send the servers requests, in a job that has begun.
  bool begun() const { return client_ != nullptr; }
  bool has_pushed() const { return !pushed_.empty(); }
  // Where the program is and what it waits for.
  std::string Describe() const;

 private:
  struct Asked {
    Op op = Op::kUnspecified;
    PartId id;
    uint64_t life = 0;         // of the key
    Round round = 0;           // kPush: its round; kPull: the one that it must name, 0: any
    bool again = false;        // an Init that must be refused
    uint64_t ids = 0;          // kPull: the rows that it asks for, if any
    size_t memory = SIZE_MAX;  // index into memory_ of what the user lends
    bool trial = false;        // an Init that may be refused, and is taken back
    bool bad = false;          // must be refused with INVALID_ARGUMENT
  };

  void OnLearned(const MembershipOutbox& out);
  void OnBegun();
  void OnJobEnded(const v1::JobEnded& ended);
  void Fail(absl::Status why);
  void Exit(State state);

  // Calls into the client core, then does what it wants done.
  template <typename Call>
  void Run(Call call) {
    ClientOutbox out;
    call(&out);
    Apply(out);
  }
  void Apply(ClientOutbox& out);
  void Dial(ShardAddress shard);
  void Send(const ClientOutbox::Send& send);
  void OnDone(const Completion& done);
  void CheckDone(const Completion& done, const Asked& asked);

  // The program.
  void Continue();  // soon
  void Step();
  bool RunAction(const Action& action);  // false: it waits
  void SetNumbers(const Action& action, int64_t number);
  void Submit(const Action& action, bool again);
  // The requests of one op on one part.
  void Ask(const KeyOp& op, PartIndex part, int priority, bool again, bool trial,
           std::vector<PartRequest>* requests);
  // Makes groups of some of the requests, about dense parts.
  void PutInGroups(std::vector<PartRequest>* requests);
  // The tickets of all that is asked, as the client core knows them.
  std::vector<Ticket> Tickets() const;
  // What is sent of a contribution to a compressed part.
  uint64_t Encode(PartId in_life, uint64_t contribution);
  // A step of kLoadStates; whether there is another one.
  bool LoadStates(int64_t load);
  // A READ_STATE or WRITE_STATE of the part.
  void AskState(Op op, PartId id, Payload note);
  void SubmitTrial(int64_t parts);
  void SubmitBad(Op op, uint32_t key);
  void TakeBack();
  void ProbeSometimes();
  bool Blocks(int64_t unanswered) const { return static_cast<int64_t>(asked_.size()) > unanswered; }

  World& world_;
  Network& network_;
  SchedulerNode& scheduler_;
  Oracle& oracle_;
  const Programs& programs_;
  const JobId job_;
  Cluster& cluster_;
  const uint32_t index_;
  const ProcessId process_;
  Rng rng_;

  State state_ = State::kStarting;
  absl::Status failure_;
  std::unique_ptr<Member> member_;
  std::unique_ptr<ClientCore> client_;
  std::unique_ptr<Alarm> alarm_;
  std::unique_ptr<WireMonitor> monitor_;
  // By the ticket of a group: the tickets of its requests, 0 of those that are over.
  std::map<Ticket, std::vector<Ticket>> groups_;
  std::map<ShardAddress, ConnId> streams_;

  // User memory: a contribution each, overwritten when its push is over.
  std::vector<std::unique_ptr<std::array<uint8_t, 8>>> memory_;
  std::map<Ticket, Asked> asked_;
  std::map<PartId, Round> pushed_;
  std::map<PartId, ValueEncoder> encoders_;  // by part in its life
  std::map<uint32_t, uint64_t> lives_;       // by key: how often it was deleted or reset here
  std::optional<PartId> refused_push_;
  InitUndo undo_;
  Ticket last_ticket_ = 0;
  size_t at_ = 0;           // of the program
  bool took_part_ = false;  // in an earlier life, in a job that had begun
  bool began_ = false;      // the action at_ was begun and waits
  bool awake_ = false;      // Step() is scheduled
  bool barrier_done_ = false;
  uint64_t barriers_begun_ = 0;
  uint64_t former_barriers_begun_ = 0;
  uint64_t generation_ = 0;
  bool shard_request_done_ = false;
  Ticket shard_ticket_ = 0;
  int load_step_ = 0;                  // of kLoadStates
  std::map<PartId, uint64_t> states_;  // that it has read
  Ticket replaced_ticket_ = 0;         // a change of numbers that another one follows at once
  std::optional<Command> command_;     // that shard_ticket_ is of
  int refused_by_ = -1;                // the server that must refuse shard_ticket_
  bool leaving_ = false;
};

}  // namespace kvstore::sim
