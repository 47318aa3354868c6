// SessionShare: one membership of a cluster and how many stores use it. The last store that goes
// leaves the cluster.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/base/environment.h"
#include "client/dist/cluster_session.h"
#include "common/base/mutex.h"

namespace kvstore {

// Thread-safe.
class SessionShare {
 public:
  explicit SessionShare(std::shared_ptr<ClusterSession> session) : session_(std::move(session)) {}

  const std::shared_ptr<ClusterSession>& session() const { return session_; }
  // StoreBackend::room of the stores.
  Mutex& room() { return room_; }
  // Counts one more store. False when the last one is gone, or going: then a new membership is
  // needed.
  bool Enter() KVS_EXCLUDES(mutex_);
  // Counts one less; true for the last one.
  bool Exit() KVS_EXCLUDES(mutex_);
  // Whether several stores use it.
  bool shared() const KVS_EXCLUDES(mutex_);

 private:
  const std::shared_ptr<ClusterSession> session_;
  Mutex room_;
  mutable Mutex mutex_;
  int stores_ KVS_GUARDED_BY(mutex_) = 0;
  bool entered_ KVS_GUARDED_BY(mutex_) = false;  // by a first store
};

// The membership of this process, entered once: the one that its stores have, or a new one over
// gRPC if there is none. Thread-safe.
// Errors: those of ClusterSession::Join; FAILED_PRECONDITION naming both types when the process is
// a member as another type, or when it was forked from a member.
absl::StatusOr<std::shared_ptr<SessionShare>> EnterProcessSession(const Environment& environment,
                                                                  const std::string& store_type);

}  // namespace kvstore
