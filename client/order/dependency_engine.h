// DependencyEngine: in which order the operations of stores may touch the caller's arrays.
//
// Every array's allocation and every key has a Var. An operation says which Vars it uses and how:
//   kRead   shares the Var with other readers
//   kWrite  has the Var alone
//   kOrder  has the Var alone until the operation is issued, that is, until its issue function has
//           returned and nobody holds its order any more (HoldOrder). Used for keys: operations on
//           a key are issued in program order, even if one of them has to wait for an array, but
//           they do not wait for each other's completion
//   kTrack  waits for nothing, and nobody waits for it to be granted: only makes the operation
//           visible to Wait (used for a whole store)
// An operation is issued when all of its Vars are granted to it; a Var is granted in program order
// (the order of Append). The operation gives kRead and kWrite back when it completes, which is when
// the last reference to its token is gone; kRead earlier if it says that it has read all that it
// will (GiveBackReads). The same rules as MXNet's threaded engine; what differs
// is that all Vars of one Append are queued in one step, so that two threads cannot wait for each
// other.
//
//   Append -> (granted) -> issue(token) -> ... token->Finish(status), last reference dropped
//          -> Vars released -> the operations behind are issued, by the thread that released
//
// An example. K is the Var of key 7, K9 that of key 9, A and B are the Vars of two arrays.
//
//   1  Pull(7, &A)   K order, A write    granted both at once, issued. Its issue function sends the
//                                        request and returns: K is given back. A is not, before the
//                                        answer has been written into it.
//   2  Push(7, A)    K order, A read     granted K. A is 1's: 2 waits, and has K meanwhile.
//   3  Push(7, B)    K order, B read     granted B. K is 2's: 3 waits, although its array is free,
//                                        because pushes to a key go out in program order.
//   4  Push(9, A)    K9 order, A read    granted K9; waits for A.
//   5  Pull(9, &A)   K9 order, A write   waits for both.
//
// 1 completes: A is granted to 2 and 4, which share it, and not to 5, which wants it alone. 2 is
// issued and gives K back, by which 3 is issued; 4 is issued and gives K9 back to 5. When 2 and 4
// have completed, 5 has A, and is issued.
//
// Issue functions run on the thread that made them ready, never under a lock, and never inside of
// one another: what an issue function makes ready is issued when it has returned.
//
// A failure is remembered at all Vars of its operation, and TakeFailure hands it out once,
// whichever of them is asked first.
//
// Memory: an OperationList takes all that its operations will need until they are complete, in
// blocks of many of them (operation.h), and throws std::bad_alloc; Append takes none. Run, Issued,
// Complete and the waits take none. So an operation that is queued ends, whatever memory there is:
// if its issue function throws std::bad_alloc, it has begun nothing, and the operation ends with
// RESOURCE_EXHAUSTED.
//
// Threading: thread-safe. One mutex for all Vars; it is held for a few list operations.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "client/base/error_border.h"
#include "common/base/mutex.h"

namespace kvstore {

class Operation;
class Var;
using VarPtr = std::shared_ptr<Var>;
using OperationPtr = std::shared_ptr<Operation>;

enum class Access : uint8_t { kRead, kWrite, kOrder, kTrack };

// An operation that has not completed in time, as its owner is asked about it.
struct OverdueOperation {
  uint64_t id = 0;   // token->id()
  std::string what;  // "Push of key 17"
  bool issued = false;
};

// The store to which an operation belongs.
class OperationOwner {
 public:
  virtual ~OperationOwner() = default;
  // Says that what the last issue functions collected may be sent. Called after a run of issue
  // functions, and now and then during a long run, on the thread that made them. If there is no
  // memory to send it, the owner ends those operations.
  virtual void Flush() noexcept = 0;
  // How long Wait waits for an operation of this owner.
  virtual int64_t operation_timeout_ms() const = 0;
  // Explains what `operations` wait for: DEADLINE_EXCEEDED that names it. May block for a moment;
  // called with no lock held.
  virtual absl::Status Overdue(const std::vector<OverdueOperation>& operations,
                               int64_t waited_ms) = 0;
};

// Held by whoever still works on an operation, and by the owners of borrowed bytes. The operation
// completes when the last reference is gone. Thread-safe.
class OperationToken {
 public:
  OperationToken() = default;  // of no operation yet: of the engine
  ~OperationToken();
  OperationToken(const OperationToken&) = delete;
  OperationToken& operator=(const OperationToken&) = delete;

  uint64_t id() const;
  // For an issue function that finishes issuing on another thread: to be called in it. The
  // operation counts as issued only when the returned object is gone, too.
  [[nodiscard]] std::shared_ptr<const void> HoldOrder();
  // Says that nothing of the Vars that the operation uses as kRead is looked at any more: they are
  // given back now, and waits for them do not wait for this operation. To be called by whoever
  // issues it. A failure of the operation is remembered at them all the same.
  void GiveBackReads() noexcept;
  // The outcome; the first failure stands. Without any Finish the operation fails as INTERNAL. Of a
  // group: of its operations that are not complete.
  void Finish(const absl::Status& status) noexcept;
  // Of a group: these of its operations are complete, each once, with that outcome.
  struct Ended {
    size_t number = 0;
    absl::Status status;
  };
  void Complete(absl::Span<const Ended> ended) noexcept;

 private:
  friend class DependencyEngine;
  OperationPtr operation_;  // null until the operation is issued
  Mutex mutex_;
  bool finished_ KVS_GUARDED_BY(mutex_) = false;
  absl::Status status_ KVS_GUARDED_BY(mutex_);  // once finished
};
using TokenPtr = std::shared_ptr<OperationToken>;

// What an operation is about, in messages.
struct OperationSubject {
  std::string text;   // "17", "conv1.weight": Error::key()
  std::string label;  // "key 17", "key 'conv1.weight'"; empty: the verb says all
};

struct OperationSpec {
  std::shared_ptr<OperationOwner> owner;
  std::string_view verb;                            // "Push"; lives for ever
  std::shared_ptr<const OperationSubject> subject;  // null: the verb says all
  struct Use {
    VarPtr var;
    Access access = Access::kRead;
  };
  // A Var may be named more than once: then an access other than kRead is the one that counts.
  // Most operations use a key, a store and an array.
  absl::InlinedVector<Use, 4> uses;
  // Runs once. What it captures lives until the operation completes; two pointers of it take no
  // memory. Throws std::bad_alloc only where it has begun nothing.
  absl::AnyInvocable<void(const TokenPtr&)> issue;
};

// Operations that are to be queued together.
class OperationList {
 public:
  // For `count` operations, which Add gives. Not for a group.
  explicit OperationList(size_t count);
  OperationList(std::vector<OperationSpec> specs);  // NOLINT(google-explicit-constructor)
  // For a group: a leader, which Add gives, and so many others, which AddMember does.
  static OperationList OfGroup(size_t members);
  ~OperationList();
  OperationList(OperationList&& other) noexcept;
  OperationList& operator=(OperationList&& other) noexcept;

  // Takes the memory that operations with so many uses need: then Add takes none.
  void Reserve(size_t uses);
  // At most `count` times. What `spec` has is moved. May throw std::bad_alloc.
  void Add(OperationSpec&& spec);
  // Of a group, whose leader was added first: an operation with the verb of the leader.
  void AddMember(std::shared_ptr<const OperationSubject> subject, const OperationSpec::Use& key,
                 const OperationSpec::Use& array);
  bool empty() const { return given_ == 0; }
  size_t size() const { return given_; }

 private:
  friend class DependencyEngine;

  std::vector<OperationPtr> operations_;
  size_t given_ = 0;  // the first ones of them
};

class DependencyEngine {
 public:
  DependencyEngine();
  ~DependencyEngine();
  DependencyEngine(const DependencyEngine&) = delete;
  DependencyEngine& operator=(const DependencyEngine&) = delete;

  // The engine of all NDArrays and stores of the process. Never destroyed.
  static DependencyEngine& Process();

  static VarPtr NewVar();

  // Operations that may be issued, in that order: linked through themselves.
  class Ready {
   public:
    Ready() = default;
    ~Ready();
    Ready(Ready&& other) noexcept;
    Ready& operator=(Ready&& other) noexcept;

    bool empty() const { return first_ == nullptr; }
    void Add(OperationPtr operation);
    void Add(Ready others);
    OperationPtr Take();  // the first

   private:
    OperationPtr first_;
    Operation* last_ = nullptr;
  };
  // Queues the operations in one step. The caller passes what is returned to Run once it holds no
  // lock.
  [[nodiscard]] Ready Append(OperationList operations) noexcept KVS_EXCLUDES(mutex_);
  // Queues operations as a group: they are issued in one step, by the issue function of the first
  // one, the leader, and complete one by one (OperationToken::Complete), for there is one token,
  // the leader's. Takes, in order, those after the leader of which every Var can be granted at
  // once, up to the first that would have to wait: so that none waits for what another one waits
  // for.
  // `*taken`: how many; where it is 0 nothing is queued, else the caller passes what is returned to
  // Run.
  //
  // The leader has one use, kTrack, of what the group as a whole is tracked by; a failure of one of
  // the others (OperationList::AddMember) is remembered there, too.
  [[nodiscard]] Ready AppendGroup(OperationList operations, size_t* taken) noexcept
      KVS_EXCLUDES(mutex_);
  // Issues the operations, and those which become ready meanwhile.
  void Run(Ready ready) noexcept KVS_EXCLUDES(mutex_);

  // Whether no operation that is queued or under way uses a Var. To be asked inside of RunBetween.
  using IsFree = absl::FunctionRef<bool(const VarPtr&)>;
  // Calls `run` at a moment between operations: while it runs, nothing is queued, granted or
  // completed. What uses free Vars alone, and is over before `run` returns, is in order without
  // being an operation. It holds up all stores of the process, so it is to take some microseconds,
  // and may not use the engine, wait, or run code of the user's.
  void RunBetween(absl::FunctionRef<void(IsFree)> run) KVS_EXCLUDES(mutex_);

  enum class WaitFor : uint8_t { kWriters, kAll };
  // Blocks until the operations on `vars` that were appended before the call are complete: those
  // that write (kWriters) or all. Failures are not its business. Errors: what an owner's Overdue
  // says when its timeout passed; FAILED_PRECONDITION in a forked child that would wait for its
  // parent's operations. Without memory to be woken it looks now and then.
  absl::Status Wait(const std::vector<VarPtr>& vars, WaitFor what) KVS_EXCLUDES(mutex_);

  // Waits likewise for at most `timeout_ms`, and asks nobody. False when some are still under way.
  bool WaitAtMost(const VarPtr& var, int64_t timeout_ms) KVS_EXCLUDES(mutex_);

  // Whether an operation that writes the Var is under way.
  bool HasWriter(const VarPtr& var) const KVS_EXCLUDES(mutex_);

  // The first failure, not yet handed out, of an operation that used the Var: any access but kRead,
  // and kRead too if `readers`. OK if there is none. A failure is handed out once, whichever of its
  // operation's Vars it is taken from.
  KeyedStatus TakeFailure(const VarPtr& var, bool readers) KVS_EXCLUDES(mutex_);
  // The same of the first of `count` Vars, `var(0)` and so on, that has one.
  KeyedStatus TakeFirstFailure(size_t count, absl::FunctionRef<const VarPtr&(size_t)> var,
                               bool readers) KVS_EXCLUDES(mutex_);
  // The last failure that touched the Var other than by kRead, handed out or not.
  absl::Status LastFailure(const VarPtr& var) const KVS_EXCLUDES(mutex_);

 private:
  friend class Operation;
  friend class OperationToken;
  friend class Var;
  struct Failure;
  struct Waiter;

  KeyedStatus TakeFailureOf(Var& var, bool readers) KVS_REQUIRES(mutex_);
  void Pump(Var& var, Ready* ready) KVS_REQUIRES(mutex_);
  void Release(Operation& operation, bool orders, Ready* ready) KVS_REQUIRES(mutex_);
  void Record(const OperationPtr& operation, absl::Status status) KVS_REQUIRES(mutex_);
  void Issue(const OperationPtr& operation) KVS_EXCLUDES(mutex_);
  void Issued(Operation& operation) noexcept KVS_EXCLUDES(mutex_);
  void GiveBackReads(Operation& operation) noexcept KVS_EXCLUDES(mutex_);
  void Complete(OperationPtr operation, absl::Status status) noexcept KVS_EXCLUDES(mutex_);
  // What of that happens under the lock.
  void End(const OperationPtr& operation, absl::Status status, Ready* ready) noexcept
      KVS_REQUIRES(mutex_);
  void CompleteMembers(Operation& leader, absl::Span<const OperationToken::Ended> ended) noexcept
      KVS_EXCLUDES(mutex_);
  // Gives an operation that is about to be queued what it is known by.
  void Name(Operation& operation, uint64_t generation, uint64_t id) KVS_REQUIRES(mutex_);
  // Makes `waiter` wait for the operations on its Vars. False without memory; then it does not.
  bool Register(Waiter* waiter) KVS_REQUIRES(mutex_);
  void Unregister(Waiter* waiter) KVS_REQUIRES(mutex_);
  // The operations that `waiter` still waits for.
  std::vector<Operation*> Waited(const Waiter& waiter) KVS_REQUIRES(mutex_);
  // Waits until all are complete (true), or until `begin` and the timeout: those of the operations,
  // or `timeout_ms` where that is not negative. The waiter stays registered.
  bool AwaitAll(Waiter* waiter, std::chrono::steady_clock::time_point begin, int64_t timeout_ms)
      KVS_REQUIRES(mutex_);
  std::vector<Operation*> Blockers(std::vector<Operation*> operations) KVS_REQUIRES(mutex_);
  absl::Status Explain(Waiter* waiter, int64_t waited_ms) KVS_EXCLUDES(mutex_);

  mutable Mutex mutex_;
  uint64_t last_id_ KVS_GUARDED_BY(mutex_) = 0;
};

}  // namespace kvstore
