// ShardLinks: a worker's links to the shards of all servers, the twin of the server's Shard. A thin
// shell that runs a ClientCore on the loop whose streams it dials: requests in, core, encode, bytes
// out; bytes in, decode, core, completions out to the sinks; and the core's timer.
//
//   any thread -> Add(asks) ... Flush() -> loop: ClientCore -> frames -> streams
//   streams -> loop: DecodeFrame -> ClientCore -> PartSink::OnPart -> what it asks next
//
// Example: the program pushes key 7, which has three parts, and pulls it. Each call adds three
// asks; one Flush posts one task to the loop. The task gives them the tickets 1 to 6, notes under
// each ticket which sink hears of it, and submits all six to the core in one call, so that they
// share frames. When the answer about ticket 2 comes, its sink (the PushOperation) hears that its
// request number 1 is over, and the ticket is forgotten. If a stream breaks meanwhile nobody above
// notices: the core asks for another dial and sends again what was not answered.
//
// Before the job has begun there is no core, and requests wait in queued_ and waiting_: the first
// of them has `wanted` called, which asks the scheduler for leave to begin.
//
// Memory. On the loop nothing may throw: it is a thread of the user's process. What finds too
// little memory becomes what ClientCore knows anyway (client_core.h says why no more is needed):
//   * requests that cannot be submitted stay queued; they are tried again, in their order
//   * a frame that cannot be encoded or sent, an answer that cannot be decoded or taken: the stream
//     is closed; over a new one the core asks after what was under way
//   * a stream that cannot be dialled is one that broke
//   * a routing table, or the end of the job: tried again
//   * an operation that cannot take its answer ends with RESOURCE_EXHAUSTED (DistOperation)
// "Again" is after a moment (kPauseMs); the loop waits until there is the memory for that alarm.
//
// Loop-bound, except where a method says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "client/core/client_core.h"
#include "client/dist/open_requests.h"
#include "client/dist/part_sink.h"
#include "client/dist/worker_profile.h"
#include "common/base/mutex.h"
#include "common/cluster/routing_table.h"
#include "common/transport/loop_timer.h"
#include "common/transport/transport.h"

namespace kvstore {

class ShardLinks {
 public:
  // `transport` and `loop` outlive the links, unless the loop is destroyed first. `wanted` is
  // called on the loop, once, when there is a first request and no routing table yet; it may call
  // the links.
  // `profile`: null, or outlives the links, and hears what is sent and answered.
  ShardLinks(Transport* transport, EventLoop* loop, ClientCoreOptions options,
             std::function<void()> wanted, WorkerProfile* profile = nullptr);
  ~ShardLinks();

  // Queues requests; Flush sends what was queued, in few frames. Thread-safe. Add may throw
  // std::bad_alloc; then nothing is queued, and `asks` are as they were. If Flush finds no memory,
  // what is queued ends with RESOURCE_EXHAUSTED: the sinks hear it on the calling thread, before
  // anything was submitted.
  void Add(PartAsks&& asks) KVS_EXCLUDES(mutex_);
  void Flush() noexcept KVS_EXCLUDES(mutex_);
  // Queues requests that are refused no more, because making them has changed something, and
  // flushes: waits for the memory that takes. Thread-safe.
  void AddForGood(PartAsks asks) noexcept KVS_EXCLUDES(mutex_);

  // The routing table of a job that has begun, or a new one: the first one makes the core, dials
  // every shard and sends what waited for it. The other arguments are who this worker is, and the
  // same at every call.
  void OnRouting(ClusterId cluster, WorkerRank rank, Incarnation incarnation,
                 RoutingPtr routing) noexcept;
  // Whether a routing table has come; requests wait for the first one.
  bool routed() const { return routing_ != nullptr; }
  // Asks whole shards. The sink hears once, when all of them answered: with the op of `request`,
  // index 0. May throw std::bad_alloc; then nobody is asked.
  void AskShards(ShardRequest request, std::shared_ptr<PartSink> sink);
  // Every open and every later request fails with `status`, which is not OK.
  void EndJob(const absl::Status& status) noexcept;
  // Closes all streams. Called last, after EndJob; what was queued and not flushed fails, too.
  void Stop() noexcept KVS_EXCLUDES(mutex_);

  // Asks the servers for whom the open requests of these operations wait. `told` is called once, on
  // the loop: when every server has answered, or after `within_ms` with what is known then. It must
  // not call the links.
  using Told = std::function<void(std::vector<WaitInfo>)>;
  void Explain(const std::vector<uint64_t>& operations, int64_t within_ms, Told told) noexcept;
  // For whom the open requests of one sink wait, as far as is known without asking.
  std::vector<WaitInfo> WaitingFor(const PartSink& sink) const;

 private:
  // A call of Explain that is not answered yet.
  struct Inquiry {
    uint64_t number = 0;
    std::vector<Ticket> tickets;
    Told told;
  };

  // A list for each Add. Two take no memory, so that what an operation asks next (InitOperation:
  // that its parts are taken back) is kept without any.
  using Lists = absl::InlinedVector<PartAsks, 2>;

  // Has SubmitQueued called on the loop, unless that is on its way. May throw std::bad_alloc.
  void PostFlush() KVS_REQUIRES(mutex_);
  void SubmitQueued() noexcept KVS_EXCLUDES(mutex_);
  // Submits all that has waited for the core.
  void SubmitWaiting() noexcept KVS_EXCLUDES(mutex_);
  // Calls wanted_ the first time.
  void Want();
  // False without memory: then they are in late_.
  bool Submit(Lists lists) noexcept;
  // May throw std::bad_alloc; then the lists are as they were.
  void TrySubmit(Lists* lists, ClientOutbox* out);
  // Refuses requests that could not be submitted: their sinks hear RESOURCE_EXHAUSTED.
  static void Refuse(const PartAsks& asks) noexcept;
  // Appends `asks` to `lists` if there is memory for that.
  static void KeepOrRefuse(Lists* lists, PartAsks asks) noexcept;
  void Handle(ClientOutbox out) noexcept;
  // Gives the sink what its request came to; what it asks next goes to `next`. Returns
  // the sink, if that was the last of its ticket.
  std::shared_ptr<PartSink> Tell(Completion done, Lists* next) noexcept;
  void Dial(ShardAddress shard) noexcept;
  void OnMessage(ShardAddress shard, const Payload& message) noexcept;
  void OnStreamDown(ShardAddress shard) noexcept;
  // Closes it: it may have lost something.
  void BreakStream(ShardAddress shard) noexcept;
  void OnTimer() noexcept;
  void ArmTimer() noexcept;
  void TryRouting() noexcept;
  void TryEndJob() noexcept;
  // What found no memory is tried again in a moment.
  void Later() noexcept;
  void TryAgain() noexcept;
  // Ends the inquiries that every server has answered, and in any case the one with the number
  // `late`, whose time is up (0: none).
  void EndInquiries(uint64_t late) noexcept;

  Transport* const transport_;
  EventLoop* const loop_;
  const ClientCoreOptions options_;
  std::function<void()> wanted_;  // null once it was called
  WorkerProfile* const profile_;

  Mutex mutex_;
  Lists queued_ KVS_GUARDED_BY(mutex_);
  // Whether some of queued_ are AddForGood's: its thread waits for the memory to flush them.
  bool awaited_ KVS_GUARDED_BY(mutex_) = false;
  bool flush_posted_ KVS_GUARDED_BY(mutex_) = false;

  // What OnRouting and EndJob were told; the core learns it at once, or Later.
  ClusterId cluster_ = 0;
  WorkerRank rank_ = 0;
  Incarnation incarnation_ = 0;
  RoutingPtr routing_;
  bool routing_told_ = true;
  std::optional<absl::Status> end_;
  bool end_told_ = false;
  std::unique_ptr<ClientCore> core_;  // null until the first routing table, or the job's end
  Lists late_;                        // to be submitted before anything else is
  bool later_ = false;                // TryAgain is to come
  std::vector<std::pair<ShardRequest, std::shared_ptr<PartSink>>> waiting_;  // only without a core
  std::map<ShardAddress, std::unique_ptr<MessageStream>> streams_;
  OpenRequests open_;
  std::vector<Inquiry> inquiries_;
  uint64_t last_inquiry_ = 0;
  std::unique_ptr<LoopTimer> timer_;  // null after Stop
};

}  // namespace kvstore
