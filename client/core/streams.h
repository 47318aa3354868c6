// Streams: what a worker has on the wire. One stream leads to each shard; a stream has a queue of
// requests that may be sent, a window of bytes that are not answered yet, and the requests that are
// sent. Also here: when a request is sent again or asked after, and when a stream is dialled again.
//
//   window   A request with payload goes when its bytes fit the window beside those that are not
//            answered, or when there are none (C5). With a window of 4 MiB and parts of 1 MiB four
//            are on the wire; each answer, also `received`, lets the next one go. What carries no
//            bytes goes at once, as do probes, whose answers may open the window.
//   retries  A request that has no answer after `try_ms`, or whose stream broke, is sent again; one
//            with payload is asked after instead (a probe), and sent again only when the server
//            says that it does not know it (C3). On a stream that lives its bytes stay in the
//            window meanwhile: they are on their way, however slow.
//   dialling A stream that broke is dialled again after `redial_min_ms`, then twice that, and so on
//            up to `redial_max_ms`, until the server says a word.
//
// Example: a window of 4 MiB, five pushes of 1 MiB each, `try_ms` 10 s, redials after 100 ms.
//
//    0.0 s  pushes 1 to 4 are sent; 5 waits for the window
//    0.1 s  `received` for 1: its bytes leave the window, and 5 is sent
//    0.2 s  `done` for 2: it is over. In the window: 3, 4 and 5
//    0.3 s  the stream breaks: 1, 3, 4 and 5 become probes that are ready, the window is empty
//    0.4 s  dialled again, up: four probes go. The server says `done` for 1, `received` for 3, and
//           `unknown` for 4 and 5, which are sent again with their bytes
//   10.4 s  nothing more was heard of 3: it is probed once more, and so on until its round is over
//
// Memory: frames and dials are made for `out`, and take some. Where a method throws std::bad_alloc,
// what is in `out` is done, and the rest is still queued, as if it had not been called for that.
//
// Loop-bound, pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/ready_queue.h"
#include "client/core/request.h"

namespace kvstore::client_internal {

class Streams {
 public:
  // `header`: cluster, rank and incarnation of every frame.
  Streams(const ClientCoreOptions& options, const FrameHeader& header)
      : options_(options), header_(header) {}

  // Dials the shards that are new. Without memory it may be called again.
  void OnRouting(RoutingPtr routing, ClientOutbox* out);
  void OnUp(ShardAddress shard);
  void OnDown(int64_t now_ms, ShardAddress shard);
  // The server said something.
  void OnHeard(ShardAddress shard) { streams_.at(shard).redial_delay_ms = 0; }

  bool Has(ShardAddress shard) const { return streams_.count(shard) != 0; }
  bool IsUp(ShardAddress shard) const { return streams_.at(shard).link == Link::kUp; }
  std::vector<ShardAddress> shards() const;

  // A request that is in no queue may go.
  void Queue(Request& request);
  // Changes the priority of a request, wherever it is.
  void Raise(Request& request, int priority);
  // The server does not know a request that is sent: its bytes go again.
  void SendAgain(Request& request);
  // The server has taken a request, whose answer may take as long as the slowest worker.
  void Own(int64_t now_ms, Request& request);
  // The server has said something of a member of a group that is sent: of the others the answers
  // are expected anew.
  void HeardOf(int64_t now_ms, Request& group);
  // The bytes of a member of a group are in no window any more.
  void ReleaseMember(Request& group, Member& member);
  // A request that was a member of a group until now goes on by itself, as far as that had come.
  void TakeOver(int64_t now_ms, Request& group, Member& member, Request& single);
  // The server puts a request off. It waits for `retry_after_ms`, the second time in a row for
  // twice as long, and so on up to 64 times as long.
  void PutOff(int64_t now_ms, uint32_t retry_after_ms, Request& request);
  // Takes out a request that was put off and has waited long enough, as kHeld; null: there is none.
  Request* TakePutOff(int64_t now_ms);
  // The request is over: nothing refers to it any more.
  void Forget(Request& request);

  // Asks after a request that is sent, now and beside its retries. The frames of one call go
  // together.
  void Probe(const std::vector<Request*>& requests, ClientOutbox* out) const;

  // Redials and retries that are due.
  void OnTimer(int64_t now_ms, ClientOutbox* out);
  // INT64_MAX when there is none.
  int64_t NextTimerMs() const;
  // Sends what may go.
  void Send(int64_t now_ms, ClientOutbox* out);

 private:
  enum class Link { kNew, kDown, kDialing, kUp };
  struct Stream {
    Link link = Link::kNew;
    int64_t redial_at_ms = kNever;
    int64_t redial_delay_ms = 0;
    size_t window_bytes = 0;  // not answered
    ReadyQueue ready;
    ByOrder ready_probes;  // the window does not hold them up
    // kSent and kOwned, in the order in which they began to wait for an answer, which is that of
    // their try_until_ms: every one waits for try_ms.
    LinkedList<Request, &Request::next_sent, &Request::previous_sent> sent;
  };

  FrameHeader HeaderFor(ShardAddress shard) const;
  void SendOver(int64_t now_ms, ShardAddress shard, Stream& stream, ClientOutbox* out);
  // Notes that a request is sent: an answer is expected until try_ms from now.
  void Expect(int64_t now_ms, Request& request);
  // Asks after a request that is sent, or sends it again.
  void Retry(Request& request);
  // Takes a request out of the queue or list that its state says.
  void TakeOut(Request& request);
  void ReleaseWindow(Request& request);

  const ClientCoreOptions options_;
  const FrameHeader header_;
  RoutingPtr routing_;
  std::map<ShardAddress, Stream> streams_;
  ByTurn put_off_;  // by the time when it is over, and id
};

}  // namespace kvstore::client_internal
