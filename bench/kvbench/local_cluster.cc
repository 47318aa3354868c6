#include "bench/kvbench/local_cluster.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/base/status_macros.h"

namespace kvstore::bench {
namespace {

constexpr char kAnnouncement[] = "kvscheduler listening on ";
constexpr double kStartTimeoutS = 30;
constexpr double kStopTimeoutS = 10;

}  // namespace

absl::StatusOr<std::string> TemporaryFolder() {
  std::error_code error;
  std::string path = (std::filesystem::temp_directory_path(error) / "kvbench-XXXXXX").string();
  if (error || mkdtemp(path.data()) == nullptr) {
    return absl::UnavailableError(
        fmt::format("temporary folder {}: {}", path, std::strerror(errno)));
  }
  return path;
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(
    ChildProcesses* children, const LocalClusterOptions& options) {
  std::unique_ptr<LocalCluster> cluster(new LocalCluster());
  KVS_ASSIGN_OR_RETURN(cluster->folder_, TemporaryFolder());

  ChildOptions scheduler;
  scheduler.process.name = "kvscheduler";
  scheduler.process.command = {options.program_folder + "/kvscheduler",
                               "--listen",
                               "127.0.0.1:0",
                               "--workers",
                               fmt::to_string(options.workers),
                               "--servers",
                               fmt::to_string(options.servers),
                               "--state-dir",
                               cluster->folder_ + "/state"};
  scheduler.process.cpus = options.cores.servers;
  KVS_ASSIGN_OR_RETURN(cluster->scheduler_, children->Start(scheduler));
  KVS_ASSIGN_OR_RETURN(const std::string line, cluster->scheduler_->ReadLine(kStartTimeoutS));
  if (line.rfind(kAnnouncement, 0) != 0) {
    return absl::UnavailableError(
        fmt::format("kvscheduler: '{}HOST:PORT' expected, got '{}'", kAnnouncement, line));
  }
  cluster->scheduler_address_ = line.substr(std::strlen(kAnnouncement));

  for (int i = 0; i < options.servers; ++i) {
    ChildOptions server;
    server.process.name = fmt::format("kvstored {}", i);
    server.process.command = {options.program_folder + "/kvstored",
                              "--scheduler",
                              cluster->scheduler_address_,
                              "--listen",
                              "127.0.0.1:0",
                              "--shards",
                              fmt::to_string(options.shards)};
    server.process.cpus = options.cores.servers;
    server.answers = false;
    KVS_ASSIGN_OR_RETURN(std::unique_ptr<ChildProcess> process, children->Start(server));
    cluster->servers_.push_back(std::move(process));
  }
  return cluster;
}

LocalCluster::~LocalCluster() {
  servers_.clear();
  scheduler_.reset();
  if (folder_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::vector<pid_t> LocalCluster::server_pids() const {
  std::vector<pid_t> pids;
  for (const auto& server : servers_) pids.push_back(server->pid());
  return pids;
}

std::vector<const ChildProcess*> LocalCluster::daemons() const {
  std::vector<const ChildProcess*> all = {scheduler_.get()};
  for (const auto& server : servers_) all.push_back(server.get());
  return all;
}

absl::Status LocalCluster::Stop() {
  absl::Status status;
  for (const auto& server : servers_) status.Update(server->Terminate(kStopTimeoutS));
  status.Update(scheduler_->Terminate(kStopTimeoutS));
  return status;
}

}  // namespace kvstore::bench
