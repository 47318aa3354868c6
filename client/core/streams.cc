#include "client/core/streams.h"

#include <algorithm>
#include <string>

#include "client/core/frame_cutter.h"

namespace kvstore::client_internal {
namespace {

constexpr int kPutOffDoublingsMax = 6;

}  // namespace

FrameHeader Streams::HeaderFor(ShardAddress shard) const {
  FrameHeader header = header_;
  header.epoch = routing_->epoch;
  header.job = routing_->job;
  header.server_incarnation = routing_->servers[shard.server].incarnation;
  return header;
}

void Streams::OnRouting(RoutingPtr routing, ClientOutbox* out) {
  for (ServerRank server = 0; server < routing->servers.size(); ++server) {
    for (ShardIndex shard = 0; shard < routing->servers[server].shards; ++shard) {
      Stream& stream = streams_[{server, shard}];
      if (stream.link != Link::kNew) continue;
      out->dial.push_back({server, shard});
      stream.link = Link::kDialing;
    }
  }
  routing_ = std::move(routing);
}

void Streams::OnUp(ShardAddress shard) { streams_.at(shard).link = Link::kUp; }

void Streams::OnDown(int64_t now_ms, ShardAddress shard) {
  Stream& stream = streams_.at(shard);
  stream.link = Link::kDown;
  stream.redial_delay_ms = stream.redial_delay_ms == 0
                               ? options_.redial_min_ms
                               : std::min(options_.redial_max_ms, 2 * stream.redial_delay_ms);
  stream.redial_at_ms = now_ms + stream.redial_delay_ms;
  while (Request* request = stream.sent.first()) Retry(*request);
  // The bytes that were on their way are lost with the stream, so they leave its window. (Retry has
  // made each such request a probe that is ready.)
  for (const auto& [order, request] : stream.ready_probes) ReleaseWindow(*request);
}

std::vector<ShardAddress> Streams::shards() const {
  std::vector<ShardAddress> shards;
  shards.reserve(streams_.size());
  for (const auto& [shard, stream] : streams_) shards.push_back(shard);
  return shards;
}

void Streams::Queue(Request& request) {
  request.state = State::kReady;
  Stream& stream = streams_.at(request.shard);
  if (request.as_probe) {
    request.by_order.key() = request.order;
    stream.ready_probes.insert(std::move(request.by_order));
  } else {
    stream.ready.Add(&request);
  }
}

void Streams::Raise(Request& request, int priority) {
  // The queue is sorted by priority, so a request leaves it while its priority changes.
  const bool queued = request.state == State::kReady;
  if (queued) TakeOut(request);
  request.ask.priority = priority;
  if (queued) Queue(request);
}

void Streams::TakeOut(Request& request) {
  Stream& stream = streams_.at(request.shard);
  switch (request.state) {
    case State::kReady:
      if (request.as_probe) {
        request.by_order = stream.ready_probes.extract(request.order);
      } else {
        stream.ready.Remove(&request);
      }
      break;
    case State::kSent:
    case State::kOwned:
      stream.sent.Remove(&request);
      break;
    case State::kPutOff:
      request.by_turn = put_off_.extract({request.put_off_until_ms, request.id});
      break;
    case State::kHeld:
      break;
  }
}

void Streams::ReleaseWindow(Request& request) {
  streams_.at(request.shard).window_bytes -= request.window_bytes;
  request.window_bytes = 0;
}

void Streams::Retry(Request& request) {
  TakeOut(request);
  // Asking costs less than sending a megabyte once more that the server may have. Without payload
  // the request itself is as short as a question; what may not be asked after is sent again, too.
  request.as_probe = request.brings() && InfoOf(request.ask.op).may_be_probed;
  Queue(request);
}

void Streams::SendAgain(Request& request) {
  TakeOut(request);
  ReleaseWindow(request);
  request.as_probe = false;
  Queue(request);
}

void Streams::Own(int64_t now_ms, Request& request) {
  TakeOut(request);
  ReleaseWindow(request);
  request.state = State::kOwned;
  Expect(now_ms, request);
}

void Streams::HeardOf(int64_t now_ms, Request& group) {
  if (group.state != State::kSent) return;
  TakeOut(group);
  Expect(now_ms, group);
}

void Streams::ReleaseMember(Request& group, Member& member) {
  if (!std::exchange(member.counts, false)) return;
  const size_t bytes = group.SizeOf(member);
  group.member_bytes -= bytes;
  const size_t counted = std::min(bytes, group.window_bytes);
  group.window_bytes -= counted;
  streams_.at(group.shard).window_bytes -= counted;
}

void Streams::TakeOver(int64_t now_ms, Request& group, Member& member, Request& single) {
  const bool counted = member.counts && group.window_bytes > 0;
  const size_t bytes = counted ? std::min(group.SizeOf(member), group.window_bytes) : 0;
  ReleaseMember(group, member);
  single.shard = group.shard;
  single.window_bytes = bytes;
  streams_.at(single.shard).window_bytes += bytes;
  single.as_probe = group.as_probe;
  if (group.state == State::kReady) return Queue(single);
  single.state = State::kSent;
  Expect(now_ms, single);
}

void Streams::PutOff(int64_t now_ms, uint32_t retry_after_ms, Request& request) {
  TakeOut(request);
  ReleaseWindow(request);
  // With retry_after 20 ms it waits for 20, 40, 80 ms, … and at most 1280.
  const int doublings = std::min(request.times_put_off++, kPutOffDoublingsMax);
  request.state = State::kPutOff;
  request.as_probe = false;
  request.put_off_until_ms = now_ms + (int64_t{retry_after_ms} << doublings);
  request.by_turn.key() = {request.put_off_until_ms, request.id};
  put_off_.insert(std::move(request.by_turn));
}

Request* Streams::TakePutOff(int64_t now_ms) {
  if (put_off_.empty() || put_off_.begin()->first.first > now_ms) return nullptr;
  Request* request = put_off_.begin()->second;
  request->by_turn = put_off_.extract(put_off_.begin());
  request->put_off_until_ms = kNever;
  // PartOrder decides whether it may go: another request of its part may have been put off, too.
  request->state = State::kHeld;
  return request;
}

void Streams::Forget(Request& request) {
  TakeOut(request);
  ReleaseWindow(request);
}

void Streams::Expect(int64_t now_ms, Request& request) {
  request.try_until_ms = now_ms + options_.try_ms;
  streams_.at(request.shard).sent.Add(&request);
}

void Streams::Probe(const std::vector<Request*>& requests, ClientOutbox* out) const {
  std::map<ShardAddress, FrameCutter> cutters;
  for (const Request* request : requests) {
    if (!IsUp(request->shard)) continue;
    if (request->state != State::kSent && request->state != State::kOwned) continue;
    cutters.try_emplace(request->shard, HeaderFor(request->shard), request->shard, out)
        .first->second.Add(*request, true);
  }
}

int64_t Streams::NextTimerMs() const {
  int64_t next = put_off_.empty() ? kNever : put_off_.begin()->first.first;
  for (const auto& [shard, stream] : streams_) {
    if (stream.link == Link::kDown) next = std::min(next, stream.redial_at_ms);
    if (stream.sent.first() != nullptr) next = std::min(next, stream.sent.first()->try_until_ms);
  }
  return next;
}

void Streams::OnTimer(int64_t now_ms, ClientOutbox* out) {
  for (auto& [shard, stream] : streams_) {
    if (stream.link == Link::kDown && stream.redial_at_ms <= now_ms) {
      out->dial.push_back(shard);
      stream.link = Link::kDialing;
      stream.redial_at_ms = kNever;
    }
    while (stream.sent.first() != nullptr && stream.sent.first()->try_until_ms <= now_ms) {
      Retry(*stream.sent.first());
    }
  }
}

void Streams::Send(int64_t now_ms, ClientOutbox* out) {
  for (auto& [shard, stream] : streams_) {
    if (stream.link != Link::kUp || (stream.ready.empty() && stream.ready_probes.empty())) continue;
    SendOver(now_ms, shard, stream, out);
  }
}

void Streams::SendOver(int64_t now_ms, ShardAddress shard, Stream& stream, ClientOutbox* out) {
  FrameCutter cutter(HeaderFor(shard), shard, out);
  // A request leaves its queue when it is in a frame.
  const auto sent = [&](Request& request) {
    request.state = State::kSent;
    Expect(now_ms, request);
  };
  while (!stream.ready_probes.empty()) {
    Request& request = *stream.ready_probes.begin()->second;
    cutter.Add(request, /*as_probe=*/true);
    request.by_order = stream.ready_probes.extract(stream.ready_probes.begin());
    sent(request);
  }
  while (!stream.ready.empty()) {
    Request& request = stream.ready.Next();
    // A NORMS is small, and others wait for it. What goes again is counted already.
    const bool counts = request.ask.op != Op::kNorms && request.window_bytes == 0;
    const size_t bytes = counts ? request.bytes() : 0;
    // C5. One request alone always goes, however large: else it would never fit. All behind it
    // wait, too, also small ones: overtaking would let a stream of small requests starve a large
    // one.
    if (bytes > 0 && stream.window_bytes > 0 &&
        stream.window_bytes + bytes > options_.window_bytes) {
      break;
    }
    cutter.Add(request, /*as_probe=*/false);
    stream.ready.Take();
    request.window_bytes += bytes;
    stream.window_bytes += bytes;
    sent(request);
  }
}

}  // namespace kvstore::client_internal
