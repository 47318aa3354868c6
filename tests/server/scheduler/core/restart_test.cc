// A scheduler that restarts goes on with the same cluster (S1, S2, S3, S5).
#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "tests/server/scheduler/core/scheduler_fixture.h"

namespace kvstore {
namespace {

using absl::StatusCode;

TEST_CASE("the first thing a scheduler does is to persist its term", "[scheduler][restart]") {
  SchedulerFixture f(1, 1);
  REQUIRE(f.out.persist);
  CHECK(f.out.messages.empty());
  CHECK(f.disk->term() == 1);
  f.Restart();
  CHECK(f.disk->term() == 2);
  CHECK(f.disk->cluster() == 77);
}

TEST_CASE("nodes of a running job resume with a restarted scheduler", "[scheduler][restart]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.Barrier(1, 1);
  f.Barrier(2, 1);
  f.Barrier(1, 2);  // this arrival is lost with the process
  f.Restart();
  CHECK(f.State() == "running");
  v1::Register request = WorkerRegister(101);
  request.set_incarnation(2);
  f.Register(8, request);
  CHECK(f.Registered(8).rank() == 0);
  CHECK(f.Registered(8).incarnation() == 2);
  CHECK(f.Registered(8).term() == 2);
  const auto routing = f.Got(8, v1::SchedulerMessage::kRouting);
  REQUIRE(routing.size() == 1);
  CHECK(routing[0].routing().epoch() == 1);
  // Rank 1 never got the answer to barrier 1; rank 0 asks for barrier 2 again.
  f.Barrier(8, 2);
  f.Register(9, WorkerRegister(102));
  f.Barrier(9, 1);
  CHECK(f.Barriers(9).back() == std::make_pair(uint64_t{1}, StatusCode::kOk));
  f.Barrier(9, 2);
  CHECK(f.Barriers(8).back() == std::make_pair(uint64_t{2}, StatusCode::kOk));
}

TEST_CASE("after a restart nobody is declared dead for three heartbeats and the time to come back",
          "[scheduler][restart]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.Restart();
  f.Register(8, WorkerRegister(101));
  f.Register(58, ServerRegister(201, 9000));
  const int64_t until = 3 * f.options.heartbeat_ms + f.options.lost_dead_ms;
  f.Pass(until - 1, {8, 58});
  CHECK(f.ends.empty());
  f.Pass(1, {8, 58});
  REQUIRE(f.ends.size() == 1);
  CHECK_THAT(f.ends[0].message(), Catch::Contains("worker 1 (host:102) is dead"));
}

TEST_CASE("a session that breaks within the grace does not count before its end",
          "[scheduler][restart]") {
  SchedulerFixture f(1, 1);
  f.FormJob();
  f.Restart();
  f.Register(8, WorkerRegister(101));
  f.Register(58, ServerRegister(201, 9000));
  f.Down(8);
  f.Pass(3 * f.options.heartbeat_ms + f.options.lost_dead_ms - 1, {58});
  CHECK(f.ends.empty());
  f.Pass(1, {58});
  CHECK(f.ends.size() == 1);
}

TEST_CASE("who left stays gone across a restart", "[scheduler][restart]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.Leave(2);
  f.Restart();
  f.Register(8, WorkerRegister(101));
  f.Register(58, ServerRegister(201, 9000));
  f.Barrier(8, 1);
  CHECK(f.Barriers(8).size() == 1);
  CHECK(f.NodeStatus(v1::ROLE_WORKER, 1).health() == v1::HEALTH_LEFT);
  // The answer to its Leave was lost.
  f.Register(9, WorkerRegister(102));
  f.Leave(9);
  CHECK(f.Got(9, v1::SchedulerMessage::kLeave).size() == 1);
  f.Leave(8);
  CHECK(f.ends.size() == 1);
}

TEST_CASE("epochs go on counting over jobs and restarts", "[scheduler][restart]") {
  SchedulerFixture f(1, 1);
  f.FormJob();
  f.Leave(1);
  f.Restart();
  CHECK(f.State() == "finished");
  f.Register(51, ServerRegister(201, 9000));
  f.Register(2, WorkerRegister(102));
  CHECK(f.Status().epoch() == 2);
}

TEST_CASE("a state of another shape, or one that contradicts itself, is refused with the reason",
          "[scheduler][restart]") {
  SchedulerFixture f(2, 1);
  f.FormJob();
  f.Leave(1);
  f.Leave(2);
  f.Register(3, WorkerRegister(103));
  f.Register(4, WorkerRegister(104));
  struct Case {
    std::string what;
    std::function<void(v1::SchedulerState*)> break_it;
    StatusCode code;
    std::string message;
  };
  const Case c = GENERATE(values<Case>({
      {"workers", [](auto* s) { s->set_workers(3); }, StatusCode::kFailedPrecondition,
       "founded with 3 workers and 1 servers, asked for are 2 workers and 1 servers"},
      {"servers", [](auto* s) { s->set_servers(2); }, StatusCode::kFailedPrecondition,
       "2 workers and 2 servers"},
      {"job", [](auto* s) { s->set_job(0); }, StatusCode::kDataLoss, "job 0"},
      {"ended", [](auto* s) { s->mutable_ended()->set_job(9); }, StatusCode::kDataLoss, "job 9"},
      {"ended gone", [](auto* s) { s->clear_ended(); }, StatusCode::kDataLoss, "never ended"},
      {"rank", [](auto* s) { s->mutable_nodes(0)->set_rank(7); }, StatusCode::kDataLoss,
       "worker 7 (host:103): rank out of range"},
      {"role", [](auto* s) { s->mutable_nodes(0)->set_role(v1::ROLE_SCHEDULER); },
       StatusCode::kDataLoss, "role 1"},
      {"rank twice", [](auto* s) { s->mutable_nodes(0)->set_rank(1); }, StatusCode::kDataLoss,
       "rank held twice"},
      {"incarnation", [](auto* s) { s->mutable_nodes(0)->set_incarnation(999); },
       StatusCode::kDataLoss, "incarnation 999"},
      {"incarnation twice", [](auto* s) { s->mutable_nodes(0)->set_incarnation(2); },
       StatusCode::kDataLoss, "issued twice"},
      {"nonce", [](auto* s) { s->mutable_nodes(0)->set_nonce(104); }, StatusCode::kDataLoss,
       "nonce"},
      {"slots", [](auto* s) { s->mutable_routing()->mutable_slot_server()->RemoveLast(); },
       StatusCode::kDataLoss, "slots"},
      {"routing job", [](auto* s) { s->mutable_routing()->set_job(1); }, StatusCode::kDataLoss,
       "job 1"},
      {"epoch", [](auto* s) { s->mutable_routing()->set_epoch(50); }, StatusCode::kDataLoss,
       "epoch 50"},
      {"missing node", [](auto* s) { s->mutable_nodes()->RemoveLast(); }, StatusCode::kDataLoss,
       "nodes"},
      {"routed incarnation",
       [](auto* s) { s->mutable_routing()->mutable_workers(1)->set_incarnation(1); },
       StatusCode::kDataLoss, "routing table"},
  }));
  CAPTURE(c.what);
  v1::SchedulerState state = *f.disk;
  REQUIRE(SchedulerCore::CheckState(f.options, state).ok());
  c.break_it(&state);
  const absl::Status status = SchedulerCore::CheckState(f.options, state);
  CHECK(status.code() == c.code);
  CHECK_THAT(std::string(status.message()), Catch::Contains(c.message));
}

// Processes register, are lost, come back, leave; the scheduler dies at any call, before or after
// its state got to the disk. What a node was ever told stays true: an incarnation names one process
// and one rank, for ever, and a process has one incarnation.
TEST_CASE("no incarnation is ever issued twice, wherever the scheduler dies",
          "[scheduler][restart][random]") {
  struct Process {
    v1::Register request;
    SessionId session = 0;  // 0: none
    Incarnation incarnation = 0;
    uint32_t rank = 0;
    bool gone = false;
    uint64_t proposed = 0;  // to be confirmed
  };
  int restarts = 0, told = 0, jobs = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    SchedulerOptions options;
    options.workers = 1 + below(3);
    options.servers = 1 + below(2);
    int64_t now = 0;
    SessionId last_session = 0;
    uint64_t last_nonce = 0;
    std::vector<Process> processes;
    std::map<Incarnation, std::pair<uint64_t, uint32_t>> issued;  // nonce, rank
    Incarnation highest = 0;
    Epoch highest_epoch = 0;
    Term last_term = 0;
    std::optional<v1::SchedulerState> disk;
    std::unique_ptr<SchedulerCore> core;

    // One call of the core, with a crash in one of a few places. False: the scheduler died.
    const auto call = [&](const std::function<void(SchedulerOutbox*)>& what) {
      SchedulerOutbox out;
      what(&out);
      const uint32_t fate = below(40);
      if (out.persist && fate == 0) return false;  // died before it was on disk
      if (out.persist) disk = out.persist;
      if (fate == 1) return false;  // on disk, and nobody was told
      for (const auto& [session, message] : out.messages) {
        if (below(60) == 0) return false;  // some were told
        for (Process& process : processes) {
          if (process.session != session) continue;
          if (message.has_registered()) {
            ++told;
            const v1::Registered& r = message.registered();
            REQUIRE(r.term() >= last_term);
            last_term = r.term();
            if (process.incarnation != 0) {
              REQUIRE(process.incarnation == r.incarnation());
              REQUIRE(process.rank == r.rank());
            } else {
              const auto [it, fresh] =
                  issued.try_emplace(r.incarnation(), process.request.nonce(), r.rank());
              REQUIRE(it->second.first == process.request.nonce());
              if (fresh) highest = std::max(highest, r.incarnation());
            }
            process.incarnation = r.incarnation();
            process.rank = r.rank();
          } else if (message.has_proposal()) {
            process.proposed = message.proposal().attempt();
          } else if (message.has_routing()) {
            REQUIRE(message.routing().epoch() >= highest_epoch);
            if (message.routing().epoch() > highest_epoch) ++jobs;
            highest_epoch = message.routing().epoch();
          } else if (message.has_refused()) {
            const auto code = static_cast<StatusCode>(message.refused().code());
            if (code != StatusCode::kUnavailable) process.gone = true;
          } else if (message.has_job_ended() && process.request.role() == v1::ROLE_WORKER) {
            process.gone = true;
          }
        }
      }
      for (const SessionId session : out.close) {
        for (Process& process : processes) {
          if (process.session == session) process.session = 0;
        }
      }
      return true;
    };
    const auto start = [&] {
      do {
        ++restarts;
        for (Process& process : processes) process.session = 0;
        if (disk) REQUIRE(SchedulerCore::CheckState(options, *disk).ToString() == "OK");
      } while (!call([&](SchedulerOutbox* out) {
        core = std::make_unique<SchedulerCore>(options, disk, 7, now, out);
      }));
    };
    start();
    for (int step = 0; step < 150; ++step) {
      bool lives = true;
      const auto send = [&](Process& process, const v1::NodeMessage& message) {
        lives = call(
            [&](SchedulerOutbox* out) { core->OnMessage(now, process.session, message, out); });
      };
      const uint32_t choice = below(12);
      if (processes.empty() || choice == 0) {
        Process process;
        ++last_nonce;
        process.request = below(2) == 0 ? WorkerRegister(last_nonce)
                                        : ServerRegister(last_nonce, 9000 + below(3));
        if (below(3) == 0) process.request = Wanting(process.request, below(options.workers));
        processes.push_back(process);
      }
      Process& process = processes[below(static_cast<uint32_t>(processes.size()))];
      if (process.gone) continue;
      if (process.session == 0 || choice == 1) {
        v1::NodeMessage message;
        *message.mutable_register_() = process.request;
        message.mutable_register_()->set_incarnation(process.incarnation);
        process.session = ++last_session;
        send(process, message);
      } else if (choice == 2) {
        const SessionId session = std::exchange(process.session, 0);
        lives = call([&](SchedulerOutbox* out) { core->OnSessionDown(now, session, out); });
      } else if (choice == 3) {
        v1::NodeMessage message;
        message.mutable_barrier()->set_generation(1 + below(2));
        send(process, message);
      } else if (choice == 4 && process.request.role() == v1::ROLE_WORKER) {
        v1::NodeMessage message;
        message.mutable_leave();
        send(process, message);
      } else if (choice == 5 && process.request.role() == v1::ROLE_WORKER) {
        v1::NodeMessage message;
        message.mutable_begin();
        send(process, message);
      } else if (choice < 9) {
        for (Process& other : processes) {
          if (other.session == 0 || other.proposed == 0 || !lives) continue;
          v1::NodeMessage message;
          message.mutable_confirm()->set_attempt(std::exchange(other.proposed, 0));
          send(other, message);
        }
      } else {
        now += below(2) == 0 ? 200 : 4000;
        for (Process& other : processes) {
          if (other.session == 0 || !lives) continue;
          v1::NodeMessage message;
          message.mutable_heartbeat();
          send(other, message);
        }
        if (lives) lives = call([&](SchedulerOutbox* out) { core->OnTimer(now, out); });
      }
      if (!lives) start();
    }
  }
  // The test tests something.
  CHECK(restarts > 2000);
  CHECK(told > 5000);
  CHECK(jobs > 100);
}

}  // namespace
}  // namespace kvstore
