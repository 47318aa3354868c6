#include "tests/simulation/network.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvstore::sim {
namespace {

// How long a dialler waits before it gives up on a peer it cannot reach.
constexpr int64_t kConnectTimeoutMs = 1000;

}  // namespace

void Network::OnClosedAt(ProcessId acceptor, std::function<void(ConnId)> closed) {
  closed_[acceptor] = std::move(closed);
}

int64_t Network::Delay() {
  const Params& p = world_.params();
  if (world_.healed()) return 1;
  if (p.delay_tail_permille > 0 && world_.rng().Permille(p.delay_tail_permille)) {
    return world_.rng().Between(p.delay_max_ms, p.delay_tail_ms);
  }
  return world_.rng().Between(p.delay_min_ms, p.delay_max_ms);
}

int64_t Network::BlockedUntil(ProcessId from, ProcessId to) const {
  const auto it = blocked_until_ms_.find({from, to});
  return it == blocked_until_ms_.end() || world_.healed() ? 0 : it->second;
}

ConnId Network::Dial(ProcessId from, ProcessId to, bool lossy, World::Task up, World::Task down) {
  conns_.emplace_back();
  const ConnId id = conns_.size();
  Conn& conn = conns_.back();
  conn.from = from;
  conn.to = to;
  conn.lossy = lossy;
  conn.up = std::move(up);
  conn.down = std::move(down);
  const bool blocked = std::max(BlockedUntil(from, to), BlockedUntil(to, from)) > world_.now_ms();
  const int64_t delay = Delay();
  conn.ready_ms = world_.now_ms() + delay + 1;  // after Accept
  if (world_.params().optimistic_dial) {
    world_.After(0, from, [this, id] {
      if (conns_[id - 1].from_open) conns_[id - 1].up();
    });
  }
  if (blocked) {
    conn.carries = false;
    world_.stats().Count(Fault::kDialRefused);
    TellDown(id, false, kConnectTimeoutMs);
    return id;
  }
  world_.Outside(delay, [this, id] {
    Conn& c = conns_[id - 1];
    if (!c.carries) return;
    if (!world_.up(c.to)) {
      c.carries = false;
      world_.stats().Count(Fault::kDialRefused);
      TellDown(id, false, 1);
      return;
    }
    world_.After(0, c.to, [this, id] { Accept(id); });
  });
  return id;
}

void Network::Accept(ConnId id) {
  Conn& conn = conns_[id - 1];
  if (!conn.carries) return;
  conn.to_open = true;
  if (world_.params().optimistic_dial) return;
  conn.last_ms[0] = world_.now_ms() + Delay();
  world_.At(conn.last_ms[0], conn.from, [this, id] {
    if (conns_[id - 1].from_open) conns_[id - 1].up();
  });
}

void Network::Send(ConnId id, bool to_acceptor, World::Task deliver) {
  Conn& conn = conns_[id - 1];
  if (!conn.carries) return;
  const Params& p = world_.params();
  const ProcessId from = to_acceptor ? conn.from : conn.to;
  const ProcessId to = to_acceptor ? conn.to : conn.from;
  const int64_t blocked_until_ms = BlockedUntil(from, to);
  int64_t& last_ms = conn.last_ms[to_acceptor ? 1 : 0];
  int copies = 1;
  if (conn.lossy && !world_.healed()) {
    if (blocked_until_ms > world_.now_ms() || world_.rng().Permille(p.loss_permille)) {
      world_.stats().Count(Fault::kFrameLost);
      return;
    }
    while (copies < 4 && world_.rng().Permille(p.dup_permille)) {
      ++copies;
      world_.stats().Count(Fault::kFrameDuplicated);
    }
  }
  for (int copy = 0; copy < copies; ++copy) {
    int64_t at_ms = std::max(world_.now_ms(), blocked_until_ms) + Delay();
    if (to_acceptor) at_ms = std::max(at_ms, conn.ready_ms);
    if (conn.lossy && p.reorder && !world_.healed()) {
      if (at_ms < last_ms) world_.stats().Count(Fault::kFrameReordered);
    } else {
      at_ms = std::max(at_ms, last_ms);
    }
    last_ms = std::max(last_ms, at_ms);
    const bool last = copy + 1 == copies;
    world_.At(at_ms, to,
              [this, id, to_acceptor, task = last ? std::move(deliver) : World::Task(deliver)] {
                const Conn& c = conns_[id - 1];
                if (to_acceptor ? c.to_open : c.from_open) task();
              });
  }
}

void Network::TellDown(ConnId id, bool acceptor, int64_t delay_ms) {
  const Conn& conn = conns_[id - 1];
  world_.After(delay_ms, acceptor ? conn.to : conn.from, [this, id, acceptor] {
    Conn& c = conns_[id - 1];
    bool& open = acceptor ? c.to_open : c.from_open;
    if (!open) return;
    open = false;
    if (!acceptor) {
      c.down();
    } else if (const auto closed = closed_.find(c.to); closed != closed_.end()) {
      closed->second(id);
    }
  });
}

void Network::Close(ConnId id, bool by_acceptor) {
  Conn& conn = conns_[id - 1];
  (by_acceptor ? conn.to_open : conn.from_open) = false;
  if (!conn.carries) return;
  conn.carries = false;
  const int64_t after_ms = conn.last_ms[by_acceptor ? 0 : 1] - world_.now_ms();
  TellDown(id, !by_acceptor, std::max(Delay(), after_ms));
}

void Network::Break(ConnId id) {
  Conn& conn = conns_[id - 1];
  if (!conn.carries) return;
  conn.carries = false;
  TellDown(id, false, world_.rng().Between(0, world_.params().notice_ms));
  TellDown(id, true, world_.rng().Between(0, world_.params().notice_ms));
}

void Network::Partition(ProcessId from, ProcessId to, int64_t for_ms) {
  int64_t& until_ms = blocked_until_ms_[{from, to}];
  until_ms = std::max(until_ms, world_.now_ms() + for_ms);
}

void Network::ProcessDied(ProcessId dead) {
  for (ConnId id = 1; id <= conns_.size(); ++id) {
    Conn& conn = conns_[id - 1];
    if (!conn.carries || (conn.from != dead && conn.to != dead)) continue;
    conn.carries = false;
    const bool acceptor_lives = conn.from == dead;
    (acceptor_lives ? conn.from_open : conn.to_open) = false;
    TellDown(id, acceptor_lives, Delay());
  }
}

std::vector<ConnId> Network::Open(bool lossy) const {
  std::vector<ConnId> open;
  for (ConnId id = 1; id <= conns_.size(); ++id) {
    if (conns_[id - 1].carries && conns_[id - 1].lossy == lossy) open.push_back(id);
  }
  return open;
}

}  // namespace kvstore::sim
