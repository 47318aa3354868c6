// StoreBackend: what tells one type of store from another. The facade (store_facade.h) checks
// arguments, knows the keys, orders operations by array and key, and waits; a backend carries out
// one operation on one key at a time, asynchronously.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/base/in_place.h"
#include "client/order/dependency_engine.h"
#include "common/base/mutex.h"
#include "common/cluster/identity.h"
#include "common/model/compression_config.h"
#include "common/model/init_rule_config.h"
#include "common/model/nan_policy.h"
#include "common/model/optimizer_config.h"
#include "common/model/profiler_order.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"
#include "common/wire/frame.h"
#include "kvstore/kvstore.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// A key of a store, int or string. Immutable.
struct Key : OperationSubject {
  bool is_int = true;
  int64_t number = 0;  // int keys
  std::string name;    // string keys; empty for int keys
  KeyId id = 0;
};
using KeyPtr = std::shared_ptr<const Key>;

// A shape that is copied for each operation of its key without taking memory.
class SharedShape {
 public:
  SharedShape() = default;
  SharedShape(Shape shape)  // NOLINT(google-explicit-constructor)
      : shape_(std::make_shared<const Shape>(std::move(shape))) {}

  operator const Shape&() const { return get(); }  // NOLINT(google-explicit-constructor)
  const Shape& get() const {
    static const Shape& none = *new Shape;  // stores may outlive every static object
    return shape_ == nullptr ? none : *shape_;
  }
  int64_t operator[](size_t dimension) const { return get()[dimension]; }

 private:
  std::shared_ptr<const Shape> shape_;  // null: []
};

// What Init fixes about a key. `known` is false on a worker that initialises the key with an empty
// array, until the Init is done.
struct ValueSpec {
  bool known = false;
  DType dtype = DType::kUnspecified;
  SharedShape shape;
  bool row_sparse = false;
  uint64_t bytes = 0;  // of all rows
};

// The arrays of an operation: mostly one, for which no memory is taken.
using Arrays = absl::InlinedVector<NDArray, 1>;

enum class OperationKind {
  kInit,
  kPush,
  kPull,
  kPushPull,
  kPullRows,
  kDelete,
  kReset,
  // What the optimizer keeps of the key: what kind it is; all of it; another one is brought, takes
  // its place, or is forgotten. Until kCommitState nothing has changed.
  kDescribeState,
  kReadState,
  kStageState,
  kCommitState,
  kDropState,
};

// Whether it is one of the last five.
constexpr bool ConcernsState(OperationKind kind) { return kind >= OperationKind::kDescribeState; }

struct KeyStates;  // client/store/key_states.h

// What kPullRows asks for one output.
struct RowIds {
  NDArray array;             // where the ids still are; empty once they are in `ids`
  std::vector<int64_t> ids;  // ascending, each once
};

// One operation on one key: what the facade makes of a call, the dependency engine orders and the
// backend carries out. At any time one party at most writes to it, and each field has one that
// does, in this order:
//   the call (under the facade's mutex)   all fields but those below; the arrays are those of
//                                         the caller, checked against `spec`
//   Prepare (in the same call)            as_of_call, nan_policy
//   the issue function                    row_ids: ids that another operation was still writing
//                                         when the call was made
//   Issue                                 row_ids: moved into the outputs; outputs: of rows at one
//                                         round those that a later key fills are left to that one;
//                                         kind, values: a
//                                         dist_async store makes a Pull of a PushPull that pushes
//                                         no row; values with NaNs may be replaced by others
//                                         (nan_guard.h)
//   kDescribeState, kReadState            what `states` refers to, until the operation is over
//   the Init of an empty array            spec, then `learned`, when the servers have said what the
//                                         key is; the facade reads `spec` once it sees `learned`
class StoreBackend;
struct KeyOperation {
  static constexpr size_t kBackendBytes = 384;

  KeyOperation();

  OperationKind kind = OperationKind::kPush;
  KeyPtr key;
  ValueSpec spec;
  // kInit: one, which may be empty, or none, then `rule` says what the value is; kPush: the list to
  // be summed, of either storage.
  Arrays values;
  std::shared_ptr<const InitRuleConfig> rule;
  // Each gets the whole value, in its own storage (row_sparse: the rows that are not zero); or, of
  // kPullRows, the rows at the same place of `row_ids`.
  Arrays outputs;
  std::vector<RowIds> row_ids;
  int priority = 0;
  // What was in force when the call was made, whatever is set between the call and its turn: the
  // training step and, on a local store, the updater (only local_backend.cc knows the type).
  uint64_t step = 0;
  std::shared_ptr<const void> as_of_call;
  // kDescribeState (only KeyStates::info), kReadState: filled. kStageState: what is brought.
  std::shared_ptr<KeyStates> states;
  // kInit on a dist store: what the servers are told of the store's policy. Set by Prepare.
  NanPolicy nan_policy = NanPolicy::kAllow;
  // Whether `spec`, which was unknown, is known now. Set once, with release; read with acquire.
  std::atomic<bool> learned{false};
  StoreBackend* backend = nullptr;  // which carries it out, and outlives it
  Place<kBackendBytes> place;       // for one object of the backend's
};

// Not defaulted above: there it would have each operation of a block filled with zeros first.
inline KeyOperation::KeyOperation() = default;

// Operations on small dense keys of one call, that are begun in one step and end one by one: pushes
// of one value each, or pulls into one output each, which has the key's dtype.
struct KeyGroup {
  OperationKind kind = OperationKind::kPush;
  int priority = 0;
  uint64_t step = 0;
  StoreBackend* backend = nullptr;
  struct Member {
    const Key* key = nullptr;  // lives as long as the group's token
    NDArray array;
    size_t bytes = 0;  // of the value
  };
  std::vector<Member> members;
};

// Threading: thread-safe, but for Prepare, which the facade calls one at a time.
class StoreBackend : public OperationOwner {
 public:
  // Whether calls make sense at all: the status of a job that has ended.
  virtual absl::Status Usable() const { return absl::OkStatus(); }
  // Whether it is a reader's: it has no Init, and learns what a key is by an Init of an empty array
  // that the facade makes at the first pull.
  virtual bool reads_only() const { return false; }
  // Whether a value of Init may be an empty array.
  virtual bool empty_init_allowed() const { return false; }
  // Whether Pull takes ignore_sparse = false.
  virtual bool sparse_pull_allowed() const { return true; }
  // Whether the calling thread is one of the backend's own, which must not wait for operations.
  virtual bool OnOwnThread() const = 0;

  // Called once for each call, in program order, when the call is made: notes in an operation of
  // its kind and first key, without arrays, what is in force now (the updater that is set); the
  // call's operations all get that. Errors: nothing of the call is queued.
  virtual absl::Status Prepare(KeyOperation* operation) = 0;
  // Begins the operation. Operations on one key come in program order, those of different keys
  // from several threads at once. Never blocks. The outcome goes to the token.
  virtual void Issue(std::shared_ptr<KeyOperation> operation, const TokenPtr& token) = 0;

  // Whether an operation of that key with so many arrays, of which `common` is what it has in
  // common with the others of its call, takes less time than handing it to another thread, and runs
  // no code of the user's: then Execute may carry it out within RunAlone.
  virtual bool IsBrief(const KeyOperation& /*common*/, const ValueSpec&, size_t /*arrays*/) const {
    return false;
  }
  // Calls `run` while nothing else is or waits to be carried out. False: not now.
  virtual bool RunAlone(absl::FunctionRef<void()> /*run*/) { return false; }
  // Carries out a brief operation; it is over, with the status that is returned.
  virtual absl::Status Execute(KeyOperation*) noexcept {
    return absl::UnimplementedError("a store with brief operations expected");
  }

  // Whether operations on keys like this, of which `common` is what they have in common with the
  // others of their call, may be begun in groups.
  virtual bool MayBeInGroup(const KeyOperation& /*common*/, const ValueSpec&) const {
    return false;
  }
  // Begins a group. Of each of its operations the outcome goes to OperationToken::Complete, by its
  // place in the group. What group->members has after the call is not looked at any more.
  virtual void IssueGroup(const std::shared_ptr<KeyGroup>&, const TokenPtr& token) {
    token->Finish(absl::UnimplementedError("a store with groups expected"));
  }

  // Whether `call` may ask that what it pulls is of one round.
  virtual absl::Status MayPullConsistently(const char* /*call*/) const { return absl::OkStatus(); }
  // Begins pulls of several keys, or of their rows, that are to be of one round, as one operation.
  // Of a reader: in any other store one round is what pulls of this worker give anyway.
  virtual void IssueConsistent(const std::vector<std::shared_ptr<KeyOperation>>&,
                               const TokenPtr& token) {
    token->Finish(absl::UnimplementedError("a reader's store expected"));
  }

  virtual absl::Status SetUpdater(KVStore::Updater updater) = 0;
  virtual absl::Status SetUpdater(KVStore::StrUpdater updater) = 0;
  virtual absl::Status SetOptimizer(const OptimizerConfig& config) = 0;
  // Changes numbers of the optimizer of that name, which is set, in the updates of a step and later
  // (KeyOperation::step). Called when no operation of such a step is queued; on a store of several
  // workers rank 0's calls count.
  virtual absl::Status ChangeNumbers(const std::string& optimizer, const NumbersChange& change) = 0;
  // How the pushes of all keys are compressed. Called at most once, while there are no keys and
  // none is being made.
  // Errors: those of MakeCodec.
  virtual absl::Status SetCompression(const CompressionConfig& config) = 0;
  // A lock that the facade holds during each Init and each SetOptimizer, so that memory which is
  // there for one is not taken by the other in between. Null where the two do not compete for
  // memory: then an Init, which may wait for other workers, does not keep a SetOptimizer waiting.
  virtual Mutex* room() { return nullptr; }

  // Blocks until the job is over. Only a dist store of the role server or scheduler can.
  virtual absl::Status RunServer(const KVStore::Controller&) {
    return absl::FailedPreconditionError(
        "RunServer: a dist store in a process of the role server expected (KVSTORE_ROLE, "
        "DMLC_ROLE), this is another one");
  }
  // Returns when every server ran the command; a store without servers has nobody to ask.
  virtual absl::Status SendCommand(int id, const std::string& body) = 0;
  // What SetServerProfilerCommand asks, which passed CheckProfilerOrder. Likewise.
  virtual absl::Status SendProfilerOrder(const ProfilerOrder& order) = 0;

  // Whether the keys are those of a job, which others make and end, too. Then KeysOfJob says which
  // there are, those that begin with `prefix`, in the order of KVStore::Keys. It blocks.
  virtual bool shares_keys() const { return false; }
  virtual absl::StatusOr<std::vector<KeyInfo>> KeysOfJob(const std::string& /*prefix*/) {
    return absl::UnimplementedError("a store of a cluster expected");
  }

  // Of the last pull of the key that is over; 0 where values are never stale.
  virtual uint64_t StalenessOf(KeyId) const { return 0; }

  virtual absl::Status Barrier() = 0;
  virtual int rank() const = 0;
  virtual int group_size() const = 0;
  virtual absl::StatusOr<int> DeadNodes(int node_id, int timeout_s) const = 0;

  // No operation is open. Tells the others that this worker is done.
  virtual absl::Status Leave() = 0;

  enum class Close {
    kLeave,    // no operation is open; leaves unless Leave was called
    kMeet,     // the same, after a barrier with the others
    kAbandon,  // open operations fail; the others are told of a failure
  };
  // The last call, made once. When it returns no thread of the backend touches an array any more.
  // Later operations fail.
  virtual void Stop(Close how) = 0;
};

}  // namespace kvstore
