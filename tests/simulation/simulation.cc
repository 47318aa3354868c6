#include "tests/simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <vector>

#include "tests/simulation/chaos.h"
#include "tests/simulation/operator.h"
#include "tests/simulation/reader_node.h"

namespace kvstore::sim {
namespace {

// After the weather cleared all work must be done within this (virtual) time: most takes seconds,
// but with no room for what comes before its turn, contributions of many fragments and backoffs of
// up to 4 s each a round may take ten.
constexpr int64_t kProgressMs = 300000;
// What may come on top of the scheduler's own deadline before all know of a death: the scheduler's
// restart, its grace, redials, the way of the message.
constexpr int64_t kNoticeSlackMs = 16000;
// Orderly ends: the last leave may still be on its way to the scheduler's disk.
constexpr int64_t kJobEndMs = 30000;

class Simulation : public Cluster {
 public:
  Simulation(const Params& params, bool trace)
      : params_(params),
        world_(params_, trace),
        network_(world_),
        oracle_(world_),
        told_(world_),
        scheduler_(world_, network_, told_) {
    for (uint32_t s = 0; s < params_.servers; ++s) {
      servers_.push_back(std::make_unique<ServerNode>(
          world_, network_, scheduler_, oracle_, s,
          [this](ConnId stream, const ReplyInTransit& frame) { Deliver(stream, frame); }));
    }
    AddJob();
    for (uint32_t r = 0; r < params_.readers; ++r) {
      readers_.push_back(
          std::make_unique<ReaderNode>(world_, network_, scheduler_, oracle_, programs_, *this, r));
    }
    chaos_ = std::make_unique<Chaos>(world_, network_, scheduler_, servers_, workers_);
    operator_ = std::make_unique<Operator>(world_, oracle_, servers_);
  }

  void Run() {
    world_.Outside(0, [this] { scheduler_.Start(); });
    for (auto& server : servers_) {
      world_.Outside(world_.rng().Between(0, 1500), [&server] { server->Start(); });
    }
    chaos_->Start();
    Rng when(Mix64(params_.seed + 31999));
    for (auto& reader : readers_) {
      world_.Outside(when.Between(0, 6000), [&reader] { reader->Start(); });
    }
    if (params_.operates) operator_->Start();
    for (uint32_t job = 1; job <= params_.jobs; ++job) {
      if (job > 1) AddJob();
      StartWorkers();
      chaos_->JobForms();
      while (!AllEnded()) {
        if (world_.now_ms() > Deadline()) FailLate();
        if (!world_.RunNext()) world_.Fail("nothing is left to happen, but not all have ended");
      }
      if (chaos_->lethal_at_ms() != INT64_MAX) return CheckHonest();
      if (LostUnheard()) return;
      CheckComplete();
    }
  }

  World& world() { return world_; }

  ProcessId ServerAt(const std::string& address) const override {
    for (const auto& server : servers_) {
      if (server->address() == address) return server->process();
    }
    world_.Fail("there is no server at " + address);
  }
  void DeliverToServer(ConnId stream, ShardAddress to, const RequestInTransit& frame) override {
    servers_[network_.acceptor(stream) - 1]->OnFrame(stream, to.shard, frame);
  }
  void OnFailure(const absl::Status& why) override {
    const bool struck = chaos_->lethal_at_ms() != INT64_MAX;
    if (struck && std::string(why.message()).find(chaos_->victim()) != std::string::npos) return;
    // Also when another node had died at the start: its death comes out first, or later.
    if (chaos_->Excuse(why) || struck) return;
    world_.Fail("the job fails, and nothing happened to it: " + why.ToString());
  }
  bool HasDied(v1::Role role, uint32_t rank) const override {
    return chaos_->HasDied(
        fmt::format("{} {}", role == v1::ROLE_WORKER ? "worker" : "server", rank));
  }
  bool AllAtBarrier(uint64_t generation) const override {
    return AllWorkers([&](const WorkerNode& worker) {
      return worker.leaving() || worker.barriers_begun() >= generation ||
             worker.arrived_before_it_died(generation);
    });
  }

 private:
  // To whoever dialled the stream.
  void Deliver(ConnId stream, const ReplyInTransit& frame) {
    const auto dialled = [process = network_.dialler(stream)](const auto& node) {
      return node->process() == process;
    };
    const auto worker = std::find_if(workers_.begin(), workers_.end(), dialled);
    if (worker != workers_.end()) return (*worker)->OnReply(stream, frame);
    (*std::find_if(readers_.begin(), readers_.end(), dialled))->OnReply(stream, frame);
  }

  void AddJob() {
    const JobId job = programs_.size() + 1;
    programs_.push_back(Programs::Make(params_, world_.rng().Fork()));
    oracle_.BeginJob(job, programs_.back());
    former_workers_ = workers_.size();
    job_began_ms_ = world_.now_ms();
    for (uint32_t w = 0; w < params_.workers; ++w) {
      workers_.push_back(std::make_unique<WorkerNode>(world_, network_, scheduler_, oracle_,
                                                      programs_.back(), job, *this, w));
    }
  }

  void StartWorkers() {
    for (size_t w = former_workers_; w < workers_.size(); ++w) {
      int64_t delay_ms = world_.rng().Between(0, 1500);
      // Others have long confirmed, and died since.
      const bool last = w + 1 == workers_.size();
      if (last && params_.restarts_while_forming) delay_ms = world_.rng().Between(0, 9000);
      world_.Outside(delay_ms, [worker = workers_[w].get()] { worker->Start(); });
    }
  }

  // Of the job at hand.
  template <typename Predicate>
  bool AllWorkers(Predicate predicate) const {
    return std::all_of(workers_.begin() + static_cast<ptrdiff_t>(former_workers_), workers_.end(),
                       [&](const auto& worker) { return predicate(*worker); });
  }

  // Whether a job was lost at its start, and nobody was left to be told so: a worker that died in
  // that moment, and began anew, came into the next job.
  bool LostUnheard() {
    for (const auto& worker : workers_) {
      if (worker->state() != WorkerNode::State::kTurnedAway ||
          !chaos_->HasDied(worker->process())) {
        continue;
      }
      world_.stats().Count(Fault::kLostAtStart);
      return true;
    }
    return false;
  }

  bool Frozen(const WorkerNode& worker) const {
    return chaos_->frozen_process() == worker.process();
  }
  // A new life is promised nothing in time.
  bool Counts(const WorkerNode& worker) const {
    // Nor is one that was to be in the job that was lost at its start.
    const bool waits =
        worker.state() == WorkerNode::State::kStarting && chaos_->lethal_at_ms() != INT64_MAX;
    if (waits && (chaos_->excused() || chaos_->HasDied(worker.process()))) return false;
    return !(chaos_->lethal() == Lethal::kWorkerRestart && chaos_->lethal_at_ms() != INT64_MAX &&
             worker.process() == chaos_->victim_process()) &&
           !Frozen(worker);
  }
  bool AllEnded() const {
    return AllWorkers([&](const WorkerNode& worker) { return worker.ended() || !Counts(worker); });
  }

  int64_t Deadline() const {
    const int64_t struck_ms = chaos_->lethal_at_ms();
    if (struck_ms == INT64_MAX) {
      return std::max(params_.heal_ms, job_began_ms_) + kProgressMs;
    }
    // The push may have to wait until the pulls before it are answered.
    if (chaos_->lethal() == Lethal::kPushRefused) return struck_ms + kProgressMs;
    const bool frozen =
        chaos_->lethal() == Lethal::kWorkerFrozen || chaos_->lethal() == Lethal::kServerFrozen;
    return struck_ms + kNoticeSlackMs +
           (frozen ? params_.scheduler.silent_dead_ms : params_.scheduler.lost_dead_ms);
  }

  [[noreturn]] void FailLate() const {
    std::string text = chaos_->lethal_at_ms() == INT64_MAX
                           ? "no progress: "
                           : fmt::format("not all were told in time of {} ({}): ", chaos_->victim(),
                                         LethalName(chaos_->lethal()));
    for (const auto& worker : workers_) {
      if (!worker->ended()) text += worker->Describe() + "; ";
    }
    world_.Fail(text + "the scheduler: " + scheduler_.StateName());
  }

  void CheckComplete() {
    for (const auto& worker : workers_) {
      if (worker->state() != WorkerNode::State::kFinished) {
        world_.Fail("all work can be done, but " + worker->Describe());
      }
    }
    oracle_.CheckAllCommitted();
    for (const auto& server : servers_) server->CheckIdle();
    CheckCharged();
    const int64_t until_ms = std::max(world_.now_ms(), params_.heal_ms) + kJobEndMs;
    while (scheduler_.StateName() != "finished") {
      if (world_.now_ms() > until_ms) {
        world_.Fail("all left, but the job is not over: " + scheduler_.StateName());
      }
      world_.RunNext();
    }
  }

  // The keys, and nothing of an Init that was taken back.
  void CheckCharged() const {
    uint64_t expected = 0, charged = 0;
    for (const uint32_t parts : params_.key_parts) expected += parts * kChargedBytes;
    for (const auto& server : servers_) charged += server->value_bytes();
    if (charged == expected) return;
    world_.Fail(
        fmt::format("the keys take {} bytes, the servers are charged with {}", expected, charged));
  }

  // The fault may have come when a worker had nothing more to fear from it; else it is told what
  // happened, by code and by name.
  void CheckHonest() {
    const bool at_worker = chaos_->lethal() <= Lethal::kWorkerFails;
    const absl::StatusCode code =
        at_worker ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kDataLoss;
    for (const auto& worker : workers_) {
      if (!Counts(*worker) || worker->state() != WorkerNode::State::kFailed) continue;
      const std::string message(worker->failure().message());
      const bool named = message.find(chaos_->victim()) != std::string::npos &&
                         (at_worker || message.find("slot") != std::string::npos);
      if (worker->failure().code() != code || !named) {
        world_.Fail(fmt::format("{} ({}): {} must be named, {} was told: {}", chaos_->victim(),
                                LethalName(chaos_->lethal()), chaos_->victim(),
                                world_.name(worker->process()), worker->failure().ToString()));
      }
    }
  }

  const Params params_;
  World world_;
  Network network_;
  std::deque<Programs> programs_;  // by job; references stay valid
  Oracle oracle_;
  Told told_;
  SchedulerNode scheduler_;
  std::vector<std::unique_ptr<ServerNode>> servers_;
  std::vector<std::unique_ptr<WorkerNode>> workers_;  // of all jobs
  size_t former_workers_ = 0;                         // of the jobs before
  std::vector<std::unique_ptr<ReaderNode>> readers_;
  int64_t job_began_ms_ = 0;
  std::unique_ptr<Chaos> chaos_;
  std::unique_ptr<Operator> operator_;
};

}  // namespace

Outcome Simulate(uint64_t seed, bool trace) {
  const Params params = Params::FromSeed(seed);
  Outcome outcome;
  outcome.shape = params.Describe();
  Simulation simulation(params, trace);
  try {
    simulation.Run();
  } catch (const std::exception& violation) {
    outcome.violation = violation.what();
  }
  outcome.stats = simulation.world().stats();
  outcome.stats.virtual_ms = simulation.world().now_ms();
  outcome.fingerprint = simulation.world().fingerprint();
  return outcome;
}

}  // namespace kvstore::sim
