// KVStore: the store of parameters that training code talks to. MXNet's names and meanings
// (docs/migrating_from_mxnet.md lists the differences); one header for one process, one machine
// and a cluster.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kvstore/error.h"
#include "kvstore/export.h"
#include "kvstore/init_rule.h"
#include "kvstore/ndarray.h"
#include "kvstore/optimizer.h"

namespace kvstore {

// Node groups for get_num_dead_node; they may be added.
inline constexpr int kScheduler = 1;
inline constexpr int kServerGroup = 2;
inline constexpr int kWorkerGroup = 4;

// What SetServerProfilerCommand asks of the servers' profilers.
enum class KVStoreServerProfilerCommand { kSetConfig, kState, kPause, kDump };

// A key as Keys() lists it.
struct KeyInfo {
  std::string name;                             // of an int key: its number, as text
  DataType dtype = DataType::kFloat32;          // as Init was given it
  std::vector<int64_t> shape;                   // of the whole value
  StorageType storage = StorageType::kDefault;  // of the key
};

// How a store is made, beside its type.
struct StoreOptions {
  // A dist store that reads the values of a job without being in it, as with KVSTORE_ROLE=reader.
  bool reader = false;
};

// Push, Pull and their kin return when the work is queued. A failure found later is thrown as
// kvstore::Error by the next WaitToRead or WaitToWrite of an array concerned, Wait, WaitAll,
// Barrier, or the next call on that key; once. Every call throws Error kInvalidArgument at once
// for what can be seen at once: mixed key types, lists of different lengths, a wrong shape or
// dtype; then nothing was queued.
//
// The same key several times in one call: Push sums the values in list order (one value per
// device, say), Pull fills each output.
//
// Threading: thread-safe; calls of several threads are ordered as they arrive.
class KVSTORE_EXPORT KVStore {
 public:
  // The updater of a local store: updates `stored` from the merged value. Runs on one background
  // thread of the store, with no lock held; what it throws becomes the key's error, and what it has
  // written until then stays. It may call the store, but nothing that waits. Both arrays are the
  // updater's during the call only.
  // Of a row_sparse key both are row_sparse: `merged` has the rows that were pushed, ascending, and
  // `stored` the same rows of the value, to be written in place; the other rows stay as they are.
  using Updater = std::function<void(int key, const NDArray& merged, NDArray* stored)>;
  // The same, of string keys.
  using StrUpdater =
      std::function<void(const std::string& key, const NDArray& merged, NDArray* stored)>;

  // What a server runs for SendCommandToServers.
  using Controller = std::function<void(int cmd_id, const std::string& body)>;

  // Types: local, local_update_cpu, local_allreduce_cpu, device, local_allreduce_device, nccl;
  // dist, dist_sync, dist_device_sync, dist_sync_device, p3; dist_async, dist_device_async,
  // dist_async_device; dist_ssp:S, as "dist_ssp:3", with S from 0 to 1000000000. (p3 is
  // dist_sync: values always travel in parts, by priority. dist_ssp is dist_async, but that a
  // worker which is more than S pushes of a key ahead of another waits in its Pull. nccl is device,
  // but that NCCL adds what several GPUs have, in an order of its own.) A dist store
  // reads the cluster from InitPSEnv or the environment (KVSTORE_*, DMLC_*) and returns when the
  // cluster is complete.
  // Errors: kInvalidArgument lists the known types; kDeadlineExceeded when the cluster does not
  // complete (KVSTORE_CONNECT_TIMEOUT_MS, default 60000); kFailedPrecondition when the workers name
  // different types, and for nccl where NCCL or a GPU is missing.
  //
  // In the role reader (KVSTORE_ROLE, DMLC_ROLE, StoreOptions) a dist store reads what a job
  // trains, for evaluation or serving, without being in the job: no worker waits for it or hears of
  // it. It names the job's type, returns when a job has begun, and reads that one job, whose end
  // its calls tell. It has Pull and PullRowSparse, and what only looks: Keys, status, staleness,
  // Wait, WaitAll, Leave, get_rank (-1), get_group_size (the job's workers), get_num_dead_node;
  // every other call is kFailedPrecondition. kInvalidArgument for such options with a local type.
  static std::unique_ptr<KVStore> CreateUnique(const std::string& type = "local");
  static std::unique_ptr<KVStore> CreateUnique(const std::string& type,
                                               const StoreOptions& options);
  static KVStore* Create(const char* type = "local");

  // Waits for the store's work. A dist store then leaves the cluster; with barrier_before_exit
  // (default) it meets the other workers in a barrier before. While an exception unwinds nothing is
  // waited for: work that is not done fails, and a dist store reports the failure, so that the
  // others learn of it by name.
  virtual ~KVStore();

  // As CreateUnique was given it, in lower case.
  const std::string& type() const { return type_; }

  // Keys are created once: Init again is kAlreadyExists. On dist all workers call Init; rank 0's
  // values count, the others may pass empty arrays, and each returns when the key exists.
  // A row_sparse array makes a row_sparse key, and may hold all of its rows, some (the others are
  // zero) or none.
  // Init that fails leaves nothing of a key that was refused: it may be tried again, with another
  // shape too. The keys of the same call that were not refused exist. Workers that were told the
  // shape of a refused key and wait for the rest of it fail if it comes with another shape.
  virtual void Init(const std::vector<int>& keys, const std::vector<NDArray>& values) = 0;
  virtual void Init(const std::vector<std::string>& keys, const std::vector<NDArray>& values) = 0;

  // As Init, but that the values come to be by rule where they are: rank 0 sends none. On dist the
  // other workers may also call Init with empty arrays.
  // Of a row_sparse key rows that were never pushed to are what the rule says, in each pull that
  // asks for them; a Pull into a row_sparse output gives the rows that were pushed to. A push
  // without an optimizer (assign) makes all others as the rule says again. Errors besides those of
  // Init: kInvalidArgument a number that a rule cannot have, a rule that draws numbers for a dtype
  // of no floats; another rule than rank 0's. A push that brings rows above rows_max fails
  // as kResourceExhausted, for all who contributed to its round; lazy_update = 0 fails the updates
  // of such a row_sparse key as kInvalidArgument.
  virtual void InitByRule(const std::vector<int>& keys, const std::vector<ValueByRule>& values) = 0;
  virtual void InitByRule(const std::vector<std::string>& keys,
                          const std::vector<ValueByRule>& values) = 0;

  // Ends keys, and returns when they are gone: their values, what the optimizer keeps of them, and
  // what compression has left over. Init may then make others of the same names, of any shape and
  // dtype. On dist all workers call Delete, after which each may call Init; rank 0's call deletes,
  // the others' return when it has (or when kvctl delete has). It waits for this worker's pushes
  // and pulls, not for the others': theirs that are not in a version are lost, and they get
  // kNotFound from them, and from whatever follows, until they call Delete. So meet in a Barrier()
  // before. Errors: kNotFound; kInvalidArgument a key that comes twice; the failure of an earlier
  // operation on a key which nobody has been told of, and then nothing is deleted: call it again;
  // kDeadlineExceeded names rank 0, if it is waited for.
  virtual void Delete(const std::vector<int>& keys) = 0;
  virtual void Delete(const std::vector<std::string>& keys) = 0;

  // Lets keys begin anew with the values of their last versions: what the optimizer keeps of them
  // (momentum, counts of updates), what compression has left over, and rounds that are open are
  // forgotten, and so is that a key has failed (see status). What follows has the bits that it
  // would have after an Init with that value. On dist all workers call Reset; rank 0's call resets,
  // the others' return when it has (or when kvctl reset has). It waits for this worker's pushes and
  // pulls, not for the others': theirs that are not in a version are lost, and they get kNotFound
  // from them, and from whatever follows, until they call Reset. So meet in a Barrier() before.
  // Errors: those of Delete.
  virtual void Reset(const std::vector<int>& keys) = 0;
  virtual void Reset(const std::vector<std::string>& keys) = 0;

  // The n-th push of a worker to a key is its contribution to round n of that key; on dist_async
  // and dist_ssp it is an update of its own, applied when it arrives, in the order of this worker's
  // pushes of the key, and SetOptimizer must come before (kFailedPrecondition). A higher priority
  // goes first. Values may be of either storage, whatever the key's: one of default storage is all
  // rows of a row_sparse key, a row_sparse one is zero elsewhere. A push without any row is a
  // contribution, too, except on dist_async, where it does nothing. (On dist_ssp it is an update
  // without rows.)
  // On a dist store an array whose very bytes are sent is in use until the push is over; it is the
  // program's again (WaitToWrite) earlier where the SDK makes something else of it: of the sum of
  // several values, of rows, of what is compressed, and of everything with the setting push-copy
  // (KVSTORE_PUSH_COPY=1), which copies each value that is sent as it is.
  virtual void Push(const std::vector<int>& keys, const std::vector<NDArray>& values,
                    int priority = 0) = 0;
  virtual void Push(const std::vector<std::string>& keys, const std::vector<NDArray>& values,
                    int priority = 0) = 0;

  // Fills `outputs` with the value after this worker's last push of the key (on dist_async and
  // dist_ssp other workers' pushes may be in it already; on dist_ssp:S, after n pushes of its
  // own, the first n - S pushes of every worker that has not left are). An output of another dtype
  // gets the values converted: floats to any floats (to nearest, ties to even), ints and bools to a
  // dtype that holds each of their values; kInvalidArgument for any other. Outputs of storage
  // kRowSparse are left alone, with one warning per key of a store; with `ignore_sparse` = false,
  // which local stores take, they get the rows that are not zero.
  // A reader's gets the last version of each part, which may be of different rounds, and waits for
  // no round. Its first Pull or PullRowSparse of a key waits until the key exists
  // (kDeadlineExceeded, as of Init), to learn what it is. When the key is deleted or reset, the
  // next pull is kNotFound, and the one after that learns anew.
  // With `consistent` all that a reader's Pull gives, of every part of every key of the call, is of
  // one round: the values after the first n pushes of every worker to each of the keys, n at least
  // what it was when the call was made. So name together what is pushed equally often: a key that
  // is not pushed on is waited for, until kDeadlineExceeded; so is a round of which all could come
  // before the next one is made. The outputs are written when all of it has come. In a worker, and
  // on local stores, that is what Pull gives in any case: the value after its own pushes.
  // kFailedPrecondition on dist_async and dist_ssp, which have no rounds.
  virtual void Pull(const std::vector<int>& keys, const std::vector<NDArray*>& outputs,
                    int priority = 0, bool ignore_sparse = true, bool consistent = false) = 0;
  virtual void Pull(const std::vector<std::string>& keys, const std::vector<NDArray*>& outputs,
                    int priority = 0, bool ignore_sparse = true, bool consistent = false) = 0;

  // Push, then Pull of the same keys (kInvalidArgument if the two lists name others). An output may
  // be the value itself (in place); an output over the same memory in another dtype is
  // kInvalidArgument.
  virtual void PushPull(const std::vector<int>& push_keys, const std::vector<int>& pull_keys,
                        const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                        int priority = 0) = 0;
  virtual void PushPull(const std::vector<std::string>& push_keys,
                        const std::vector<std::string>& pull_keys,
                        const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                        int priority = 0) = 0;

  // Init, then Pull.
  virtual void Broadcast(const std::vector<int>& init_keys, const std::vector<int>& pull_keys,
                         const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                         int priority = 0) = 0;
  virtual void Broadcast(const std::vector<std::string>& init_keys,
                         const std::vector<std::string>& pull_keys,
                         const std::vector<NDArray>& values, const std::vector<NDArray*>& outputs,
                         int priority = 0) = 0;

  // Fills each output, an array of storage kRowSparse, with the rows of the key that its own ids
  // name: an array of any shape, and of any dtype that can say each row of the key (f32: up to 2^24
  // rows, f16: 2^11, bf16 and u8: 2^8, i8: 2^7, bool: 2, i32: 2^31, f64 and i64: all); their order
  // and repetitions do not matter. Rows that were not asked for are zero; no ids (an empty array)
  // give an array without rows. Outputs of another dtype are converted to as in Pull. Costs what
  // these rows cost, whatever the height of the value.
  // Errors: kInvalidArgument unless the key and the outputs are row_sparse, for ids of another
  // dtype than that, and for an id that is not a whole number; kOutOfRange for one that is no row.
  // What is wrong with the ids themselves is found at once, or is the key's error if a Pull into
  // them was under way.
  // With `consistent` all rows that a reader's call gives, of all keys of the call, are of one
  // round, as with Pull; when it fails its outputs have no rows.
  virtual void PullRowSparse(const std::vector<int>& keys,
                             const std::vector<std::pair<NDArray*, NDArray>>& outputs_and_row_ids,
                             int priority = 0, bool consistent = false) = 0;
  virtual void PullRowSparse(const std::vector<std::string>& keys,
                             const std::vector<std::pair<NDArray*, NDArray>>& outputs_and_row_ids,
                             int priority = 0, bool consistent = false) = 0;

  // From now on what is pushed to keys of floats travels compressed, and what that leaves out
  // is added to the next push (docs/compression.md): {{"type", "2bit"}, {"threshold", "0.5"}}, in
  // any order. Types: 2bit, 1bit, fp16, bf16, topk, randomk, dithering, onebit_scaled; none. Called
  // before the first Init, on a dist store by every worker with the same parameters. A local store
  // treats each value of a push as if it came from a worker of its own, so that it has the bits of
  // a cluster; on a dist store a worker sums its values first.
  // Errors: kInvalidArgument an unknown type (lists the known ones) or parameter, text that is no
  // number, a number out of its range; kFailedPrecondition other parameters are set, or there are
  // keys. An Init is kFailedPrecondition on a worker whose parameters are not rank 0's.
  virtual void SetGradientCompression(
      const std::vector<std::pair<std::string, std::string>>& parameters) = 0;
  // Orders the profilers of all servers, and returns when each has done it. Rank 0's call counts,
  // other ranks' do nothing; on a local store there is no server to profile, and one warning says
  // so. docs/profiling.md says what is recorded.
  //   kSetConfig  "name:value,name:value": filename says where kDump writes: server r writes
  //               rank<r>_ and the name, in the same folder, on its own host; profile_all
  //   kState      "1" records from now on, from nothing; "0" records no more
  //   kPause      "1" records nothing for now, "0" goes on
  //   kDump       every server writes its file; "1" ends the recording, too
  // Errors: kInvalidArgument a value or a name that is not known (lists those that are);
  // kFailedPrecondition a folder that is not there, a file that cannot be written (names the
  // server).
  virtual void SetServerProfilerCommand(KVStoreServerProfilerCommand type,
                                        const std::string& parameters) = 0;

  // Concerns the pushes that follow; replaces the optimizer, and is replaced by SetOptimizer. On a
  // dist store a worker's updater does not reach the servers: one warning per store, no effect; a
  // server's own is what RunServer runs. What an updater throws is the key's error; a row_sparse
  // value then is as it was, while in a dense one of a local store what was written stays.
  virtual void set_updater(Updater updater) = 0;
  virtual void set_updater(StrUpdater updater) = 0;

  // Which update a round makes where the values are; default "assign". On dist rank 0's call
  // returns when every server has it, other ranks' calls are checked and do nothing: a Barrier()
  // after it keeps their pushes behind it. All servers are asked before any takes it: if one
  // refuses (kResourceExhausted: no memory for the state; kFailedPrecondition: it runs its
  // program's updater) all keep the old optimizer and its state. A call that ends as
  // kDeadlineExceeded, this one or an Init before it, goes on: some servers may have the new
  // optimizer and others not, until the next SetOptimizer that all take.
  virtual void SetOptimizer(const OptimizerSpec& spec) = 0;

  // Changes numbers of the optimizer that SetOptimizer has set, by the names that it has there:
  // {{"learning_rate", "0.01"}, {"wd", "0"}}. Every update of step `from_step` or later uses them,
  // and every update before it the old ones, on all servers, whatever the timing; what the
  // optimizer keeps beside values stays. An update's step is the one (see Step) in which the worker
  // of the lowest rank that contributed to it made its push; on dist_async and dist_ssp each push
  // is an update, and one of another worker that was made before the call stays as it is. Of two
  // changes of one number the one with the greater from_step counts from there on, of two at the
  // same step the later call. The learning rate is that of the schedule, where there is one (its
  // base_lr). SetOptimizer forgets all changes; at most 4096 steps may have one.
  // On dist rank 0's call returns when every server has the change, other ranks' calls are checked
  // and do nothing. Rank 0 must not be at from_step yet; meanwhile its pushes that may be of that
  // step wait.
  // Errors, and nothing is changed: kInvalidArgument a from_step that is not above rank 0's own
  // step, an unknown name (lists the known ones), a number out of its range or text that is none, a
  // parameter that decides what is kept beside values (multi_precision; momentum from or to 0);
  // kFailedPrecondition no optimizer was set by SetOptimizer. kDeadlineExceeded names the servers
  // that are late: they take it yet. After it, and after any other failure of a server, the servers
  // may differ: the next call must be SetOptimizer.
  virtual void SetOptimizerNumbers(const std::vector<std::pair<std::string, std::string>>& numbers,
                                   int64_t from_step) = 0;

  // Writes what the optimizer keeps beside the values of all keys (momenta and the like, f32
  // masters, counts of updates; not the values) to the file `path`, and returns when it is there.
  // The file is in the format safetensors and does not depend on the type of the store or its
  // servers: docs/optimizers.md (Saved states) has what is in it. With `dump_optimizer` the
  // optimizer's own numbers are in it, too. It is written beside its place, synced and renamed, so
  // that a call that fails leaves the file that was there. Takes memory for all states in this
  // process. On dist any rank may call it, and each call writes a file of its own process. It waits
  // for this worker's pushes and pulls, not for the others': meet in a Barrier() before. Errors,
  // and no file is written: kFailedPrecondition there is no key; set_updater, or a server's own
  // updater (RunServer), has replaced the optimizer, and remembers in its own program; pushes of
  // others changed a key meanwhile; dump_optimizer, and this worker has not set the optimizer; the
  // failure of an earlier operation on a key which nobody has been told of; kResourceExhausted no
  // memory, no space on the disk; kPermissionDenied, kNotFound, kInternal the file cannot be
  // written.
  virtual void SaveOptimizerStates(const std::string& path, bool dump_optimizer = false) = 0;

  // Puts the states of a file of SaveOptimizerStates in the place of those that the optimizer
  // keeps, and returns when they are there. What follows has the bits that it would have had there,
  // if the values are the same, too: Init brings those. The store has the keys that the file has,
  // with their dtypes, shapes and storages, and its optimizer, of which numbers may differ:
  // SetOptimizer and Init come before. On dist rank 0's call counts, other ranks' calls do nothing:
  // a Barrier() after it keeps their pushes behind it, and no push may be under way (a Barrier()
  // before). All of the file is read and checked, and then brought to where it belongs, before
  // anything changes. Errors, and nothing has changed: kDataLoss the file is damaged;
  // kInvalidArgument a key of another dtype, shape or storage; kFailedPrecondition another kind of
  // file, another optimizer, a key that is not in both; pushes are under way; and those of
  // SaveOptimizerStates. After kDeadlineExceeded some keys may yet get their states: load them
  // again. A server that dies meanwhile ends the job, as always.
  virtual void LoadOptimizerStates(const std::string& path) = 0;

  // Any rank: has the controller of every server (RunServer) run the command, once, and returns
  // when all have. Not ordered with pushes that are under way. Ids are 0 or from 6 on; MXNet's 1 to
  // 5 are other calls here. On a local store: nothing. Errors: kInvalidArgument a negative id, 1 to
  // 4, a body over 1 MiB; kUnimplemented 5, and servers without a controller; kUnknown, or the
  // code of the Error that it threw, when a controller fails: all that failed are named, and the
  // others have run the command; kDeadlineExceeded names the servers that are late, which go on.
  virtual void SendCommandToServers(int cmd_id, const std::string& body) = 0;

  // Makes this process a server of the cluster until the job is over: for a dist store in the role
  // server (KVSTORE_ROLE, DMLC_ROLE), linked with kvstore::server. Flags of kvstored are its
  // variables here (KVSTORE_SHARDS, KVSTORE_LISTEN, ...).
  //
  // Commands go to `controller`, one at a time, on this thread; what it throws is the sender's
  // error. An updater that was set before (or by the controller) updates the values here in place
  // of SetOptimizer's, for one part of at most 1 MiB at a time: `merged` and `stored` are
  // flat arrays of that part's elements, in the key's dtype, so it must be elementwise. `stored` is
  // a copy, which becomes the value when the updater returns; when it throws the value stays as it
  // was and the push fails for all who contributed. Both are the updater's during the call only. It
  // is never called by two threads at once, nor while the controller runs, though on various
  // threads. Of a row_sparse key both arrays are row_sparse, of the value's shape, with the rows of
  // one stripe (row r is in stripe r mod 61; a value of at most 1 MiB is one stripe) that the round
  // has, ascending; there may be none.
  //
  // Returns when the job is over, or on SIGTERM or SIGINT, which this thread takes (threads that
  // were made before must block them, else the process ends at once). In the role scheduler the
  // same call runs the cluster's scheduler.
  // Errors: kUnimplemented without kvstore::server; kFailedPrecondition in a worker and on a local
  // store; kInvalidArgument a variable that is wrong; kUnavailable an address that is taken, a
  // scheduler that does not answer; what the job failed with; kAborted replaced by another server.
  virtual void RunServer(const Controller& controller) = 0;

  // All workers of the job meet. Does not wait for pushes and pulls (WaitAll does). Throws
  // kDeadlineExceeded naming who is missing; the next Barrier() goes on waiting for the same one.
  virtual void Barrier() = 0;
  // Begins the next training step. A store begins with step 0; until a program calls Step() itself,
  // the first push of a key that was pushed in this step already begins the next one. What is
  // pushed in step n is of step n (SetOptimizerNumbers).
  virtual void Step() = 0;
  // Waits for this worker's work and tells everybody that nobody need wait for it any more. Only
  // the destructor may follow.
  virtual void Leave() = 0;

  virtual int get_rank() const = 0;        // 0 on local stores, -1 in a reader
  virtual int get_group_size() const = 0;  // 1 on local stores
  // Nodes among `node_id` (one node or a sum of groups; scheduler 1, server r 8+2r, worker r
  // 9+2r) that are dead, or have been silent for `timeout` seconds.
  virtual int get_num_dead_node(int node_id, int timeout = 60) const = 0;

  // Whether the destructor of a dist store meets the other workers before it leaves; default true.
  void set_barrier_before_exit(bool value) { barrier_before_exit_ = value; }
  bool barrier_before_exit() const { return barrier_before_exit_; }

  // Blocks until the queued work of these keys (of all keys) is done; throws the first failure.
  // kDeadlineExceeded names the workers or servers waited for; the work goes on.
  virtual void Wait(const std::vector<int>& keys) = 0;
  virtual void Wait(const std::vector<std::string>& keys) = 0;
  virtual void WaitAll() = 0;
  // The keys that exist and whose names (int keys: their numbers as text) begin with `prefix`, int
  // keys by number, string keys by name. A dist store, a reader's too, asks the servers: they are
  // those of the job, whoever made them; of those that are made or ended meanwhile some may be
  // among them. It does not wait for this store's work, and needs none of it: an Init has made its
  // keys when it returns. Errors, on dist: kDeadlineExceeded names a server that does not answer;
  // how the job ended.
  virtual std::vector<KeyInfo> Keys(const std::string& prefix = "") const = 0;
  // The last error of a key as one line, "OK" if there was none. On a dist store a key has failed
  // when a server refuses a part of a push for good after others were accepted: that push's error
  // says so, and every Push and Pull of the key is kFailedPrecondition until Reset or Delete.
  virtual std::string status(int key) const = 0;
  virtual std::string status(const std::string& key) const = 0;
  // How stale the value was that the last Pull, PullRowSparse or PushPull of the key that is over
  // was given: by how many pushes of the key the worker that is behind most (of those that have not
  // left) had fewer in it than this one. On dist_ssp:S at most S; 0 before the first pull, and on
  // stores that are not dist_async or dist_ssp. Of a value in several parts that of the stalest.
  // Errors: kNotFound; kInvalidArgument as of Wait.
  virtual uint64_t staleness(int key) const = 0;
  virtual uint64_t staleness(const std::string& key) const = 0;

  // Settings for dist stores created later in this process, named as the environment variables
  // they stand for; they win over the environment.
  static void InitPSEnv(const std::unordered_map<std::string, std::string>& environment);
  // The role in KVSTORE_ROLE or DMLC_ROLE; a worker if none is set.
  static bool IsWorkerNode();
  static bool IsReaderNode();
  static bool IsServerNode();
  static bool IsSchedulerNode();

 protected:
  // For the stores of this library. `type`: what type() returns.
  explicit KVStore(std::string type);

 private:
  std::string type_;
  bool barrier_before_exit_ = true;
};

// What this process sent and received for its dist stores, and copied within the SDK, in bytes of
// payload since its start. Copies in the kernel are not in it. For benchmarks.
struct ByteCounts {
  uint64_t moved = 0;   // sent and received
  uint64_t copied = 0;  // within the SDK
};
// Those of this process until now.
KVSTORE_EXPORT ByteCounts PayloadByteCounts();

// "0.1.0".
KVSTORE_EXPORT const char* Version();

}  // namespace kvstore
