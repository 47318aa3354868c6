// PartTable: the keys of a shard and their parts: how a value comes to be (rank 0's Init brings it,
// in one piece or in several), how it is taken back, and how much memory all of them may take.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/flat_map.h"
#include "common/model/store_mode.h"
#include "common/wire/frame.h"
#include "server/core/part.h"
#include "server/core/part_value.h"
#include "server/core/server_core.h"
#include "server/core/waiter.h"

namespace kvstore {

// A part whose value is being brought, in several fragments perhaps.
struct Creation {
  std::unique_ptr<Part> part;
  PartValue* value = nullptr;  // the part's
  uint32_t fragments = 1;
  uint32_t filled = 0;  // so many of them are in the value
};

// What the table knows about one part: the part itself, or what waits for it to exist.
struct PartRecord {
  std::unique_ptr<Part> part;          // null until Init brought the value
  std::unique_ptr<Creation> creation;  // until then, while it is being brought
  std::vector<Waiter> waiters;
  // The requests that brought it. They stay when it is taken back: late repeats create nothing.
  RequestId init_first = 0;
  RequestId init_request = 0;  // the last one
  Incarnation init_incarnation = 0;
  // The last Init of that life of rank 0 that was refused since the key was there: a late repeat of
  // it creates nothing either, when the key is gone.
  RequestId init_refused = 0;
  uint64_t life = 0;  // how often it was deleted or reset
  // The life in which its value began: it has lived through the ones from there to `life`, which
  // resets began. Where there is no value: `life`.
  uint64_t first_life = 0;
  // The last WRITE_STATE that was done: what comes again, however late, is done already.
  RequestId state_request = 0;
  Incarnation state_incarnation = 0;
  uint64_t charged = 0;  // of the budget: for its part, or for what is being brought
  uint64_t needed = 0;   // what PartTable::NeededBytes() found last
  absl::Status undone;   // why the fragments that came of the last Init are gone; OK: they are not
};

// What throws std::bad_alloc has changed nothing.
class PartTable {
 public:
  // `values` outlives the table, and so does `recorder`, if it is not null.
  PartTable(const ServerCoreOptions& options, ShardValues* values, WorkRecorder* recorder)
      : options_(options), values_(values), recorder_(recorder) {}

  // A new job with so many workers: no key, and the optimizer `assign`. `staleness`: the bound of
  // an asynchronous store that has one.
  void Begin(StoreMode mode, std::optional<uint64_t> staleness, uint32_t workers);

  // Null if nothing was ever asked about the part.
  PartRecord* Find(PartId id) const;
  PartRecord& FindOrAdd(PartId id);
  // The part, if it has a value; else null.
  Part* FindPart(PartId id) const;
  // "key 'conv1.weight'", of a key that need not exist.
  std::string Label(KeyId key) const;

  // Whether two descriptions are of the same value: a reader knows no more of a key. Errors:
  // ALREADY_EXISTS for two names with one id; INVALID_ARGUMENT for another dtype, shape or storage.
  static absl::Status CheckSameValue(const KeySpec& have, const KeySpec& want);
  // Whether two descriptions of a key mean the same. Errors, too: INVALID_ARGUMENT for another
  // rule, FAILED_PRECONDITION for another compression.
  static absl::Status CheckSameKey(const KeySpec& have, const KeySpec& want);

  // Takes one piece of a value that does not exist yet. It exists when the last of its fragments
  // came; they come in ascending order, and one that does not fit undoes the ones before it. A
  // repeat is OK and changes nothing.
  // Errors: INVALID_ARGUMENT: not from rank 0, or a piece that does not fit; ALREADY_EXISTS: it is
  // being brought by another Init; RESOURCE_EXHAUSTED: over the budget of memory, or the system has
  // none for it: that undoes the fragments before it, too.
  absl::Status Create(const ReplyTo& from, const KeySpec& spec, const RequestEntry& init);
  // Takes back what the Init brought that `take_back` names: the value is gone, with its memory,
  // and so is the key when its last part on this shard is. What another Init brought stays. Errors:
  // FAILED_PRECONDITION: it was pushed to.
  absl::Status TakeBack(const ReplyTo& from, const RequestEntry& take_back);

  // Whether a push, a pull or a probe means the value that is there. Errors: NOT_FOUND: there is
  // none, or it means one that was deleted, or a life that a reset has ended. `record` may be null.
  absl::Status CheckLife(const PartRecord* record, const EntryHead& request) const;
  // Deletes the value of the record, which has one: it is gone, with its memory, what was pushed to
  // it and is in no version, and with its last part on this shard the key. Whoever waits in the
  // record is left to the caller.
  void Delete(PartId id, PartRecord& record, ParkingLot& parking);
  // Begins the next life of the record, which has a value, with that value: it is version 0, what
  // the optimizer kept of it is gone, and so is what was pushed and is in no version. Whoever waits
  // in the record is left to the caller.
  void Reset(PartRecord& record, ParkingLot& parking);
  // Does what a WRITE_STATE says with the state of the record, which has a value.
  // Errors: those of PartValue; FAILED_PRECONDITION for a page while a push waits for its round;
  // RESOURCE_EXHAUSTED: over the budget, or the key's rows_max: then no page is left.
  absl::Status WriteState(PartRecord& record, const StatePage& page);
  // What an operator reads (ServerCore::ReadPart).
  ReadPart Read(const PartRange& range, PartIndex from, int64_t row, size_t bytes_max) const;
  // The keys called `name`, or that begin so, by name, and their parts that have a value.
  struct NamedParts {
    KeyId key = 0;
    std::string name;
    std::vector<PartId> parts;
  };
  std::vector<NamedParts> PartsOf(const std::string& name, bool prefix) const;

  // Keeps room for the pages of rows that the piece would make, which passed Check() and is not
  // held; a dense part needs none. If there is none, over the budget or the key's rows_max, the
  // push's update will fail with RESOURCE_EXHAUSTED. May throw std::bad_alloc; then nothing is
  // kept.
  enum class Room { kNotNeeded, kKept, kNone };
  Room Reserve(PartRecord& record, const PushId& push, const Piece& piece);
  // Takes the last Reserve of the part back, which gave `room`; before it `charged` was charged.
  void Unreserve(PartRecord& record, Room room, uint64_t charged) noexcept;
  // Charges the part with what it has now, after pushes to it may be over. Without memory to find
  // that out it stays charged with what was kept for them, until the next call.
  void Settle(PartRecord& record) noexcept;

  // Whether SetOptimizer would be OK, and the system has memory for the states of dense values: it
  // is asked here, before any server has set it. Nothing changes.
  absl::Status CheckOptimizer(const OptimizerConfig& spec);
  // Errors, and the old one stays: that of the values; FAILED_PRECONDITION while the program, or a
  // plugin, has an updater; RESOURCE_EXHAUSTED when what it keeps of the parts goes over the
  // budget.
  absl::Status SetOptimizer(const OptimizerConfig& spec);

  // Changes numbers of the optimizer that is set. `optimizer`: which one is meant.
  // Errors, and nothing changes: FAILED_PRECONDITION: another one is set, or the program, or a
  // plugin, has an updater; those of the values.
  absl::Status ChangeNumbers(const std::string& optimizer, const NumbersChange& change);
  // Whether ChangeNumbers would be OK.
  absl::Status CheckNumbers(const std::string& optimizer, const NumbersChange& change) const;
  // Whether the numbers are those that are changed at that step.
  bool HasChange(const NumbersChange& change) const;
  // The optimizer that is set, and the changes of its numbers.
  void ReportOptimizer(OptimizerReport* report) const;
  // Whether each push is an update.
  bool asynchronous() const { return mode_ == StoreMode::kAsync; }

  // Whether an update of any part waits for norms.
  bool measuring() const;
  // As Part::measuring_from, of any part.
  bool measuring_from(uint64_t step) const;

  // Has `forget` take waiters out of every record's list, and drops the records of which nothing is
  // known then.
  template <typename Forget>
  void ForgetWaiters(const Forget& forget) noexcept;
  // The parts that wait for contributions, or that somebody waits at, in ascending order.
  std::vector<PartId> OpenParts() const;
  // As ServerCore::StatsOf.
  std::vector<KeyStats> StatsOf(const KeyQuery& query, uint64_t* keys) const;
  // Keys, memory and open rounds.
  void Report(const View& view, ShardStatus* status) const;

 private:
  struct KnownKey {
    KeySpec spec;
    size_t parts = 0;  // values, also those that are being created: they point to the spec
  };

  // Whether that optimizer is set, and is what updates the values.
  absl::Status CheckSet(const std::string& optimizer) const;
  std::unique_ptr<Part> MakePart(std::unique_ptr<PartValue> value) const;
  // The key as it is known, else as `spec` has it, without a part.
  absl::StatusOr<KnownKey*> AddKey(const KeySpec& spec);
  // The creation that `init` goes on with, or begins. `needed`: for the value, with this piece.
  absl::StatusOr<Creation*> CreationFor(const KeySpec& spec, const RequestEntry& init,
                                        uint64_t needed);
  // Ends the record's value or creation and gives their memory back; the key goes with its last
  // one.
  void Release(PartId id, PartRecord& record) noexcept;
  // From now on the record is charged with so many bytes.
  void Charge(PartRecord& record, uint64_t bytes) noexcept;
  // Whether it can be. Errors: RESOURCE_EXHAUSTED.
  absl::Status CheckBudget(const std::string& label, uint64_t charged, uint64_t needed) const;
  // What a record's value, or what is being brought, is to be charged with, and room that is kept.
  static uint64_t BytesOf(const PartRecord& record);
  // That of all parts, and of those of dense keys, with the optimizer that is set.
  struct Needed {
    uint64_t all = 0;
    uint64_t dense = 0;
  };
  Needed NeededBytes();
  // Sets the optimizer, and returns how much memory the parts take with it. After an error the one
  // before it is set.
  absl::StatusOr<Needed> TryOptimizer(const OptimizerConfig& spec);

  const ServerCoreOptions options_;
  ShardValues* const values_;
  WorkRecorder* const recorder_;
  // What kvctl status shows of a part that somebody waits at; nothing if nobody does.
  static std::optional<OpenRoundInfo> WaitAt(const PartRecord& record, const View& view);

  StoreMode mode_ = StoreMode::kSync;
  std::optional<uint64_t> staleness_;
  uint32_t workers_ = 0;
  std::map<KeyId, KnownKey> keys_;
  std::map<KeyId, std::string> deleted_;  // names of keys that are gone, for messages
  FlatMap<PartId, std::unique_ptr<PartRecord>, PartIdHash> records_;
  OptimizerConfig optimizer_{"assign", {}};                    // that is set
  std::map<uint64_t, std::map<std::string, double>> changes_;  // of its numbers, by step
  uint64_t value_bytes_ = 0;                                   // the sum of all PartRecord::charged
};

template <typename Forget>
void PartTable::ForgetWaiters(const Forget& forget) noexcept {
  records_.EraseIf([&](const auto& entry) {
    PartRecord& record = *entry.second;
    forget(record.waiters);
    const bool known = record.part != nullptr || record.creation != nullptr || record.life > 0 ||
                       record.init_incarnation != 0 || !record.undone.ok();
    return !known && record.waiters.empty();
  });
}

}  // namespace kvstore
