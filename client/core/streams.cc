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
  routing_ = std::move(routing);
  for (ServerRank server = 0; server < routing_->servers.size(); ++server) {
    for (ShardIndex shard = 0; shard < routing_->servers[server].shards; ++shard) {
      const auto [it, created] = streams_.try_emplace({server, shard});
      if (!created) continue;
      it->second.link = Link::kDialing;
      out->dial.push_back(it->first);
    }
  }
}

void Streams::OnUp(ShardAddress shard) { streams_.at(shard).link = Link::kUp; }

void Streams::OnDown(int64_t now_ms, ShardAddress shard) {
  Stream& stream = streams_.at(shard);
  stream.link = Link::kDown;
  stream.redial_delay_ms = stream.redial_delay_ms == 0
                               ? options_.redial_min_ms
                               : std::min(options_.redial_max_ms, 2 * stream.redial_delay_ms);
  stream.redial_at_ms = now_ms + stream.redial_delay_ms;
  stream.tries.clear();
  std::vector<Request*> sent;
  for (const auto& [id, request] : stream.sent) sent.push_back(request);
  for (Request* request : sent) Retry(*request);
  // What was under way went down with the stream.
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
    stream.ready_probes[request.order] = &request;
  } else {
    stream.ready.Add(&request);
  }
}

void Streams::Raise(Request& request, int priority) {
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
        stream.ready_probes.erase(request.order);
      } else {
        stream.ready.Remove(request);
      }
      break;
    case State::kSent:
    case State::kOwned:
      stream.sent.erase(request.id);
      break;
    case State::kPutOff:
      put_off_.erase({request.put_off_until_ms, request.id});
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
  request.as_probe = !request.ask.piece.data.empty();
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
  streams_.at(request.shard).sent[request.id] = &request;
  Expect(now_ms, request);
}

void Streams::PutOff(int64_t now_ms, uint32_t retry_after_ms, Request& request) {
  TakeOut(request);
  ReleaseWindow(request);
  const int doublings = std::min(request.times_put_off++, kPutOffDoublingsMax);
  request.state = State::kPutOff;
  request.as_probe = false;
  request.put_off_until_ms = now_ms + (int64_t{retry_after_ms} << doublings);
  put_off_[{request.put_off_until_ms, request.id}] = &request;
}

Request* Streams::TakePutOff(int64_t now_ms) {
  if (put_off_.empty() || put_off_.begin()->first.first > now_ms) return nullptr;
  Request* request = put_off_.begin()->second;
  put_off_.erase(put_off_.begin());
  request->put_off_until_ms = kNever;
  request->state = State::kHeld;
  return request;
}

void Streams::Forget(Request& request) {
  TakeOut(request);
  ReleaseWindow(request);
}

void Streams::Expect(int64_t now_ms, Request& request) {
  request.try_until_ms = now_ms + options_.try_ms;
  streams_.at(request.shard).tries.emplace_back(request.try_until_ms, request.id);
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
    if (!stream.tries.empty()) next = std::min(next, stream.tries.front().first);
  }
  return next;
}

void Streams::OnTimer(int64_t now_ms, ClientOutbox* out) {
  for (auto& [shard, stream] : streams_) {
    if (stream.link == Link::kDown && stream.redial_at_ms <= now_ms) {
      stream.link = Link::kDialing;
      stream.redial_at_ms = kNever;
      out->dial.push_back(shard);
    }
    while (!stream.tries.empty() && stream.tries.front().first <= now_ms) {
      const auto [due_ms, id] = stream.tries.front();
      stream.tries.pop_front();
      const auto it = stream.sent.find(id);
      if (it != stream.sent.end() && it->second->try_until_ms == due_ms) Retry(*it->second);
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
  const auto send = [&](Request& request) {
    cutter.Add(request, request.as_probe);
    request.state = State::kSent;
    stream.sent[request.id] = &request;
    Expect(now_ms, request);
  };
  for (const auto& [order, request] : std::exchange(stream.ready_probes, {})) send(*request);
  while (!stream.ready.empty()) {
    Request& request = stream.ready.Next();
    const size_t bytes = request.ask.piece.data.size();
    if (bytes > 0 && stream.window_bytes > 0 &&
        stream.window_bytes + bytes > options_.window_bytes) {
      break;
    }
    stream.ready.Take();
    request.window_bytes = bytes;
    stream.window_bytes += bytes;
    send(request);
  }
}

}  // namespace kvstore::client_internal
