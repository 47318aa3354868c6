#include "tests/simulation/chaos.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvstore::sim {
namespace {

// A session lost for longer than lost_dead_ms (5 s) is a death: one outage, its redial and the way
// through the slowest weather must fit, and be over before the next.
constexpr int64_t kOutageMaxMs = 1500;
constexpr int64_t kPauseMaxMs = 2500;
constexpr int64_t kSpareMs = 9000;
// How long a death may go unnoticed: the way of the news, a scheduler that stands still, its disk.
constexpr int64_t kUnknownMaxMs = 5000;

}  // namespace

Chaos::Chaos(World& world, Network& network, SchedulerNode& scheduler,
             std::vector<std::unique_ptr<ServerNode>>& servers,
             std::vector<std::unique_ptr<WorkerNode>>& workers)
    : world_(world),
      network_(network),
      scheduler_(scheduler),
      servers_(servers),
      workers_(workers),
      rng_(world.rng().Fork()),
      lethal_(world.params().lethal) {}

void Chaos::Start() {
  const Params& p = world_.params();
  world_.Outside(p.heal_ms, [this] { Heal(); });
  if (p.chaos_every_ms != INT64_MAX) world_.Outside(p.chaos_every_ms, [this] { Tick(); });
  if (p.lethal != Lethal::kNone) world_.Outside(p.lethal_ms, [this] { Strike(); });
}

void Chaos::JobForms() {
  const Params& p = world_.params();
  if (!p.restarts_while_forming) return;
  for (int64_t n = rng_.Between(1, 4); n > 0; --n) {
    world_.Outside(rng_.Between(100, 3000 + p.idle_ms), [this] { RestartWhileForming(); });
  }
}

void Chaos::Heal() {
  if (world_.healed()) return;
  if (world_.tracing()) world_.Trace("---- the weather clears");
  world_.Heal();
}

void Chaos::Tick() {
  if (world_.healed()) return;
  const Params& p = world_.params();
  std::vector<void (Chaos::*)()> enabled;
  if (p.breaks_streams) enabled.push_back(&Chaos::BreakStreams);
  if (p.breaks_sessions) enabled.push_back(&Chaos::BreakSession);
  if (p.pauses) enabled.push_back(&Chaos::Pause);
  if (p.partitions) enabled.push_back(&Chaos::Partition);
  if (p.crashes_scheduler) enabled.push_back(&Chaos::CrashScheduler);
  if (p.clocks) enabled.push_back(&Chaos::Leap);
  if (enabled.empty()) return;
  (this->*enabled[rng_.Below(enabled.size())])();
  world_.Outside(rng_.Between(1, 2 * p.chaos_every_ms), [this] { Tick(); });
}

// True when the process may be hit; then it is left in peace for a while.
bool Chaos::Spare(ProcessId process, int64_t for_ms) {
  if (!world_.up(process) || spared_until_ms_[process] > world_.now_ms()) return false;
  spared_until_ms_[process] = world_.now_ms() + for_ms + kSpareMs;
  return true;
}

ProcessId Chaos::AnyNode() {
  const uint64_t one = rng_.Below(servers_.size() + workers_.size());
  return one < servers_.size() ? servers_[one]->process()
                               : workers_[one - servers_.size()]->process();
}

WorkerNode& Chaos::WorkerAt(ProcessId process) const {
  return **std::find_if(workers_.begin(), workers_.end(),
                        [process](const auto& worker) { return worker->process() == process; });
}

void Chaos::BreakStreams() {
  const std::vector<ConnId> open = network_.Open(/*lossy=*/true);
  if (open.empty()) return;
  const ConnId one = open[rng_.Below(open.size())];
  const uint64_t how = rng_.Below(4);
  for (const ConnId id : open) {
    const bool hit = how == 0   ? network_.dialler(id) == network_.dialler(one)
                     : how == 1 ? network_.acceptor(id) == network_.acceptor(one)
                                : id == one;
    if (!hit) continue;
    if (world_.tracing()) {
      world_.Trace(fmt::format("---- stream {} -> {} breaks", world_.name(network_.dialler(id)),
                               world_.name(network_.acceptor(id))));
    }
    world_.stats().Count(Fault::kStreamBroken);
    network_.Break(id);
  }
}

void Chaos::BreakSession() {
  const std::vector<ConnId> open = network_.Open(/*lossy=*/false);
  if (open.empty()) return;
  const ConnId id = open[rng_.Below(open.size())];
  if (!Spare(network_.dialler(id), 0)) return;
  if (world_.tracing()) {
    world_.Trace(fmt::format("---- session of {} breaks", world_.name(network_.dialler(id))));
  }
  world_.stats().Count(Fault::kSessionBroken);
  network_.Break(id);
}

void Chaos::Pause() {
  const int64_t for_ms = rng_.Between(10, kPauseMaxMs);
  const bool scheduler = rng_.Below(4) == 0;
  const ProcessId process = scheduler ? scheduler_.process() : AnyNode();
  if (!Spare(process, for_ms)) return;
  world_.stats().Count(scheduler                    ? Fault::kSchedulerPaused
                       : process <= servers_.size() ? Fault::kServerPaused
                                                    : Fault::kWorkerPaused);
  if (world_.tracing()) {
    world_.Trace(fmt::format("---- {} stands still for {} ms", world_.name(process), for_ms));
  }
  world_.Pause(process, for_ms);
}

void Chaos::Partition() {
  const int64_t for_ms = rng_.Between(10, kOutageMaxMs);
  const bool from_scheduler = rng_.Below(3) == 0;
  ProcessId a =
      from_scheduler ? scheduler_.process() : servers_[rng_.Below(servers_.size())]->process();
  ProcessId b = from_scheduler ? AnyNode() : workers_[rng_.Below(workers_.size())]->process();
  if (from_scheduler && !Spare(b, for_ms)) return;
  if (rng_.Coin()) std::swap(a, b);
  if (world_.tracing()) {
    world_.Trace(fmt::format("---- nothing passes from {} to {} for {} ms", world_.name(a),
                             world_.name(b), for_ms));
  }
  world_.stats().Count(Fault::kPartition);
  network_.Partition(a, b, for_ms);
}

void Chaos::CrashScheduler() {
  // A crash in the middle of a node's outage starts that node's clock anew: no need to spare.
  if (!world_.up(scheduler_.process()) || world_.paused(scheduler_.process())) return;
  world_.stats().Count(Fault::kSchedulerCrash);
  scheduler_.Crash();
  world_.Outside(rng_.Between(1, 3000), [this] { scheduler_.Start(); });
}

// As after a move of a virtual machine. On the scheduler it makes everybody seem silent for as
// long.
void Chaos::Leap() {
  const bool scheduler = rng_.Below(4) == 0;
  const ProcessId process = scheduler ? scheduler_.process() : AnyNode();
  const int64_t ms = rng_.Between(1, scheduler ? 500 : 3000);
  if (!Spare(process, ms)) return;
  if (world_.tracing()) {
    world_.Trace(fmt::format("---- the clock of {} leaps {} ms", world_.name(process), ms));
  }
  world_.stats().Count(Fault::kClockLeapt);
  world_.Leap(process, ms);
}

void Chaos::RestartWhileForming() {
  const ProcessId victim = AnyNode();
  if (!world_.up(victim) || scheduler_.begun() || lethal_at_ms_ != INT64_MAX) return;
  if (world_.tracing()) world_.Trace("---- " + world_.name(victim) + " dies and begins anew");
  world_.stats().Count(Fault::kRestartedWhileForming);
  const int64_t for_ms = rng_.Between(1, 3000);
  if (victim <= servers_.size()) {
    ServerNode& server = *servers_[victim - 1];
    if (server.registered()) {
      deaths_.push_back({fmt::format("server {}", server.rank()), victim, false, world_.now_ms()});
    }
    server.Crash();
    world_.Outside(for_ms, [&server] { server.Start(); });
  } else {
    WorkerNode& worker = WorkerAt(victim);
    if (worker.begun()) return;  // of the job before: it is about to end
    if (worker.registered()) {
      deaths_.push_back({fmt::format("worker {}", worker.rank()), victim, true, world_.now_ms()});
    }
    worker.Restart(for_ms);
  }
}

bool Chaos::HasDied(const std::string& name) const {
  return std::any_of(deaths_.begin(), deaths_.end(),
                     [&](const Death& death) { return death.name == name; });
}

bool Chaos::HasDied(ProcessId process) const {
  return std::any_of(deaths_.begin(), deaths_.end(),
                     [&](const Death& death) { return death.process == process; });
}

bool Chaos::Excuse(const absl::Status& why) {
  for (const Death& death : deaths_) {
    const bool named = std::string(why.message()).find(death.name + " (") != std::string::npos;
    if (!named || death.at_ms + kUnknownMaxMs < scheduler_.begun_ms()) continue;
    world_.stats().Count(Fault::kLostAtStart);
    lethal_ = death.worker ? Lethal::kWorkerRestart : Lethal::kServerRestart;
    lethal_at_ms_ = world_.now_ms();
    victim_ = death.name;
    victim_process_ = death.process;
    excused_ = true;
    world_.Outside(0, [this] { Heal(); });
    return true;
  }
  return false;
}

void Chaos::Strike() {
  if (lethal_at_ms_ != INT64_MAX) return;
  const Params& p = world_.params();
  const auto again = [this] { world_.Outside(200, [this] { Strike(); }); };
  const bool at_worker = p.lethal <= Lethal::kWorkerFails;
  const bool all_ended =
      std::all_of(workers_.begin(), workers_.end(), [](const auto& w) { return w->ended(); });
  if (all_ended) return;
  if (at_worker) {
    WorkerNode& worker = *workers_[rng_.Below(workers_.size())];
    if (worker.state() != WorkerNode::State::kRunning || !worker.begun() || worker.leaving()) {
      return again();
    }
    if (p.lethal == Lethal::kPushRefused && !worker.has_pushed()) return again();
    return StrikeWorker(worker);
  }
  ServerNode& server = *servers_[rng_.Below(servers_.size())];
  if (!server.routed() || !scheduler_.begun()) return again();
  StrikeServer(server);
}

void Chaos::StrikeWorker(WorkerNode& worker) {
  lethal_at_ms_ = world_.now_ms();
  victim_ = fmt::format("worker {}", worker.rank());
  victim_process_ = worker.process();
  if (world_.tracing()) {
    world_.Trace(fmt::format("---- {} ({}): {}", victim_, world_.name(victim_process_),
                             LethalName(world_.params().lethal)));
  }
  switch (world_.params().lethal) {
    case Lethal::kWorkerFrozen:
      frozen_process_ = victim_process_;
      world_.stats().Count(Fault::kNodeFrozen);
      world_.Pause(victim_process_, INT64_MAX);
      break;
    case Lethal::kPushRefused:
      worker.PushWhatIsRefused();
      break;
    case Lethal::kWorkerFails:
      world_.stats().Count(Fault::kWorkerFailed);
      worker.ReportFailure("out of luck");
      break;
    default:
      world_.stats().Count(Fault::kWorkerCrash);
      worker.Crash();
      if (world_.params().lethal == Lethal::kWorkerRestart) {
        world_.Outside(rng_.Between(1, 8000), [this, &worker] {
          world_.stats().Count(Fault::kNodeRestarted);
          worker.Start();
        });
      }
      break;
  }
  world_.Outside(rng_.Between(0, 3000), [this] { Heal(); });
}

void Chaos::StrikeServer(ServerNode& server) {
  lethal_at_ms_ = world_.now_ms();
  victim_ = fmt::format("server {}", server.rank());
  victim_process_ = server.process();
  if (world_.tracing()) {
    world_.Trace(fmt::format("---- {} ({}): {}", victim_, world_.name(victim_process_),
                             LethalName(world_.params().lethal)));
  }
  if (world_.params().lethal == Lethal::kServerFrozen) {
    world_.stats().Count(Fault::kNodeFrozen);
    world_.Pause(victim_process_, INT64_MAX);
  } else {
    world_.stats().Count(Fault::kServerCrash);
    server.Crash();
    if (world_.params().lethal == Lethal::kServerRestart) {
      world_.Outside(rng_.Between(1, 8000), [this, &server] {
        world_.stats().Count(Fault::kNodeRestarted);
        server.Start();
      });
    }
  }
  world_.Outside(rng_.Between(0, 3000), [this] { Heal(); });
}

}  // namespace kvstore::sim
