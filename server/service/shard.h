// Shard: one shard of a server at work. A thin shell that runs a ServerCore on the loop whose
// streams it answers: bytes in, decode, check, core, encode, bytes out.
//
// What the system has no memory for ends here at the latest: see CloseStreams().
//
// Loop-bound, except where a method says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/transport/transport.h"
#include "server/core/server_core.h"
#include "server/service/shard_recorder.h"

namespace kvstore {

// The most bytes of replies that may be queued for one stream. While there are more, its worker
// does not read them, and its pulls are put off: so whoever asks without reading costs a bounded
// amount of memory.
inline constexpr size_t kQueuedReplyBytesMax = 64u << 20;

// Runs a command on a thread of its own choice, never this one, and calls `done` once, from any
// thread; not after the server was destroyed. Called on the loop of shard 0, and for an operator
// (`from` is kReaderRank) on the control loop.
using CommandHandler = std::function<void(WorkerRank from, const Command& command,
                                          std::function<void(absl::Status)> done)>;

// What a shard does with commands and with its profile.
struct ShardHandlers {
  CommandHandler on_command;  // null: commands are answered with UNIMPLEMENTED
  CommandHandler on_profile;  // orders to the profiler; null: UNIMPLEMENTED likewise
  TraceLane* lane =
      nullptr;  // of the shard's thread, outlives the shard; null: nothing is recorded
};

class Shard {
 public:
  // `loop` outlives the shard's streams; the shard outlives the loop's tasks.
  Shard(ShardIndex index, ServerCoreOptions options, std::unique_ptr<ShardValues> values,
        EventLoop* loop, ShardHandlers handlers = {});
  ~Shard();

  // What the server's listener serves: streams of /kvstore.v1.Data/Shard<index>, on the loop.
  ServedMethod Method();

  // A new routing table. Before the first one every request is put off: a worker may have its table
  // a moment earlier than we. Thread-safe.
  void OnRouting(ClusterId cluster, ServerRank rank, Incarnation incarnation,
                 const RoutingPtr& routing);
  // Calls `done` with the shard's numbers, on the loop. Thread-safe.
  void GetStatus(std::function<void(ShardStatus)> done);
  // The same with ServerCore::StatsOf, `keys`: all that there are; of that job, 0: of none yet.
  void GetKeyStats(const KeyQuery& query,
                   std::function<void(std::vector<KeyStats>, uint64_t keys, JobId job)> done);
  // The same with ServerCore::DeleteKeys or, with `reset`, ResetKeys; RESOURCE_EXHAUSTED: not all
  // are, ask again.
  void EndKeys(bool reset, const std::string& name, bool prefix, bool dry_run,
               std::function<void(absl::StatusOr<std::vector<DeletedKey>>)> done);
  // The same with ServerCore::Read; RESOURCE_EXHAUSTED: no memory for the piece.
  void ReadKey(const PartRange& range, PartIndex from, int64_t row, size_t bytes_max,
               std::function<void(const absl::StatusOr<ReadPart>&)> done);
  // The same with ServerCore::OrderNumbers; then it tells the shard's optimizer. UNAVAILABLE: it
  // has no memory, ask again.
  void OrderNumbers(NumbersVerb verb, const std::string& optimizer, const NumbersChange& change,
                    std::function<void(absl::StatusOr<OptimizerReport>)> done);

 private:
  void Accept(std::unique_ptr<MessageStream> stream);
  void OnMessage(PeerId peer, const Payload& message);
  void HandleMessage(PeerId peer, const Payload& message);
  // Memory ran out, and replies may be lost with it. The core is whole: every entry was done, or
  // was not. So the streams are closed: workers dial anew and ask after what was not answered.
  void CloseStreams();
  // Gives the core the newest routing table, if it has not got it yet.
  void TakeRouting();
  // A stream is over: forgets it, and what a reader waits for on it.
  void ForgetStream(PeerId peer) noexcept;
  // Bytes that are no frame: says so, and closes the stream.
  void RefuseBytes(PeerId peer, const absl::Status& status);
  // Takes the entries that request_check refuses out of `request`, and answers them.
  void RefuseEntries(PeerId peer, RequestFrame* request);
  // While the peer does not read its replies: takes the pulls out of `request`, and puts them off.
  void PutOffUnread(PeerId peer, RequestFrame* request);
  // Puts all entries of `request` off because of `status`: the worker sends them again later.
  void PutOff(PeerId peer, const RequestFrame& request, const absl::Status& status);
  // Tells the log, now and then, what is refused for want of room: it may go on until an operator
  // does something.
  void NoteRefusals(const ReplyFrame& frame);
  // The same for pushes that the policy "warn" lets in. `seen`: the last one; empty: none.
  void NoteNotFinite(const std::string& seen);
  // Has the commands run that came in.
  void RunCommands();
  void RunCommand(const CommandRun& run);
  void FinishCommand(uint64_t ticket, const absl::Status& outcome);
  void Send(PeerId peer, const ReplyFrame& frame);

  const ShardIndex index_;
  const ServerCoreOptions options_;
  const std::unique_ptr<ShardValues> values_;
  EventLoop* const loop_;
  const ShardHandlers handlers_;
  ShardRecorder recorder_;

  std::unique_ptr<ServerCore> core_;  // null until the first routing table
  struct {
    ClusterId cluster = 0;
    ServerRank rank = 0;
    Incarnation incarnation = 0;
    RoutingPtr table;  // null: the core has got it
  } next_routing_;
  FrameHeader reply_header_;  // of refusals that do not reach the core
  struct Stream {
    std::unique_ptr<MessageStream> stream;
    std::optional<WorkerRank> only_rank;  // whose frames its certificate lets it send
  };
  std::map<PeerId, Stream> streams_;
  PeerId last_peer_ = 0;
  int64_t quiet_until_ms_ = 0;  // NoteRefusals()
  int64_t not_finite_quiet_until_ms_ = 0;
  uint64_t not_finite_untold_ = 0;  // since the last line
};

}  // namespace kvstore
