// SendCommandToServers on a whole cluster in this process.
#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/arrays.h"
#include "tests/support/dist_cluster.h"
#include "tests/support/must.h"

namespace kvstore {
namespace {

using Done = std::function<void(absl::Status)>;

// What the servers of a cluster ran; one of them may fail, or keep everybody waiting.
class Controllers {
 public:
  CommandHandler Of(uint32_t server) {
    return [this, server](WorkerRank from, const Command& command, Done done) {
      {
        MutexLock lock(mutex_);
        runs_.push_back(std::to_string(server) + " " + std::to_string(from) + " " +
                        std::to_string(command.id) + " " + command.body.substr(0, 20));
        if (command.body == "hold") {
          held_.push_back(std::move(done));
          changed_.NotifyAll();
          return;
        }
      }
      done(command.body == "fail" && server > 0 ? absl::UnknownError("it broke")
                                                : absl::OkStatus());
    };
  }
  std::vector<std::string> Runs() {
    MutexLock lock(mutex_);
    std::sort(runs_.begin(), runs_.end());
    return runs_;
  }
  // When `count` commands are held.
  void LetGo(size_t count) {
    std::vector<Done> held;
    {
      MutexLock lock(mutex_);
      while (held_.size() < count) changed_.Wait(mutex_);
      held.swap(held_);
    }
    for (const Done& done : held) done(absl::OkStatus());
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> runs_ KVS_GUARDED_BY(mutex_);
  std::vector<Done> held_ KVS_GUARDED_BY(mutex_);
};

DistClusterOptions OptionsOf(Controllers& controllers, uint32_t workers, uint32_t servers) {
  DistClusterOptions options;
  options.workers = workers;
  options.servers = servers;
  options.shards = 2;
  options.on_command = [&controllers](uint32_t rank) { return controllers.Of(rank); };
  return options;
}

}  // namespace

TEST_CASE("a command runs once on every server before the call returns, from any rank",
          "[dist][command]") {
  Controllers controllers;
  DistCluster cluster(OptionsOf(controllers, 2, 3));
  CHECK(cluster.Run([&](KVStore& store, int rank) {
    if (rank == 1) {
      store.SendCommandToServers(7, "grow");
      if (controllers.Runs().size() != 3) throw std::runtime_error("3 runs expected");
      store.SendCommandToServers(0, std::string("\0\xff", 2));
    }
    store.Barrier();
  }) == NothingThrown(2));
  const std::string bytes("\0\xff", 2);
  CHECK(controllers.Runs() == std::vector<std::string>{"0 1 0 " + bytes, "0 1 7 grow",
                                                       "1 1 0 " + bytes, "1 1 7 grow",
                                                       "2 1 0 " + bytes, "2 1 7 grow"});
}

TEST_CASE("the servers whose controllers failed are named, all of them", "[dist][command]") {
  Controllers controllers;
  DistCluster cluster(OptionsOf(controllers, 1, 3));
  CHECK(cluster.Run([&](KVStore& store, int) {
    MUST_THROW(store.SendCommandToServers(9, "fail"), kUnknown,
               "server 1 (" + cluster.server_address(1) + "): it broke; server 2 (" +
                   cluster.server_address(2) + "): it broke");
    store.SendCommandToServers(9, "go on");
  }) == NothingThrown(1));
  CHECK(controllers.Runs().size() == 6);
}

TEST_CASE("a controller that takes long holds up neither pushes nor other commands",
          "[dist][command]") {
  Controllers controllers;
  DistCluster cluster(OptionsOf(controllers, 1, 2));
  CHECK(cluster.Run([&](KVStore& store, int) {
    NDArray value({3});
    store.Init(Ints{7}, {value});
    std::thread slow([&] { store.SendCommandToServers(8, "hold"); });
    store.SendCommandToServers(8, "quick");
    store.Push(Ints{7}, {value});
    store.Pull(Ints{7}, {&value});
    value.WaitToRead();
    controllers.LetGo(2);
    slow.join();
  }) == NothingThrown(1));
}

TEST_CASE("a command that is late names the servers that are waited for", "[dist][command]") {
  Controllers controllers;
  DistClusterOptions options = OptionsOf(controllers, 1, 2);
  options.operation_timeout_ms = 200;
  DistCluster cluster(options);
  CHECK(cluster.Run([&](KVStore& store, int) {
    MUST_THROW(store.SendCommandToServers(8, "hold"), kDeadlineExceeded,
               "command 8 is not done after 200 ms: it waits for server 0 (" +
                   cluster.server_address(0) + "), server 1 (" + cluster.server_address(1) + ")");
    controllers.LetGo(2);
  }) == NothingThrown(1));
}

}  // namespace kvstore
