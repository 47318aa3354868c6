// DistCluster: a whole cluster in one process over the in-process transport: the very scheduler,
// servers and SDK of the real one. Each worker is a thread with a store of its own.
#pragma once

#include <catch2/catch.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/api/store_facade.h"
#include "client/base/environment.h"
#include "client/base/error_border.h"
#include "client/dist/dist_kvstore.h"
#include "common/transport/inproc/inproc_transport.h"
#include "kvstore/kvstore.h"
#include "server/node/server_node.h"
#include "server/scheduler/scheduler_service.h"

namespace kvstore {

struct DistClusterOptions {
  uint32_t workers = 1;
  uint32_t servers = 1;
  uint32_t shards = 1;
  int64_t lost_dead_ms = 5000;
  int64_t operation_timeout_ms = 60000;
  int64_t connect_timeout_ms = 60000;
  std::function<CommandHandler(uint32_t rank)> on_command{};
  ProgramUpdater* program_updater = nullptr;
  std::optional<uint32_t> program_rank{};  // the only server with the updater; none: all have it
  ServerCoreOptions core{};
};

class DistCluster {
 public:
  explicit DistCluster(DistClusterOptions options)
      : options_(options), network_(std::make_shared<InprocNetwork>()) {
    SchedulerServiceOptions scheduler;
    scheduler.core.workers = options.workers;
    scheduler.core.servers = options.servers;
    scheduler.core.lost_dead_ms = options.lost_dead_ms;
    scheduler.listen = "127.0.0.1:0";
    SchedulerServiceEvents events;
    events.on_broken = [](const absl::Status&) {};
    events.on_job_over = [](const v1::JobEnded&) {};
    scheduler_transport_ = Transport();
    auto started = SchedulerService::Start(scheduler, nullptr, scheduler_transport_.get(), events);
    REQUIRE(started.ok());
    scheduler_ = *std::move(started);
    scheduler_address_ = "127.0.0.1:" + std::to_string(scheduler_->port());
    for (uint32_t rank = 0; rank < options.servers; ++rank) StartServer(rank);
  }
  ~DistCluster() {
    servers_.clear();
    scheduler_.reset();
  }

  void StartServer(uint32_t rank) {
    ServerNodeOptions server;
    server.scheduler = scheduler_address_;
    server.listen = "127.0.0.1:0";
    server.advertise = "127.0.0.1:0";
    server.shards = options_.shards;
    server.rank = rank;
    if (options_.program_rank.value_or(rank) == rank) {
      server.program_updater = options_.program_updater;
    }
    server.core = options_.core;
    if (options_.on_command != nullptr) server.on_command = options_.on_command(rank);
    ServerNodeEvents events;
    events.on_stop = [](const absl::Status&) {};
    events.on_job_ended = [](const v1::JobEnded&) {};
    server_transports_.push_back(Transport());
    auto node = ServerNode::Start(server, server_transports_.back().get(), events);
    REQUIRE(node.ok());
    servers_.push_back(*std::move(node));
  }
  // The server and all that it knew are gone.
  void KillServer(size_t index) { servers_[index].reset(); }

  Environment WorkerEnvironment(int rank) const {
    Environment environment;
    environment.scheduler = scheduler_address_;
    if (rank >= 0) environment.rank = static_cast<uint32_t>(rank);
    environment.node_host = "node" + std::to_string(rank);
    environment.connect_timeout_ms = options_.connect_timeout_ms;
    environment.operation_timeout_ms = options_.operation_timeout_ms;
    return environment;
  }
  // Joins the cluster. Throws what CreateUnique would throw.
  std::unique_ptr<KVStore> Join(int rank, const std::string& type = "dist_sync") {
    auto backend = MakeDistBackend(Transport(), WorkerEnvironment(rank), type);
    ThrowIfError(backend.status());
    return std::make_unique<StoreFacade>(type, *std::move(backend));
  }

  // Runs `body` as every worker, each in its own thread, stores made before and destroyed after it.
  // Returns what each threw ("" for nothing).
  std::vector<std::string> Run(const std::function<void(KVStore& store, int rank)>& body,
                               const std::string& type = "dist_sync") {
    std::vector<std::string> thrown(options_.workers);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < static_cast<int>(options_.workers); ++rank) {
      threads.emplace_back([&, rank] {
        try {
          const auto store = Join(rank, type);
          body(*store, rank);
        } catch (const std::exception& error) {
          thrown[static_cast<size_t>(rank)] = error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return thrown;
  }

  InprocNetwork& network() { return *network_; }
  std::shared_ptr<InprocTransport> Transport() {
    return std::make_shared<InprocTransport>(network_);
  }
  const std::string& scheduler_address() const { return scheduler_address_; }
  const std::string& server_address(size_t index) const { return servers_[index]->address(); }
  // The scheduler process is gone and a new one listens at its address, with nothing on disk.
  void StopScheduler() { scheduler_.reset(); }

 private:
  const DistClusterOptions options_;
  const std::shared_ptr<InprocNetwork> network_;
  std::shared_ptr<InprocTransport> scheduler_transport_;
  std::unique_ptr<SchedulerService> scheduler_;
  std::string scheduler_address_;
  std::vector<std::shared_ptr<InprocTransport>> server_transports_;
  std::vector<std::unique_ptr<ServerNode>> servers_;
};

// All of a Run went well.
inline std::vector<std::string> NothingThrown(uint32_t workers) {
  return std::vector<std::string>(workers);
}

// Lets threads of a test meet: the n-th to arrive releases all.
class Meeting {
 public:
  explicit Meeting(int expected) : expected_(expected) {}
  void Arrive() {
    MutexLock lock(mutex_);
    const int round = round_;
    if (++arrived_ == expected_) {
      arrived_ = 0;
      ++round_;
      changed_.NotifyAll();
      return;
    }
    while (round == round_) changed_.Wait(mutex_);
  }

 private:
  const int expected_;
  Mutex mutex_;
  CondVar changed_;
  int arrived_ = 0;
  int round_ = 0;
};

}  // namespace kvstore
