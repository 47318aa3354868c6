// ServerNode: a server at work in this process: a shard per thread, and one thread more that keeps
// the session with the scheduler and answers the operator.
//
//   shard loops      /kvstore.v1.Data/Shard<i>         Shard (server/service)
//   control loop     session with the scheduler        SchedulerSession (common/membership)
//                    /kvstore.v1.ServerAdmin/GetStatus, OrderProfiler, ReadProfile
//
// A routing table goes control loop -> every shard; a status request the same way, and its answers
// are added up by whichever shard is last.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/membership/scheduler_session.h"
#include "common/transport/transport.h"
#include "server/node/operator_commands.h"
#include "server/node/server_profiler.h"
#include "server/service/shard.h"
#include "server/values/program_updater.h"

namespace kvstore {

inline constexpr size_t kOpenRoundsShownMax = 100;
inline constexpr size_t kKeyStatsPage = 1000;

struct ServerNodeOptions {
  std::string scheduler;  // HOST:PORT
  // HOST:PORT, port 0: the system chooses. Empty: this host's address on the way to the scheduler
  // (common/transport/local_address.h), as soon as there is a way to it.
  std::string listen;
  // Where workers reach this server; port 0: the one that was bound. Empty: the listening host, or
  // for 0.0.0.0 and [::], this host's address on the way to the scheduler.
  std::string advertise;
  uint32_t shards = 1;
  std::optional<uint32_t> rank;                     // wanted
  ServerCoreOptions core;                           // of each shard
  CommandHandler on_command;                        // none: commands are UNIMPLEMENTED
  uint64_t profile_bytes_max = kTraceBytesDefault;  // what a recording may take
  ProgramUpdater* program_updater = nullptr;        // outlives the node
  std::string updater_plugin;                       // its name if it is a plugin, for the operator
  std::string updater_plugin_told;                  // with its options: the same on all servers
  bool key_stats = false;                           // whether the figures of sums are kept
  // If the node does not listen, or is not registered, after so long, it ends (on_stop).
  int64_t connect_timeout_ms = 60000;
  double time_scale = 1;  // of the session's timers; connect_timeout_ms is scaled already
};

// Called on the control loop. They must not destroy the node.
struct ServerNodeEvents {
  // Once, with the addresses as they hold: ports that were bound, hosts that were chosen.
  std::function<void(const std::string& listen, const std::string& advertise)> on_listening =
      [](const std::string&, const std::string&) {};
  // The node cannot go on: UNAVAILABLE it cannot listen, or nobody took it in within
  // connect_timeout_ms; any other code is the scheduler's refusal.
  std::function<void(absl::Status)> on_stop;
  // The job that the server was part of is over; it waits for the next one.
  std::function<void(const v1::JobEnded&)> on_job_ended;
};

class ServerNode {
 public:
  // Listens, and goes on to register. `transport` outlives the node. Errors: those of
  // Transport::Listen, if the options say where to listen; else on_stop tells them.
  static absl::StatusOr<std::unique_ptr<ServerNode>> Start(ServerNodeOptions options,
                                                           Transport* transport,
                                                           ServerNodeEvents events);
  // Closes all streams; what was sent before still goes out.
  ~ServerNode();

  // Where workers reach this server, if the options said where to listen; else on_listening does.
  const std::string& address() const { return address_; }

 private:
  struct Gathering;
  struct KeyGathering;
  struct EndGathering;
  struct NumbersGathering;

  ServerNode(ServerNodeOptions options, Transport* transport, ServerNodeEvents events);
  // True if an address is to be found on the way to the scheduler.
  bool NeedsRoute() const;
  // Finds out this host's address on the way to the scheduler, asking again until there is one;
  // then listens and joins.
  void AwaitRoute();
  // `route`: this host's address on the way to the scheduler, if NeedsRoute().
  absl::Status Listen(const std::string& route);
  void Join();
  // Ends the node if it is not registered yet; called on the control loop when connect_timeout_ms
  // are over.
  void CheckJoined();
  // The scheduler has given this server up, and may have another in its place by now.
  void JoinAnew(const absl::Status& why);
  void Learn(const MembershipOutbox& news);
  void TakeRouting(const RoutingPtr& routing);
  // Gives the shards the table, now or as soon as there is memory for that.
  void GiveRouting(ClusterId cluster, ServerRank rank, Incarnation incarnation,
                   const RoutingPtr& routing);
  void GetStatus(const UnaryReply& reply);
  void GetKeyStats(const Payload& request, const UnaryReply& reply);
  void OrderProfiler(const Payload& asked, const UnaryReply& reply);
  // Deletes keys, or resets them.
  void EndKeys(bool reset, const Payload& asked, const UnaryReply& reply);
  void ReadKey(const Payload& asked, const UnaryReply& reply);
  void OrderNumbers(const Payload& asked, const UnaryReply& reply);
  void ReadProfile(const Payload& asked, const UnaryReply& reply);
  // Gives memory back that was needed for a moment only, now and every second from now on.
  void TrimMemory();

  const ServerNodeOptions options_;
  Transport* const transport_;
  const ServerNodeEvents events_;
  PagePool& buffers_;  // of the process: values, sums, parked contributions
  // Its thread has done what the shards had it do before they go: they hear of it.
  std::unique_ptr<ServerProfiler> profiler_;
  std::vector<std::unique_ptr<EventLoop>> shard_loops_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<EventLoop> control_;
  std::unique_ptr<OperatorCommands> commands_;  // touched on the control loop
  // Used by the control loop only, while it runs; by Start before that, and by the destructor after
  // it.
  std::unique_ptr<SchedulerSession> session_;
  bool fenced_ = false;
  bool quiet_ = true;  // no buffer was taken in the second before the last one
  bool stopping_ = false;
  std::string route_trouble_;  // why there is no way to the scheduler
  std::string listen_;         // as bound
  std::string address_;        // where workers reach this server
  std::unique_ptr<Listener> listener_;
};

}  // namespace kvstore
