#include "client/dist/session_share.h"

#include <fmt/format.h>

#include <utility>

#include "client/base/fork_guard.h"
#include "common/base/status_macros.h"
#include "common/transport/factory/make_transport.h"

namespace kvstore {
namespace {

struct ProcessSession {
  Mutex mutex;
  std::weak_ptr<SessionShare> share KVS_GUARDED_BY(mutex);
  uint64_t generation KVS_GUARDED_BY(mutex) = 0;  // of the process that made it
};

ProcessSession& Process() {
  static ProcessSession& process = *new ProcessSession;  // never destroyed: stores may outlive main
  return process;
}

}  // namespace

bool SessionShare::Enter() {
  MutexLock lock(mutex_);
  if (stores_ == 0 && entered_) return false;
  entered_ = true;
  ++stores_;
  return true;
}

bool SessionShare::Exit() {
  MutexLock lock(mutex_);
  return --stores_ == 0;
}

bool SessionShare::shared() const {
  MutexLock lock(mutex_);
  return stores_ > 1;
}

absl::StatusOr<std::shared_ptr<SessionShare>> EnterProcessSession(const Environment& environment,
                                                                  const std::string& store_type) {
  ProcessSession& process = Process();
  MutexLock lock(process.mutex);
  if (std::shared_ptr<SessionShare> share = process.share.lock()) {
    KVS_RETURN_IF_ERROR(CheckSameProcess(process.generation, "the membership of the cluster"));
    const ClusterSession& session = *share->session();
    if (session.store_type() != store_type) {
      return absl::FailedPreconditionError(
          fmt::format("this process is a member of the cluster with a store of type '{}', a "
                      "second one of type '{}' cannot be made",
                      session.store_type(), store_type));
    }
    if (session.reads() != environment.reads()) {
      return absl::FailedPreconditionError(fmt::format(
          "this process is a {0} of the cluster, a store of a {1} cannot be made beside it",
          session.reads() ? "reader" : "worker", session.reads() ? "worker" : "reader"));
    }
    KVS_RETURN_IF_ERROR(session.JobStatus());
    if (share->Enter()) return share;
  }
  TransportOptions transport;
  transport.shared_memory = environment.shared_memory;
  KVS_ASSIGN_OR_RETURN(transport.tls, TlsSource::Open(environment.tls_dir));
  KVS_ASSIGN_OR_RETURN(auto session,
                       ClusterSession::Join(MakeTransport(transport), environment, store_type));
  auto share = std::make_shared<SessionShare>(std::move(session));
  share->Enter();
  process.share = share;
  process.generation = ProcessGeneration();
  return share;
}

}  // namespace kvstore
