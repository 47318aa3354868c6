// Network: connections between processes, with the seed's weather. Two kinds:
//   reliable  what gRPC gives (the scheduler's sessions): in order and whole, until it breaks;
//   lossy     harsher than gRPC (the data plane): messages may be lost, repeated, overtaken.
// A broken connection delivers what was under way until each end learns of it, each in its own
// time; a one-way partition stalls a reliable connection and eats the messages of a lossy one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "tests/simulation/world.h"

namespace kvstore::sim {

using ConnId = uint64_t;  // from 1, never reused

class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  // Called in the acceptor's life when one of its connections ended. Set anew in each life.
  void OnClosedAt(ProcessId acceptor, std::function<void(ConnId)> closed);

  // Events in the dialler's life: `up` at most once, `down` at most once and last.
  ConnId Dial(ProcessId from, ProcessId to, bool lossy, World::Task up, World::Task down);
  // Runs `deliver` at the other end, if and as often as the weather lets it.
  void ToAcceptor(ConnId id, World::Task deliver) { Send(id, true, std::move(deliver)); }
  void ToDialler(ConnId id, World::Task deliver) { Send(id, false, std::move(deliver)); }
  // No event comes to the end that closes; the other learns of it.
  void Close(ConnId id, bool by_acceptor);

  // Faults.
  void Break(ConnId id);
  void Partition(ProcessId from, ProcessId to, int64_t for_ms);
  void ProcessDied(ProcessId id);  // call after World::Kill
  // Open connections, oldest first.
  std::vector<ConnId> Open(bool lossy) const;
  ProcessId dialler(ConnId id) const { return conns_[id - 1].from; }
  ProcessId acceptor(ConnId id) const { return conns_[id - 1].to; }

 private:
  struct Conn {
    ProcessId from = 0;
    ProcessId to = 0;
    bool lossy = false;
    bool carries = true;          // new messages still go out
    bool from_open = true;        // the dialler has not been told of the end
    bool to_open = false;         // accepted, and not told of the end
    int64_t ready_ms = 0;         // not before this do messages reach the acceptor
    int64_t last_ms[2] = {0, 0};  // latest delivery to dialler, to acceptor
    World::Task up;
    World::Task down;
  };

  void Send(ConnId id, bool to_acceptor, World::Task deliver);
  void Accept(ConnId id);
  void TellDown(ConnId id, bool acceptor, int64_t delay_ms);
  int64_t Delay();
  int64_t BlockedUntil(ProcessId from, ProcessId to) const;

  World& world_;
  std::deque<Conn> conns_;  // references stay valid
  std::map<std::pair<ProcessId, ProcessId>, int64_t> blocked_until_ms_;
  std::map<ProcessId, std::function<void(ConnId)>> closed_;
};

}  // namespace kvstore::sim
