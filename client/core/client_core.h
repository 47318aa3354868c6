// ClientCore: what a worker does about every part of every Init, Push and Pull, from submission to
// completion, over streams that break. Pure: events in, frames and completions out.
//
// Rules (docs/life_of_a_push.md, proved by tests/simulation):
//   C1  a push of a part is held until every earlier pull of that part is answered. Any request
//       about a part is held until every earlier Init of it, taking back of one, Delete, Reset or
//       WRITE_STATE is over, and these until everything earlier is. (Rounds and versions order the
//       rest, whatever order the frames arrive in.)
//   C2  a pull names the round of the worker's last push of that part submitted before it; a
//       reader's, which has none, the version that it is given.
//   C3  a resend carries the very same bytes, round and request number. A retry of a request with
//       payload is a probe without it; only the answer `unknown` sends the bytes again.
//   C4  a completion is reported once; replies to a request that is over are ignored.
//   C5  unanswered payload bytes of open requests stay, per stream, under `window_bytes`, those of
//       NORMS aside.
//   C6  when the job has ended every open and every later request fails with the job's status.
//   C7  a request that the server puts off (refuses with retry-after) stays open; it is sent again
//       after that time, of a part lower rounds and fragments first.
//   C8  the fragments of a contribution are one push: one round, sent in ascending order, nothing
//       of their part between them. The fragments of an Init go one after the other (C1).
//   C9  the pushes of a part that are under way lie in a window of `rounds_ahead_max` rounds: while
//       round 5 is open, a window of 4 lets rounds 5 to 8 go, and holds round 9 even if 6 to 8 are
//       over. So the server knows how far back it may be asked.
//   C10 what a part says of norms is carried to the other parts of its value (norm_relay.h), by
//       requests of the core's own, which nobody hears of.
//   C11 a key of which a part of a push was refused for good, while others were accepted, has
//       failed (key_failures.h): its open pushes and pulls end with that, and so does every later
//       one at once, until the key is deleted or reset.
//
// Requests of a group have numbers of their own, and all of these rules hold for each of them.
// While they are alike they share what the core keeps of a request (request_groups.h).
//
// Memory. Any call may find too little of it, and no rule above may break of that. The dangerous
// one is C2: a push that got round 5 of its part, and is never sent, stops that part for ever, as
// the servers wait for round 5; and one that is sent about two of its three parts leaves the third
// one round behind. Hence:
//   * Submit takes all the memory that its requests will need until they are over, first; then it
//     numbers and queues all of them, for which it needs none. It throws std::bad_alloc before the
//     first number is given, or not at all.
//   * What is queued is sent when there is memory for a frame: a frame that cannot be made is no
//     error of anybody. NextTimerMs() then says when to try again, kPauseMs later.
//   * OnFrame takes each answer as a whole or not at all, and throws std::bad_alloc at the first
//     that it cannot take. Whoever calls it must then treat the stream as broken (OnStreamDown):
//     what was answered is asked after again, as after every broken stream (C3).
//   * OnJobEnded and OnRouting throw before they have done anything, and may be called again.
//   * OnStreamUp, OnStreamDown, OnTimer and NextTimerMs do not throw.
// What is in `out` when a call has thrown is to be carried out like any other outbox.
//
// Loop-bound: all calls from one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/cluster/routing_table.h"
#include "common/wire/frame.h"

namespace kvstore {

// Names a submitted request to its submitter; chosen by the submitter, unique among open requests.
using Ticket = uint64_t;

// Requests that are alike but for their parts, as one; each is about a part of its own, of a dense
// value. They begin together, as far as nothing holds one of them, and each ends by itself.
struct PartGroup {
  struct Member {
    PartId id;
    uint32_t at = 0;  // kPush: what it brings is `size` bytes from here
    uint32_t size = 0;
  };
  std::vector<Member> members;
  BufferPtr bytes;  // kPush
};
// Members of a group at most: one frame holds them.
inline constexpr size_t kGroupMembersMax = 512;

struct PartRequest {
  Op op = Op::kUnspecified;  // one about a part (OpScope::kPart), but for kProbe
  PartId id;
  Ticket ticket = 0;
  // What the request brings. Its bytes are kept, as they are, until the request is over. The
  // fragments of one kPush or kInit are submitted in one call, in ascending order, each with a
  // ticket of its own.
  Piece piece;
  std::shared_ptr<const KeySpec> key;  // kInit; else null
  // kTakeBack: Completion::request of the Init that is taken back, of its first fragment.
  RequestId takes_back = 0;
  // Higher goes first among requests that wait for the same stream; equal ones keep their order. A
  // low one waits a bounded number of turns (client/core/ready_queue.h).
  int priority = 0;
  uint64_t step = 0;
  Round version = 0;  // kPull of a reader: at least this one; 0: the last
  // kPush, kPull: not one request but these, which have `op`, `ticket`, `priority` and `step`
  // alike. Each has a completion of its own.
  std::shared_ptr<const PartGroup> group{};
};

// A request that goes to whole shards: one completion when all of them answered. Its status is OK
// or names every server that refused, with the code of the one with the lowest rank.
struct ShardRequest {
  // An op about all shards, or about the first one of each server (OpScope).
  Op op = Op::kUnspecified;
  Ticket ticket = 0;
  OptimizerConfig optimizer;
  Command command;    // kCommand, kProfile
  uint64_t step = 0;  // kSetNumbers: from which on
};

struct ClientCoreOptions {
  uint64_t window_bytes = 4u << 20;  // unanswered payload per stream
  // C9; from 1 to kRoundsAheadMax, and not more than ServerCoreOptions::rounds_ahead_max.
  uint32_t rounds_ahead_max = 32;
  int64_t try_ms = 10000;  // without an answer: probe or send again
  int64_t redial_min_ms = 100;
  int64_t redial_max_ms = 1000;

  // Errors: INVALID_ARGUMENT names the option, what is expected and what came. A core is not made
  // of options that are refused.
  absl::Status Check() const;
};

struct Completion {
  Ticket ticket = 0;
  PartId id;
  uint32_t member = 0;  // of a group: which
  // OK, the refusal of the server, or the job's status when the job has ended.
  absl::Status status;
  // kPull: the bytes of the part; of a row-sparse key the rows, in the order of the ids.
  // kReadState: a page.
  Payload data;
  Round round = 0;  // kPush: the round; kPull, kReadState: the version
  // kInit of a key whose shape was unknown: what the server has.
  std::shared_ptr<const KeySpec> key;
  // Of a request about a part: its number on the wire. 0: it was never given one, because nothing
  // could be submitted.
  RequestId request = 0;
  uint64_t staleness = 0;  // kPull: of the version (ReplyEntry)
  // The status is that the key has failed (C11); the first error of the key is in its message.
  bool key_failed = false;
};

struct ClientOutbox {
  struct Send {
    ShardAddress to;
    RequestFrame frame;
  };
  std::vector<Send> frames;
  std::vector<ShardAddress> dial;  // open a stream; answer with OnStreamUp, later OnStreamDown
  std::vector<Completion> done;
};

// What WaitingFor reports about one open request.
struct WaitInfo {
  PartId id;
  Op op = Op::kUnspecified;
  Round round = 0;
  ShardAddress shard;
  bool connected = false;
  bool answered = false;            // `missing` is fresh
  std::vector<WorkerRank> missing;  // empty although answered: the server itself is late
  // What holds it up at the server although nobody is missing, in words; empty: nothing.
  std::string held;
  // The code with which the server put the request off; kOk: it is not put off.
  absl::StatusCode put_off = absl::StatusCode::kOk;
};

class ClientCore {
 public:
  ClientCore(ClientCoreOptions options, ClusterId cluster, WorkerRank rank,
             Incarnation incarnation);
  ~ClientCore();

  void OnRouting(int64_t now_ms, RoutingPtr routing, ClientOutbox* out);
  void OnStreamUp(int64_t now_ms, ShardAddress shard, ClientOutbox* out) noexcept;
  void OnStreamDown(int64_t now_ms, ShardAddress shard) noexcept;
  void OnFrame(int64_t now_ms, ShardAddress from, const ReplyFrame& reply, ClientOutbox* out);
  void OnJobEnded(absl::Status status, ClientOutbox* out);
  // Retries, redials, paced resends. To be called at NextTimerMs() or later.
  void OnTimer(int64_t now_ms, ClientOutbox* out) noexcept;
  // INT64_MAX when there is none.
  int64_t NextTimerMs() const noexcept;

  // Takes the requests in order; frames are cut from all that is ready at the end, so submitting
  // many small parts in one call sends few frames. When it throws, `requests` are as they were.
  void Submit(int64_t now_ms, std::vector<PartRequest>&& requests, ClientOutbox* out);
  void Submit(int64_t now_ms, const ShardRequest& request, ClientOutbox* out);

  // Probe asks the servers, by probes, for whom the requests with these tickets wait. WaitingFor
  // says what is known: `missing` once the server has answered. Probe asks about parts only;
  // WaitingFor lists whole-shard requests too.
  void Probe(const std::vector<Ticket>& tickets, ClientOutbox* out);
  std::vector<WaitInfo> WaitingFor(const std::vector<Ticket>& tickets) const;

  // That somebody submitted and was not told the end of.
  size_t open_requests() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore
