// What ServerCore is made of: the table of parts, the requests that wait, the log of commands, and
// the handlers that lead from one to another. What each op asks, and what refuses it, is in
// server_core.cc (commands: server_core_commands.cc; deleting, resetting: server_core_delete.cc;
// the updater: server_core_optimizer.cc, what it keeps: server_core_state.cc, an operator's hand on
// its numbers: server_core_numbers.cc); how a value comes and goes in part_table.cc; waiting and
// answering in waiting_room.cc; what a push does to a part in rounds.cc and sequence.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/core/command_log.h"
#include "server/core/part_table.h"
#include "server/core/reply_batch.h"
#include "server/core/server_core.h"
#include "server/core/waiting_room.h"

namespace kvstore {

class ServerCore::Impl {
 public:
  Impl(const ServerCoreOptions& options, ShardAddress self, ShardValues* values,
       WorkRecorder* recorder)
      : options_(options),
        self_(self),
        values_(values),
        recorder_(recorder),
        parts_(options, values, recorder),
        waiting_(options, &parts_, &view_, recorder) {}

  void OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing);
  void OnFrame(int64_t now_ms, PeerId peer, const RequestFrame& request, ServerOutbox* out);
  std::vector<CommandRun> TakeCommands() { return std::exchange(commands_, {}); }
  void OnCommandDone(uint64_t ticket, absl::Status outcome, ServerOutbox* out);
  void OnPeerDown(PeerId peer) noexcept { waiting_.ForgetReader(peer); }
  std::string TakeWarning() { return std::exchange(warning_, {}); }
  ShardStatus Status() const;
  std::vector<KeyStats> StatsOf(const KeyQuery& query, uint64_t* keys) const {
    return parts_.StatsOf(query, keys);
  }
  // `reset`: they are reset, not deleted.
  std::vector<DeletedKey> EndKeys(bool reset, const std::string& name, bool prefix, bool dry_run,
                                  ServerOutbox* out);
  ReadPart Read(const PartRange& range, PartIndex from, int64_t row, size_t bytes_max) const {
    return parts_.Read(range, from, row, bytes_max);
  }
  absl::Status OrderNumbers(int64_t now_ms, NumbersVerb verb, const std::string& optimizer,
                            const NumbersChange& change, ServerOutbox* out);
  OptimizerReport Optimizer() const;

 private:
  // What the whole frame must satisfy before its entries are looked at. `*retry` is set when the
  // sender should simply send it again.
  absl::Status CheckHeader(const FrameHeader& header, bool* retry) const;
  // What the table of ops says about who may send an op where. `*retry` as above.
  absl::Status CheckSent(const ReplyTo& from, const RequestEntry& entry, bool* retry) const;
  FrameHeader ReplyHeader() const;

  void OnEntry(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
               ReplyBatch& replies);
  void OnInit(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
              ReplyBatch& replies);
  void OnTakeBack(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnDelete(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnReset(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnReadState(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnWriteState(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  // A DELETE or RESET of a worker that waits for rank 0's.
  void AwaitEnd(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnPush(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnPull(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnNorms(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnProbe(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnLeave(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  // Handles kSetOptimizer and kCheckOptimizer.
  void OnSetOptimizer(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
                      ReplyBatch& replies);
  void OnSetNumbers(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
                    ReplyBatch& replies);
  absl::Status Hold(const std::string& optimizer, const NumbersChange& change);
  absl::Status SetHeld(const std::string& optimizer, const NumbersChange& change);
  // Makes the updates that were held, if any were.
  void EndHold(ReplyBatch& replies);
  // Handles kCommand and kProfile: both are done by the shell, once.
  void OnCommand(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
                 ReplyBatch& replies);

  // Whether `entry` may contribute to `part`, as far as its round and fragment go.
  absl::Status CheckPush(const ReplyTo& from, const Part& part, const RequestEntry& entry) const;
  // Whether the policy lets the push in; `*seen`: what it has that is not finite, or nothing.
  absl::Status CheckFinite(const ReplyTo& from, const Part& part, const RequestEntry& entry,
                           std::string* seen) const;
  // Makes every version of the record's part that can be made, because of `by`, and answers who
  // waits for one, or for `by` to catch up. False: there is no memory for the next one, which can
  // be made later.
  bool Commit(WorkerRank by, PartRecord& record, ReplyBatch& replies);
  // The oldest open round of a part was made complete by `last`, and had begun at `since_ms`; or
  // pulls waited for `last` to catch up, the oldest since then.
  void CountWait(WorkerRank last, int64_t since_ms);
  // Called when Commit had no memory for the next version. It asks one worker to send again the
  // oldest of its pushes that wait in the record: that repeat calls Commit() once more.
  void AskForPushAgain(const PartRecord& record, WorkerRank rank, ReplyBatch& replies);

  const ServerCoreOptions options_;
  const ShardAddress self_;
  ShardValues* const values_;
  WorkRecorder* const recorder_;

  ClusterId cluster_ = 0;
  Incarnation incarnation_ = 0;
  RoutingPtr routing_;
  View view_;
  int64_t now_ms_ = 0;

  PartTable parts_;
  WaitingRoom waiting_;
  uint64_t committed_rounds_ = 0;
  uint64_t not_finite_pushes_ = 0;
  struct Waited {
    int64_t total_ms = 0;
    int64_t until_ms = 0;  // what was before is counted
  };
  std::vector<Waited> waited_for_;  // by rank; none where nobody waits for others
  std::string warning_;             // not taken yet
  // Whether an optimizer was set in this job, and by which request (0: by none).
  bool optimizer_was_set_ = false;
  RequestId optimizer_request_ = 0;
  Incarnation optimizer_incarnation_ = 0;
  uint64_t times_set_ = 0;             // so many were, in this job
  std::optional<NumbersChange> held_;  // an operator's change that waits to be set or dropped
  RequestId numbers_request_ = 0;      // the last one that changed its numbers, of the same worker
  uint64_t begun_step_ = 0;            // no update that was begun in this job is of a later step
  CommandLog command_log_;
  std::vector<CommandRun> commands_;  // not taken yet
};

}  // namespace kvstore
