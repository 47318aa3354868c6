// StoreFacade: the KVStore that callers hold, for every type of store. It checks what can be
// checked when a call is made, so that a refused call has queued nothing; turns a call into one
// operation per key; orders these through the DependencyEngine; waits; and turns statuses into
// exceptions. The store itself is the backend.
//
// store_facade_calls.cc is the public calls, store_facade.cc what they share; how keys come and go
// is in store_facade_keys.cc, the optimizer and the steps that its numbers change at in
// store_facade_optimizer.cc, and what the optimizer keeps, as a file, in store_facade_states.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "client/api/call.h"
#include "client/api/key_table.h"
#include "client/base/error_border.h"
#include "client/store/store_backend.h"
#include "common/base/mutex.h"
#include "common/updater/part_updater.h"
#include "kvstore/kvstore.h"

namespace kvstore {

// Thread-safe. Lock order: setting_, the backend's room, mutex_, the engine's.
class StoreFacade final : public KVStore {
 public:
  StoreFacade(std::string type, std::shared_ptr<StoreBackend> backend);
  ~StoreFacade() override;

  void Init(const std::vector<int>& keys, const std::vector<NDArray>& values) override;
  void Init(const std::vector<std::string>& keys, const std::vector<NDArray>& values) override;
  void InitByRule(const std::vector<int>& keys, const std::vector<ValueByRule>& values) override;
  void InitByRule(const std::vector<std::string>& keys,
                  const std::vector<ValueByRule>& values) override;
  void Delete(const std::vector<int>& keys) override;
  void Delete(const std::vector<std::string>& keys) override;
  void Reset(const std::vector<int>& keys) override;
  void Reset(const std::vector<std::string>& keys) override;
  void Push(const std::vector<int>& keys, const std::vector<NDArray>& values,
            int priority) override;
  void Push(const std::vector<std::string>& keys, const std::vector<NDArray>& values,
            int priority) override;
  void Pull(const std::vector<int>& keys, const std::vector<NDArray*>& outputs, int priority,
            bool ignore_sparse, bool consistent) override;
  void Pull(const std::vector<std::string>& keys, const std::vector<NDArray*>& outputs,
            int priority, bool ignore_sparse, bool consistent) override;
  void PullRowSparse(const std::vector<int>& keys,
                     const std::vector<std::pair<NDArray*, NDArray>>& outputs_and_row_ids,
                     int priority, bool consistent) override;
  void PullRowSparse(const std::vector<std::string>& keys,
                     const std::vector<std::pair<NDArray*, NDArray>>& outputs_and_row_ids,
                     int priority, bool consistent) override;
  void PushPull(const std::vector<int>& push_keys, const std::vector<int>& pull_keys,
                const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                int priority) override;
  void PushPull(const std::vector<std::string>& push_keys,
                const std::vector<std::string>& pull_keys, const std::vector<NDArray>& values,
                const std::vector<NDArray*>& outputs, int priority) override;
  void Broadcast(const std::vector<int>& init_keys, const std::vector<int>& pull_keys,
                 const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                 int priority) override;
  void Broadcast(const std::vector<std::string>& init_keys,
                 const std::vector<std::string>& pull_keys, const std::vector<NDArray>& values,
                 const std::vector<NDArray*>& outputs, int priority) override;

  void set_updater(Updater updater) override;
  void set_updater(StrUpdater updater) override;
  void SetOptimizer(const OptimizerSpec& spec) override;
  void SetOptimizerNumbers(const std::vector<std::pair<std::string, std::string>>& numbers,
                           int64_t from_step) override;
  void SaveOptimizerStates(const std::string& path, bool dump_optimizer) override;
  void LoadOptimizerStates(const std::string& path) override;
  void SetGradientCompression(
      const std::vector<std::pair<std::string, std::string>>& parameters) override;

  void SendCommandToServers(int cmd_id, const std::string& body) override;
  void SetServerProfilerCommand(KVStoreServerProfilerCommand type,
                                const std::string& parameters) override;
  void RunServer(const Controller& controller) override;
  void Barrier() override;
  void Step() override;
  void Leave() override;

  int get_rank() const override;
  int get_group_size() const override;
  int get_num_dead_node(int node_id, int timeout) const override;

  void Wait(const std::vector<int>& keys) override;
  void Wait(const std::vector<std::string>& keys) override;
  void WaitAll() override;
  std::vector<KeyInfo> Keys(const std::string& prefix) const override;
  std::string status(int key) const override;
  std::string status(const std::string& key) const override;
  uint64_t staleness(int key) const override;
  uint64_t staleness(const std::string& key) const override;

 private:
  using Names = std::vector<KeyName>;

  // At the end: whether all is in order, so that this worker may leave with the others.
  bool MayMeet();
  // Logs what nobody will ask for any more.
  void WarnOfLostFailures();
  absl::Status Usable() const;
  // OK, or why `call`, which does not only read, may not be made: this is a reader.
  absl::Status MayChange(const char* call) const;
  // OK, or why a call that waits may not be made now, by this thread.
  absl::Status MayBlock() const;

  // The bodies of the public calls, for both kinds of keys.
  KeyedStatus InitKeys(const Names& keys, const std::vector<NDArray>& values) KVS_EXCLUDES(mutex_);
  KeyedStatus InitKeysByRule(const Names& keys, const std::vector<ValueByRule>& values)
      KVS_EXCLUDES(mutex_);
  // Sets what the value of key number i is to be, in an operation that names the key. Errors: why
  // it cannot be that.
  using DescribeValue = std::function<absl::Status(size_t i, KeyOperation* operation)>;
  // What both do, with `values` values.
  KeyedStatus MakeKeys(const Names& keys, size_t values, const DescribeValue& describe)
      KVS_EXCLUDES(mutex_);
  // The same, with the backend's room.
  KeyedStatus MakeKeysInRoom(const Names& keys, const DescribeValue& describe) KVS_EXCLUDES(mutex_);
  // In a reader: what the keys are is known when it returns, or has failed. Elsewhere nothing.
  KeyedStatus LearnKeys(const Names& keys) KVS_EXCLUDES(mutex_);
  // The keys of which it is not known, and what must be waited for to know it of others; each once.
  struct Unknown {
    Names keys;
    std::vector<VarPtr> making;
  };
  KeyedStatus FindUnknown(const Names& keys, Unknown* unknown) KVS_REQUIRES(mutex_);
  // `kind`: kDelete or kReset.
  KeyedStatus EndKeys(OperationKind kind, const Names& keys) KVS_EXCLUDES(mutex_);
  KeyedStatus Queue(OperationKind kind, const Names& push_keys, const std::vector<NDArray>& values,
                    const Names& pull_keys, const std::vector<NDArray*>& outputs, int priority,
                    bool ignore_sparse = true, bool consistent = false) KVS_EXCLUDES(mutex_);
  KeyedStatus QueueRows(const Names& keys, const std::vector<std::pair<NDArray*, NDArray>>& rows,
                        int priority, bool consistent) KVS_EXCLUDES(mutex_);
  KeyedStatus BroadcastKeys(const Names& init_keys, const Names& pull_keys,
                            const std::vector<NDArray>& values,
                            const std::vector<NDArray*>& outputs, int priority)
      KVS_EXCLUDES(mutex_);
  KeyedStatus WaitKeys(const Names& keys) KVS_EXCLUDES(mutex_);
  std::string KeyStatus(const KeyName& key) const KVS_EXCLUDES(mutex_);
  uint64_t KeyStaleness(const KeyName& key) const KVS_EXCLUDES(mutex_);

  absl::Status SetCompression(CompressionConfig config) KVS_EXCLUDES(mutex_);
  absl::Status SetOptimizerOf(const OptimizerSpec& spec) KVS_EXCLUDES(mutex_);
  absl::Status ChangeNumbers(const std::vector<std::pair<std::string, std::string>>& numbers,
                             int64_t from_step) KVS_EXCLUDES(mutex_);

  // What SaveOptimizerStates and LoadOptimizerStates do (store_facade_states.cc).
  KeyedStatus SaveStates(const std::string& path, bool dump_optimizer) KVS_EXCLUDES(mutex_);
  KeyedStatus LoadStates(const std::string& path) KVS_EXCLUDES(mutex_);
  // A key of such a call.
  struct StateOfKey {
    KeyPtr key;
    ValueSpec spec;
    VarPtr var;
    std::shared_ptr<KeyStates> states;
  };
  // All keys of the store, in the order of their names. Errors: what keeps one from being used.
  KeyedStatus AllKeys(std::vector<StateOfKey>* keys) KVS_EXCLUDES(mutex_);
  // Waits for what this worker has under way about the keys.
  KeyedStatus AwaitKeys(const std::vector<StateOfKey>& keys) KVS_EXCLUDES(mutex_);
  // Does that with each of the keys, some at a time, and waits. Ends with the first failure, after
  // which no more are begun (but for kCommitState and kDropState); `*begun`: how many were.
  KeyedStatus ForEachState(OperationKind kind, const std::vector<StateOfKey>& keys, size_t* begun)
      KVS_EXCLUDES(mutex_);
  // The optimizer as JSON. Errors: FAILED_PRECONDITION: it is not known here.
  absl::StatusOr<std::string> DumpOptimizer(const std::vector<StateOfKey>& keys)
      KVS_EXCLUDES(setting_);

  // While it lives, numbers are being changed from a step on that this worker is not at yet, and
  // pushes that may be of that step wait (AwaitNumbers): no server may make an update of it before
  // all servers know. Errors: INVALID_ARGUMENT: it is at that step, or past it.
  class Changing {
   public:
    Changing(StoreFacade* store, uint64_t from_step);
    ~Changing();
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

    const absl::Status& status() const { return status_; }

   private:
    StoreFacade& store_;
    absl::Status status_;
  };
  void AwaitNumbers(OperationKind kind) KVS_REQUIRES(mutex_);
  // The step of the call: the one that this worker is at or, until the program counts them itself,
  // the next one, which a push begins of a key that was pushed in this one.
  uint64_t StepOf(const Call& call) const KVS_REQUIRES(mutex_);
  void CountStep() KVS_EXCLUDES(mutex_);

  // Begins what a call is to do, to which `add` adds its keys and arrays. Errors: nothing has
  // happened; but UNKNOWN if memory ran out when some dozens of keys and more were done or queued,
  // and others not.
  KeyedStatus QueueCall(OperationKind kind, int priority, absl::FunctionRef<KeyedStatus(Call*)> add)
      KVS_EXCLUDES(mutex_);
  // Queues a pull of a reader, kPull or kPullRows, whose values are to be of one round. Errors:
  // nothing has happened.
  KeyedStatus QueueConsistent(OperationKind kind, int priority,
                              absl::FunctionRef<KeyedStatus(Call*)> add) KVS_EXCLUDES(mutex_);
  // The last checks of a call; fills in what its operations have in common.
  KeyedStatus Begin(Call* call, KeyOperation* common) KVS_REQUIRES(mutex_);
  // What brief operations of a call need, with the memory for one that fails.
  struct Brief;
  // Carries out the operations on the next keys of the call, if they are brief and have nothing to
  // wait for, or queues them. Sets `*begun` when something has happened that stays. `*brief` is
  // made at its first use. May throw std::bad_alloc.
  DependencyEngine::Ready BeginSome(Call* call, const KeyOperation& common,
                                    std::unique_ptr<Brief>* brief, bool* begun)
      KVS_REQUIRES(mutex_);
  // Queues the operations on the next keys of the call. May throw std::bad_alloc; then it has
  // queued none.
  DependencyEngine::Ready AppendSome(Call* call, const KeyOperation& common) KVS_REQUIRES(mutex_);
  // Queues the operations on the next keys of the call as a group, if there are some that may be in
  // one and have nothing to wait for. Empty: there are none. May throw std::bad_alloc; then it has
  // queued none.
  DependencyEngine::Ready AppendGroup(Call* call, const KeyOperation& common) KVS_REQUIRES(mutex_);
  // How the operation is ordered, and what it does when its turn has come.
  OperationSpec SpecOf(const VarPtr& key_var, const std::shared_ptr<KeyOperation>& operation) const;
  // What of that has nothing to do with its turn.
  void Describe(const VarPtr& key_var, const KeyOperation& operation, OperationSpec* spec) const;
  // The same of the pulls of a call that are to be of one round: one operation does them all.
  OperationSpec ConsistentSpecOf(Call* call, const KeyOperation& common) const KVS_REQUIRES(mutex_);

  const std::shared_ptr<StoreBackend> backend_;
  DependencyEngine& engine_;
  const uint64_t generation_;  // of the process that made the store
  const int exceptions_at_birth_;
  const VarPtr all_;  // tracks every operation of the store

  Mutex setting_;  // one call that changes the optimizer at a time
  // That SetOptimizer has set, with the changes of its numbers; none: it is not known.
  std::optional<PartUpdater> optimizer_ KVS_GUARDED_BY(setting_);

  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<uint64_t> changing_from_ KVS_GUARDED_BY(mutex_);
  uint64_t step_ KVS_GUARDED_BY(mutex_) = 0;
  bool steps_by_program_ KVS_GUARDED_BY(mutex_) = false;  // it has called Step()
  mutable KeyTable keys_ KVS_GUARDED_BY(mutex_);
  std::optional<CompressionConfig> compression_ KVS_GUARDED_BY(mutex_);  // once it is set
  bool left_ KVS_GUARDED_BY(mutex_) = false;
};

}  // namespace kvstore
