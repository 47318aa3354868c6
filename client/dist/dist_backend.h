// DistBackend: the StoreBackend of the stores of a cluster. It turns each operation into requests
// about parts (Reducer, Cut, the verbs) and hands them to the links of the ClusterSession that the
// process shares; what concerns the cluster as a whole it passes on to that session.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/base/environment.h"
#include "client/dist/cluster_session.h"
#include "client/dist/part_codec.h"
#include "client/dist/push_operation.h"
#include "client/dist/reading_codec.h"
#include "client/dist/reduction_queue.h"
#include "client/dist/session_share.h"
#include "client/dist/staleness_table.h"
#include "client/reduce/reducer.h"
#include "client/store/nan_guard.h"
#include "client/store/store_backend.h"
#include "common/base/mutex.h"
#include "common/model/store_mode.h"

namespace kvstore {

// Thread-safe, but for Prepare (store_backend.h).
class DistBackend final : public StoreBackend {
 public:
  // `share` was entered for this store. `sums_on_devices`: what GPUs have is summed by them, else
  // on the CPU.
  DistBackend(std::shared_ptr<SessionShare> share, const Environment& environment,
              bool sums_on_devices);

  absl::Status Usable() const override;
  bool reads_only() const override { return rank_ == kReaderRank; }
  bool empty_init_allowed() const override { return rank_ != 0; }
  bool sparse_pull_allowed() const override { return false; }
  bool OnOwnThread() const override;
  int64_t operation_timeout_ms() const override { return timeout_ms_; }
  void Flush() noexcept override;
  absl::Status Overdue(const std::vector<OverdueOperation>& operations, int64_t waited_ms) override;

  absl::Status Prepare(KeyOperation* operation) override;
  void Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) override;
  bool MayBeInGroup(const KeyOperation& common, const ValueSpec& spec) const override;
  void IssueGroup(const std::shared_ptr<KeyGroup>& group, const TokenPtr& token) override;
  absl::Status MayPullConsistently(const char* call) const override;
  void IssueConsistent(const std::vector<std::shared_ptr<KeyOperation>>& operations,
                       const TokenPtr& token) override;

  absl::Status SetUpdater(KVStore::Updater) override { return UpdaterHasNoEffect(); }
  absl::Status SetUpdater(KVStore::StrUpdater) override { return UpdaterHasNoEffect(); }
  absl::Status SetOptimizer(const OptimizerConfig& config) override;
  absl::Status ChangeNumbers(const std::string& optimizer, const NumbersChange& change) override;
  absl::Status SetCompression(const CompressionConfig& config) override;
  // Only rank 0 makes keys and sets the optimizer, so only there can the two compete for memory;
  // all stores of its process share one lock.
  Mutex* room() override { return rank_ == 0 ? &share_->room() : nullptr; }

  absl::Status SendCommand(int id, const std::string& body) override;
  // Rank 0's counts, as with SetOptimizer.
  absl::Status SendProfilerOrder(const ProfilerOrder& order) override;
  bool shares_keys() const override { return true; }
  absl::StatusOr<std::vector<KeyInfo>> KeysOfJob(const std::string& prefix) override;
  uint64_t StalenessOf(KeyId key) const override;
  absl::Status Barrier() override;
  int rank() const override { return reads_only() ? -1 : static_cast<int>(rank_); }
  int group_size() const override { return static_cast<int>(workers_); }
  absl::StatusOr<int> DeadNodes(int node_id, int timeout_s) const override;
  absl::Status Leave() override;
  void Stop(Close how) override;

 private:
  // Borrows the session for a scope; null once the store was stopped. Stop waits until nobody
  // borrows it, so that the session, whose destructor waits for its loop's thread, is never
  // destroyed on that very thread.
  class Session {
   public:
    explicit Session(const DistBackend& backend);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    explicit operator bool() const { return session_ != nullptr; }
    ClusterSession* operator->() const { return session_; }

   private:
    const DistBackend& backend_;
    ClusterSession* session_ = nullptr;
  };

  absl::Status UpdaterHasNoEffect();
  // The first half of Stop: tells the others that this store goes, and how. May throw
  // std::bad_alloc.
  void TakeLeave(Close how);
  // Makes the operation's requests and queues them; if that fails, the operation is over.
  // `contribution`: null where the operation brings nothing.
  void Send(const std::shared_ptr<KeyOperation>& operation, const TokenPtr& token,
            const Contribution* contribution);
  // With push-copy: a contribution that is the caller's array becomes a copy of it.
  absl::Status CopyIfAsked(const KeyOperation& operation, Contribution* contribution) const;
  // `push`: the operation that pushes, if one does, which is to encode before its asks are sent.
  PartAsks AsksOf(const std::shared_ptr<KeyOperation>& operation, const TokenPtr& token,
                  const Contribution* contribution, std::shared_ptr<PushOperation>* push) const;

  // If the operation cannot be asked for it is over, and there is nothing to ask.
  static PartAsks AsksOfState(const std::shared_ptr<KeyOperation>& operation, const TokenPtr& token,
                              PartIndex parts);

  std::shared_ptr<SessionShare> share_;  // changed by Stop, when nobody borrows the session
  mutable Mutex mutex_;
  mutable CondVar returned_;
  mutable int borrowers_ KVS_GUARDED_BY(mutex_) = 0;
  bool stopped_ KVS_GUARDED_BY(mutex_) = false;
  bool warned_ KVS_GUARDED_BY(mutex_) = false;  // that an updater has no effect
  const WorkerRank rank_;
  const uint32_t workers_;
  const StoreMode mode_;
  const bool counts_every_push_;  // also one without rows
  const int64_t timeout_ms_;
  const bool push_copy_;
  const bool sums_on_devices_;
  NanGuard guard_;
  const std::shared_ptr<StalenessTable> staleness_;  // null on a synchronous store
  const std::shared_ptr<ReadingCodec> reading_;      // null in a worker
  std::shared_ptr<PartCodec> codec_;                 // changed only while there are no keys
  bool compresses_ = false;                          // likewise: whether it is not the plain one
  const std::shared_ptr<Reducer> reducer_;
  ReductionQueue reductions_;  // last: what it calls uses the rest
};

}  // namespace kvstore
