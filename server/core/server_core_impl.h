// What ServerCore is made of: its parts, the requests that wait, and the handlers. Dispatch of
// requests is in server_core.cc, waiting and answering in server_core_answers.cc, commands are in
// server_core_commands.cc, what a push does to a part in rounds.cc and sequence.cc.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/model/store_mode.h"
#include "server/core/command_log.h"
#include "server/core/part.h"
#include "server/core/reply_batch.h"
#include "server/core/server_core.h"

namespace kvstore {

// A request that is answered later. Named by (rank, request); asked again, it moves to the newer
// stream.
struct Waiter {
  ReplyTo to;
  EntryHead request;
  KeySpec key;  // kInit: what the waiter expects the key to be
  Piece asked;  // kPull; a copy, in the parking lot
};

// A value that is brought in several fragments.
struct Creation {
  std::unique_ptr<PartValue> value;
  uint32_t fragments = 1;
  uint32_t filled = 0;  // so many of them are in the value
};

struct PartSlot {
  std::unique_ptr<Part> part;          // null until Init brought the value
  std::unique_ptr<Creation> creation;  // until then, while it is being brought
  std::vector<Waiter> waiters;
  // The requests that brought it. They stay when it is dropped: late repeats create nothing.
  RequestId init_first = 0;
  RequestId init_request = 0;  // the last one
  Incarnation init_incarnation = 0;
};

struct KnownKey {
  KeySpec spec;
  size_t parts = 0;  // values, also those that are being created: they point to the spec
};

class ServerCore::Impl {
 public:
  Impl(ServerCoreOptions options, ShardAddress self, ShardValues* values)
      : options_(options), self_(self), values_(values) {
    parking_.bytes_max = options.parked_bytes_max;
  }

  void OnRouting(ClusterId cluster, Incarnation self, RoutingPtr routing);
  void OnFrame(int64_t now_ms, PeerId peer, const RequestFrame& request, ServerOutbox* out);
  std::vector<CommandRun> TakeCommands() { return std::exchange(commands_, {}); }
  void OnCommandDone(uint64_t ticket, absl::Status outcome, ServerOutbox* out);
  ShardStatus Status() const;

 private:
  // What the whole frame must satisfy before its entries are looked at. `*retry` is set when the
  // sender should simply send it again.
  absl::Status CheckHeader(const FrameHeader& header, bool* retry) const;
  bool Owns(PartId id) const { return routing_->OwnerOf(id) == self_; }
  PartSlot* Find(PartId id);
  std::string Label(KeyId key) const;
  FrameHeader ReplyHeader() const;

  // What the table of ops says about who may send an op where. `*retry` as above.
  absl::Status CheckSent(const ReplyTo& from, const RequestEntry& entry, bool* retry) const;
  void OnEntry(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
               ReplyBatch& replies);
  void OnInit(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
              ReplyBatch& replies);
  void OnDrop(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnPush(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnPull(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnProbe(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  void OnLeave(const ReplyTo& from, const RequestEntry& entry, ReplyBatch& replies);
  // Also kCheckOptimizer.
  void OnSetOptimizer(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
                      ReplyBatch& replies);
  void OnCommand(const ReplyTo& from, const RequestFrame& frame, const RequestEntry& entry,
                 ReplyBatch& replies);

  std::unique_ptr<Part> MakePart(std::unique_ptr<PartValue> value) const;
  // The fragment of a value that `entry` brings.
  absl::Status Create(const ReplyTo& from, const KeySpec& spec, const RequestEntry& entry);
  // `needed`: PartValue::Bytes() of the value.
  absl::StatusOr<Creation*> CreationFor(PartId id, const KeySpec& spec, const RequestEntry& entry,
                                        uint64_t needed);
  void DropCreation(PartId id);
  // Takes back what the Init brought that `entry` names.
  absl::Status Drop(const ReplyTo& from, const RequestEntry& entry);
  // The slot's value or creation goes, with its memory; with the last one its key, too.
  void Release(PartId id, PartSlot& slot);
  absl::StatusOr<KnownKey*> AddKey(const KeySpec& spec);
  static absl::Status CheckSameKey(const KeySpec& have, const KeySpec& want);
  PartSlot& AddSlot(PartId id);
  // Has the values use this updater, and returns what all parts take with it. Errors, and the old
  // one stays: those of ShardValues; FAILED_PRECONDITION while the program has an updater;
  // RESOURCE_EXHAUSTED when what it keeps of the parts goes over the budget.
  absl::StatusOr<uint64_t> TryUpdater(const OptimizerConfig& spec);
  absl::Status SetUpdater(const OptimizerConfig& spec);
  // A repeat is answered in the place of what it repeats. What a pull asks for is copied. Errors:
  // RESOURCE_EXHAUSTED, then nothing is kept; `*retry`: there will be room again.
  absl::Status Park(Waiter waiter, bool* retry);
  void AnswerWaiters(PartSlot& slot, ReplyBatch& replies);
  // For a broken variant, which forgets a worker's last asynchronous push.
  void ForgetLast(WorkerRank rank);
  static bool IsForgotten(const Part& part, WorkerRank rank, Round round);
  // True when the waiter got its answer.
  bool Answer(const Waiter& waiter, const Part& part, ReplyBatch& replies);

  const ServerCoreOptions options_;
  const ShardAddress self_;
  ShardValues* const values_;

  ClusterId cluster_ = 0;
  Incarnation incarnation_ = 0;
  RoutingPtr routing_;
  StoreMode mode_ = StoreMode::kSync;
  View view_;
  int64_t now_ms_ = 0;

  std::map<KeyId, KnownKey> keys_;
  absl::flat_hash_map<PartId, std::unique_ptr<PartSlot>, PartIdHash> parts_;
  ParkingLot parking_;
  OptimizerConfig optimizer_{"assign", {}};  // that is set
  uint64_t value_bytes_ = 0;                 // PartValue::Bytes() of all parts
  uint64_t waiting_ = 0;                     // waiters of all parts
  uint64_t committed_rounds_ = 0;
  bool optimizer_was_set_ = false;   // in this job
  RequestId optimizer_request_ = 0;  // by which
  Incarnation optimizer_incarnation_ = 0;
  CommandLog command_log_;
  std::vector<CommandRun> commands_;    // not taken yet
  std::map<WorkerRank, PeerId> peers_;  // only for a broken variant
};

}  // namespace kvstore
