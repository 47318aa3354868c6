#include "tests/support/dist_cluster.h"

#include <catch2/catch.hpp>
#include <exception>
#include <thread>
#include <utility>

#include "client/api/store_facade.h"
#include "client/base/error_border.h"
#include "client/dist/dist_kvstore.h"

namespace kvstore {

DistCluster::DistCluster(DistClusterOptions options) : DistCluster(std::move(options), nullptr) {}

DistCluster::DistCluster(DistClusterOptions options, MakeTransport make)
    : options_(std::move(options)),
      network_(std::make_shared<InprocNetwork>()),
      make_transport_(make != nullptr ? std::move(make) : [network = network_] {
        return std::make_shared<InprocTransport>(network);
      }) {
  SchedulerServiceOptions scheduler;
  scheduler.core.workers = options_.workers;
  scheduler.core.servers = options_.servers;
  scheduler.core.lost_dead_ms = options_.lost_dead_ms;
  scheduler.listen = "127.0.0.1:0";
  SchedulerServiceEvents events;
  events.on_broken = [](const absl::Status&) {};
  events.on_job_over = [](const v1::JobEnded&) {};
  scheduler_transport_ = NewTransport();
  auto started = SchedulerService::Start(scheduler, nullptr, scheduler_transport_.get(), events);
  REQUIRE(started.ok());
  scheduler_ = *std::move(started);
  scheduler_address_ = "127.0.0.1:" + std::to_string(scheduler_->port());
  for (uint32_t rank = 0; rank < options_.servers; ++rank) StartServer(rank);
}

DistCluster::~DistCluster() {
  servers_.clear();
  scheduler_.reset();
}

void DistCluster::StartServer(uint32_t rank) {
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
  server_transports_.push_back(NewTransport());
  auto node = ServerNode::Start(server, server_transports_.back().get(), events);
  REQUIRE(node.ok());
  servers_.push_back(*std::move(node));
}

Environment DistCluster::WorkerEnvironment(int rank) const {
  Environment environment;
  environment.scheduler = scheduler_address_;
  if (rank >= 0) environment.rank = static_cast<uint32_t>(rank);
  environment.node_host = "node" + std::to_string(rank);
  environment.connect_timeout_ms = options_.connect_timeout_ms;
  environment.operation_timeout_ms = options_.operation_timeout_ms;
  environment.nan_policy = options_.core.nan_policy;
  environment.push_copy = options_.push_copy;
  return environment;
}

std::unique_ptr<KVStore> DistCluster::Join(int rank, const std::string& type) {
  return JoinAs(WorkerEnvironment(rank), type);
}

std::unique_ptr<KVStore> DistCluster::JoinAsReader(const std::string& type) {
  Environment environment = WorkerEnvironment(-1);
  environment.role = NodeRole::kReaderRole;
  return JoinAs(environment, type);
}

std::unique_ptr<KVStore> DistCluster::JoinAs(const Environment& environment,
                                             const std::string& type) {
  auto backend = MakeDistBackend(NewTransport(), environment, type);
  ThrowIfError(backend.status());
  return std::make_unique<StoreFacade>(type, *std::move(backend));
}

std::vector<std::string> DistCluster::Run(const std::function<void(KVStore& store, int rank)>& body,
                                          const std::string& type) {
  return RunStores([&](std::unique_ptr<KVStore> store, int rank) { body(*store, rank); }, type);
}

std::vector<std::string> DistCluster::RunStores(
    const std::function<void(std::unique_ptr<KVStore> store, int rank)>& body,
    const std::string& type) {
  std::vector<std::string> thrown(options_.workers);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < static_cast<int>(options_.workers); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(Join(rank, type), rank);
      } catch (const std::exception& error) {
        thrown[static_cast<size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

}  // namespace kvstore
