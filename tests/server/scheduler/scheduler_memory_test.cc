// The control plane without memory: each allocation on the scheduler's thread, on the one that
// writes the state, or on those of the nodes' sessions fails in turn, while a job of one server and
// one worker forms, starts, begins and ends.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/membership/scheduler_session.h"
#include "common/transport/inproc/inproc_transport.h"
#include "server/scheduler/scheduler_service.h"
#include "tests/server/scheduler/core/scheduler_fixture.h"
#include "tests/support/failing_new.h"

// Protobuf loses what a message has already when there is no memory for its next field: that leak
// is the library's. The name is LeakSanitizer's.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" __attribute__((visibility("default"))) const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:google::protobuf\n"; }
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace kvstore {
namespace {

using testing::FailingNth;

// What happened, for whoever waits for it.
class Board {
 public:
  void Set(const std::string& what) {
    const testing::SparedThread spared;
    MutexLock lock(mutex_);
    said_.push_back(what);
    changed_.NotifyAll();
  }
  // False at the deadline.
  bool Await(const std::string& what) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    MutexLock lock(mutex_);
    while (true) {
      for (const std::string& said : said_) {
        if (said == what) return true;
      }
      if (!changed_.WaitUntil(mutex_, deadline)) return false;
    }
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> said_ KVS_GUARDED_BY(mutex_);
};

// A node as a worker's SDK or a server runs it; a worker begins the job and leaves it.
class Member {
 public:
  Member(const std::shared_ptr<InprocNetwork>& network, const std::string& scheduler,
         const v1::Register& registration, Board* board)
      : transport_(network), loop_(transport_.MakeLoop("member")) {
    MembershipOptions options;
    options.registration = registration;
    options.redial_min_ms = 2;
    options.redial_max_ms = 5;
    options.register_timeout_ms = 100;
    const bool worker = registration.role() == v1::ROLE_WORKER;
    session_ = std::make_unique<SchedulerSession>(
        &transport_, loop_.get(), scheduler, options,
        [this, worker, board](const MembershipOutbox& learned) {
          if (learned.proposal) session_->Confirm(learned.proposal->attempt());
          if (learned.routing != nullptr && worker) session_->Begin();
          if (learned.begun) session_->Leave();
          if (learned.left) board->Set("left");
          if (learned.refused) board->Set("refused: " + std::string(learned.refused->message()));
        });
    loop_->Post([this] { session_->Start(); });
  }
  ~Member() {
    loop_->Post([this] { session_->Stop(); });
    loop_.reset();
  }

 private:
  InprocTransport transport_;
  std::unique_ptr<SchedulerSession> session_;
  std::unique_ptr<EventLoop> loop_;
};

// A whole job. Whether an allocation failed.
bool Job(const char* thread, int spared, int fails) {
  // In memory where there is such a place: hundreds of jobs write their state.
  const std::filesystem::path memory = "/dev/shm";
  std::string directory =
      ((std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
       "kvs_memory_XXXXXX")
          .string();
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const auto network = std::make_shared<InprocNetwork>();
  Board board;
  bool failed = false;
  {
    SchedulerServiceOptions options;
    options.core.workers = 1;
    options.core.servers = 1;
    options.core.heartbeat_ms = 20;
    options.core.suspect_ms = 60;
    options.core.lost_dead_ms = 2000;
    options.listen = "127.0.0.1:7070";
    SchedulerServiceEvents events;
    events.on_broken = [&](const absl::Status&) { board.Set("broken"); };
    events.on_job_over = [&](const v1::JobEnded& ended) {
      const testing::SparedThread of_the_test;
      board.Set("job over: " + std::to_string(ended.code()));
    };
    InprocTransport transport(network);
    auto file = StateFile::Open(directory);
    REQUIRE(file.ok());
    auto service = SchedulerService::Start(options, *std::move(file), &transport, events);
    REQUIRE(service.ok());
    std::optional<FailingNth> failing(std::in_place, thread, spared, fails);
    const Member server(network, options.listen, ServerRegister(1, 9000), &board);
    const Member worker(network, options.listen, WorkerRegister(2), &board);
    CHECK(board.Await("left"));
    CHECK(board.Await("job over: 0"));
    failed = failing->failed() > 0;
    failing.reset();  // the in-process network needs memory to end streams
  }
  std::filesystem::remove_all(directory);
  return failed;
}

}  // namespace

TEST_CASE("a scheduler or a node without memory for a moment carries the job to its end",
          "[scheduler][memory]") {
  const std::string thread = GENERATE("scheduler", "state", "member");
  // A session that broke is opened again after a while, which adds up: a tenth of them in each run.
  const int step = thread == "member" ? 10 : 1;
  const int first = step == 1 ? 0 : static_cast<int>(std::random_device()() % 10);
  // The in-process network survives one at a time.
  const int fails = 1;
  bool failed = true;
  int failures = 0;
  for (int spared = first; failed; spared += step) {
    CAPTURE(thread, spared, fails);
    failed = Job(thread.c_str(), spared, fails);
    failures += failed ? 1 : 0;
  }
  CHECK(failures > 5);
}

}  // namespace kvstore
