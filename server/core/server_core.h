// ServerCore: what one shard of a server does about every frame. Pure: events in, frames out.
//
// Data of a part: value at version v, optimizer state, open rounds v+1, v+2, ….
// Invariants (docs/life_of_a_push.md, proved by tests/simulation):
//   I1  version v+1 is made from exactly one contribution of every worker that the round needs:
//       all of the view, less those that left before contributing to it.
//   I2  the sum of a round is the left fold of its contributions in rank order, of the fragments of
//       each in ascending order.
//   I3  a push is answered DONE only after its round committed, and at most counted once,
//       however often it arrives.
//   I4  a pull that names version r > 0 is answered with version r, or not at all.
//   I5  parked bytes never exceed the budget; the next fragment, in the order of ranks and of their
//       fragments, of the oldest open round is never refused for want of it: its place is one sum
//       per part, which the budget of values counts from Init on. That is a promise of the budget,
//       not of the system. The memory is taken when a round opens and given back when it commits,
//       so that closed rounds take none; while the system has none, the push is refused with
//       retry-after. A dense value is taken only if one sum fits beside it. (A sum of rows is as
//       large as the rows that were contributed.)
//   I6  a command of a worker is handed out once, however often it arrives, and every repeat gets
//       the answer of that one run.
//   I7  a contribution of many fragments counts when all of them have come, each once, however
//       often it arrives; they agree on how many they are. A value that is brought in fragments
//       exists when all are in it; they come in ascending order, and one that does not fit undoes
//       the rest.
//   I8  what rank 0 takes back is gone, with its memory, and no late repeat of its Init brings it
//       again; what another Init brought, or was pushed to, stays.
//   I9  a request for which the system has no memory has changed nothing, or was done; its repeat
//       goes on from there (tests/server/core/out_of_memory_test.cc).
//   I10 with a bound s on staleness, a pull that names round r of its worker is answered, at once,
//       when and only when the first r - s pushes of every worker are in the value, less those that
//       left.
//   I11 a part has one life after the other: deleting it ends one, with its value, open rounds and
//       whatever waits, and an Init begins the next. Resetting it ends one, too, and begins the
//       next with the value of the last version. A DELETE ends the value of the life that it names,
//       a RESET the life, once, however often it arrives; a push, a pull or a probe that names a
//       life that is over gets NOT_FOUND, and changes nothing of the next.
//   I12 the numbers of the optimizer in an update are those of its step: of the step in which the
//       lowest-ranked of its contributions was pushed, whichever came first. A change from a step
//       on counts once, however often it arrives, and never in an update of that step that was
//       begun before it came: then it is refused. (Asynchronous parts take it for what is to come.)
//   I13 an operator's change holds first: while it does, no synchronous part makes an update of its
//       step or a later one, and when it ends, all that were complete meanwhile are made.
//   I14 a reader, whose rank is kReaderRank, gets the last versions of parts that exist, or waits
//       until they do; a pull of it that names a version waits until that is there, and gets that
//       or a later one. Nobody waits for it, and nothing that it asks changes anything. It is known
//       by its stream: what waits for it ends with that. (request_check lets nothing else of a
//       reader through to here.)
//   I15 what the updater keeps beside a part is replaced as a whole, when rank 0 says so, and once,
//       however often that arrives; until then, and if it is dropped, nothing of what was brought
//       can be seen.
//
// A fragment is folded at once when it is the next one of the next round; otherwise it is copied
// and parked. The ids of a pull that waits are parked, too.
//
// Shard-bound: all calls from the thread that owns the shard's slots.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/cluster/routing_table.h"
#include "common/model/key_spec.h"
#include "common/model/nan_policy.h"
#include "common/model/numbers_order.h"
#include "common/model/optimizer_config.h"
#include "common/wire/frame.h"
#include "server/core/part_value.h"
#include "server/core/work_recorder.h"

namespace kvstore {

// A stream of this shard, numbered by the shell, never reused. Frames to a stream that is gone are
// dropped by the shell: its worker asks again on the next one.
using PeerId = uint64_t;

struct ServerFrame {
  PeerId peer = 0;
  ReplyFrame frame;
};

// What a call wants sent, at most one frame per peer unless it would grow over kFramePayloadTarget.
using ServerOutbox = std::vector<ServerFrame>;

struct ServerCoreOptions {
  // Parked contributions (before their turn) and the ids of pulls that wait, of this shard.
  uint64_t parked_bytes_max = 256u << 20;
  // Values, accumulators and optimizer states of this shard; an Init or an optimizer over it is
  // refused.
  uint64_t value_bytes_max = uint64_t{1} << 40;
  // How far a worker may be ahead: a push more than so many rounds above the last one that is over
  // is refused, since an acknowledged round must have been lost; and how a push went is known until
  // so many later ones are over. At least the window of every worker
  // (ClientCoreOptions::rounds_ahead_max); no worker may have more than kRoundsAheadMax.
  uint64_t rounds_ahead_max = kRoundsAheadMax;
  // Pulls and Inits that wait, of this shard; more are refused.
  uint64_t waiting_max = 1u << 20;
  // Of these, of readers; more are put off.
  uint64_t readers_waiting_max = 1u << 16;
  // Values that one event has a worker sent; pulls of rows, which are copies, over it are put off.
  uint64_t reply_bytes_max = 256u << 20;
  uint32_t retry_after_ms = 20;
  // What becomes of pushes with numbers that are not finite; an Init that says another policy is
  // refused. The values are made with the same one.
  NanPolicy nan_policy = NanPolicy::kAllow;

  // Errors: INVALID_ARGUMENT names the option. A core is not made of options that are refused.
  absl::Status Check() const;
};

struct OpenRoundInfo {
  KeyId key = 0;
  std::string name;
  uint64_t parts = 0;
  // The lowest open one; with a bound on staleness: the lowest push that pulls wait for.
  Round round = 0;
  int64_t since_ms = 0;
  std::vector<WorkerRank> missing;
  uint64_t held_from = 0;  // it is held by a change of numbers at this step; 0: it is not
};

struct ShardStatus {
  uint64_t keys = 0;
  uint64_t value_bytes = 0;  // PartValue::Bytes() of all parts
  uint64_t held_bytes = 0;   // PartValue::HeldBytes() of all parts
  uint64_t parked_bytes = 0;
  uint64_t committed_rounds = 0;
  // Of the shard, which fills these in: its streams, and those whose large messages go through
  // shared memory.
  uint64_t streams = 0;
  uint64_t streams_in_memory = 0;
  uint64_t not_finite_pushes = 0;          // that were seen, by a policy other than to allow them
  std::vector<OpenRoundInfo> open_rounds;  // oldest first
  // By rank, in this job: how long rounds that had begun waited for this worker's contribution as
  // their last one, or pulls for it to catch up; or for it to leave. The time in which several
  // parts did counts once, so that it is never more than the job's. Empty where nobody waits for
  // others.
  std::vector<int64_t> waited_for_ms;
};

// What kvctl stats shows of a key, of its parts in this shard.
struct KeyStats {
  KeyId key = 0;
  std::string name;  // empty for an int key
  DType dtype = DType::kUnspecified;
  Storage storage = Storage::kUnspecified;
  Shape shape;
  uint64_t parts = 0;
  Round version = 0;      // the lowest of the parts'
  uint64_t pushes = 0;    // contributions that are in the versions of a part, the most of any
  uint64_t failures = 0;  // updates that failed, of all parts
  PullFigures pulled;     // of all parts; the largest staleness of any
  PartFigures figures;
};

// Of which keys stats are asked.
struct KeyQuery {
  std::string prefix;  // of their names or numbers
  size_t keys_max = 0;
  bool figures = false;           // whether values are looked at
  std::optional<KeyPlace> after;  // only keys behind that one
};

// A key of which parts of this shard were deleted or reset, or would be.
struct DeletedKey {
  KeyId key = 0;
  std::string name;  // empty for an int key
  uint64_t parts = 0;
};

// What an operator wants to read of a key.
struct PartRange {
  KeyId key = 0;
  PartIndex part_begin = 0, part_end = 0;
  int64_t row_begin = 0, row_end = 0;  // of a row_sparse key, in the whole value
};

// A piece of it.
struct ReadPart {
  bool found = false;  // the rest is of a part; false: there is none
  PartIndex part = 0;
  Round version = 0;
  ValueRows value;
  bool more = false;  // what follows begins here
  PartIndex next_part = 0;
  int64_t next_row = 0;
};

// What kvctl optimizer shows, of a shard.
struct OptimizerReport {
  std::string name;  // that is set, with these parameters; others have their defaults
  std::map<std::string, double> parameters;
  std::string schedule;     // empty: none
  std::string own_updater;  // what updates the values in its place; empty: nothing does
  std::map<uint64_t, std::map<std::string, double>> changes;  // of its numbers, by step
  std::optional<NumbersChange> held;                          // that waits to be set or dropped
  uint64_t times_set = 0;                                     // in this job
};

// A command that the shell is to run. `ticket` names it to OnCommandDone.
struct CommandRun {
  uint64_t ticket = 0;
  Op op = Op::kCommand;  // or kProfile
  WorkerRank from = 0;
  Command command;
};

class ServerCore {
 public:
  // `values` outlives the core, and so does `recorder`, which hears what it does; null: nobody
  // does.
  ServerCore(ServerCoreOptions options, ShardAddress self, ShardValues* values,
             WorkRecorder* recorder = nullptr);
  ~ServerCore();

  // A new routing table; older epochs are ignored. A higher job clears all keys. `self` is this
  // server's incarnation: a table that routes to another one means that we are replaced.
  void OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing);
  // A decoded request. Every entry gets one reply now or, when parked, later; a push whose round is
  // still open gets two.
  // What the system has no memory for is refused: RESOURCE_EXHAUSTED, with retry-after except for
  // INIT, and nothing has changed. Of a push what was taken stays taken, and its repeat counts
  // once. std::bad_alloc is thrown when there is not even memory for a reply: every entry was done
  // as a whole or not at all, but `out` is of no use, and may lack replies to any peer. Whoever
  // asks again (a repeat or a probe of everything that was not answered) gets them.
  void OnFrame(int64_t now_ms, PeerId peer, const RequestFrame& request, ServerOutbox* out);
  // The commands that came since the last call, each once. To be called after OnFrame; whoever runs
  // them may take long, and says how it went with OnCommandDone.
  std::vector<CommandRun> TakeCommands();
  // What is to be logged of the pushes since the last call, by the policy "warn"; empty: nothing.
  std::string TakeWarning();
  // Ignored if the job that `ticket` is of is over.
  void OnCommandDone(uint64_t ticket, absl::Status outcome, ServerOutbox* out);
  // The stream is gone: forgets what waits for a reader there (I14).
  void OnPeerDown(PeerId peer) noexcept;
  // Statistics for ServerAdmin.GetStatus.
  ShardStatus Status() const;
  // For ServerAdmin.GetKeyStats: of the first keys that are asked for, in the order of KeyPlace.
  // `*keys`: how many there are in all.
  std::vector<KeyStats> StatsOf(const KeyQuery& query, uint64_t* keys) const;
  // For ServerAdmin.DeleteKeys: deletes the key whose name, or number, is `name`; with `prefix` all
  // that begin so. Whoever waits for one is told (I11). With `dry_run` nothing is deleted. If it
  // throws std::bad_alloc some may be deleted; another call goes on.
  std::vector<DeletedKey> DeleteKeys(const std::string& name, bool prefix, bool dry_run,
                                     ServerOutbox* out);
  // For ServerAdmin.ResetKeys: the same, but that they are reset.
  std::vector<DeletedKey> ResetKeys(const std::string& name, bool prefix, bool dry_run,
                                    ServerOutbox* out);
  // For ServerAdmin.ReadKey: the lowest part from `from` on, of a row_sparse one the rows from
  // `row` on if it is `from` itself; at most about `bytes_max` bytes, but all of a dense part.
  // Changes nothing.
  ReadPart Read(const PartRange& range, PartIndex from, int64_t row, size_t bytes_max) const;
  // For ServerAdmin.OrderNumbers (I13). `optimizer`: that the numbers are of. A repeat is OK and
  // changes nothing. Errors, and nothing changes: FAILED_PRECONDITION: there is no job; another
  // optimizer is set; of kHold: an update of the step was begun already, or another change is held;
  // of kSet: this one is not; INVALID_ARGUMENT, RESOURCE_EXHAUSTED: those of the values.
  // UNAVAILABLE: ask again.
  absl::Status OrderNumbers(int64_t now_ms, NumbersVerb verb, const std::string& optimizer,
                            const NumbersChange& change, ServerOutbox* out);
  OptimizerReport Optimizer() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore
