// The values that ServerCore keeps, as it sees them: it owns them, says what is to become of them,
// and never looks into one. The daemons have dense tensors and tables of rows (server/values), the
// simulator has hashes, and all run the same core.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/cluster/identity.h"
#include "common/model/key_spec.h"
#include "common/model/norm_sums.h"
#include "common/model/op.h"
#include "common/model/optimizer_config.h"
#include "common/tensor/figures.h"
#include "common/wire/piece.h"
#include "common/wire/state_page.h"

namespace kvstore {

// Names one of the sums that a value may have under way at a time: a synchronous part has one, an
// asynchronous part one for every worker.
using SumIndex = uint32_t;

// How many pulls of a part were answered, and how stale the values were that they were given.
struct PullFigures {
  uint64_t pulls = 0;
  uint64_t staleness_sum = 0;
  uint64_t staleness_max = 0;
};

// What an operator reads of a part: plain bytes, in the key's dtype.
struct ValueRows {
  // Of a row_sparse part the rows, of the whole value, that `data` has, ascending; else none.
  std::vector<int64_t> rows;
  Payload data;
  bool more = false;  // whether there are further rows; they begin at `next`
  int64_t next = 0;
};

// How large the numbers of a part are.
struct PartFigures {
  Figures value;
  bool has_sum = false;  // whether those of the last round's sum were kept
  Figures sum;
};

// One part at its version: the value itself, what the updater keeps beside it, and the sums of
// contributions that are being made.
//
// Shard-bound; pure: no clock, thread, I/O. Every piece passed Check() first. Nothing keeps a
// reference to a piece's memory, which is gRPC's.
//
// Memory. What a value needs, it asks for when it needs it; Bytes() is a promise of the budget, not
// of the system. Whatever throws std::bad_alloc has changed nothing that can be seen: it may be
// called again. The one exception is Fill().
class PartValue {
 public:
  // `key` outlives the value.
  PartValue(const KeySpec& key, PartId id) : key_(&key), id_(id) {}
  virtual ~PartValue() = default;
  PartValue(const PartValue&) = delete;
  PartValue& operator=(const PartValue&) = delete;

  const KeySpec& key() const { return *key_; }
  PartId id() const { return id_; }
  // "key 'embedding' part 5".
  std::string Label() const {
    return fmt::format("{} part {}", KeyLabel(key_->key, key_->name), id_.part);
  }
  // How many updates there were, also those that failed.
  Round version() const { return version_; }

  // The memory that is set aside for the part, whether it takes it now or not: its value, a sum
  // where that is as large, and what the updater that is set keeps beside it. Of a row-sparse part
  // that of the pages that exist, and of `more_pages`.
  virtual uint64_t BytesWith(uint64_t more_pages) const = 0;
  uint64_t Bytes() const { return BytesWith(0); }
  // How many pages of rows an Init's or a push's piece would make that passed Check(). Of a dense
  // part a page is what is kept for a worker, where something is, and a push makes one if it is the
  // first one of `pusher`.
  virtual uint64_t PagesMissing(const Piece& /*piece*/,
                                std::optional<WorkerRank> /*pusher*/) const {
    return 0;
  }
  // Whether updates make pages.
  virtual bool makes_pages() const { return false; }
  // Whether the key may have so many pages of rows more. Errors: RESOURCE_EXHAUSTED: its rows_max.
  virtual absl::Status CheckPages(uint64_t /*more_pages*/) const { return absl::OkStatus(); }
  // The memory that its value and the updater's state take now.
  virtual uint64_t HeldBytes() const = 0;
  // Whether `op` (kInit, kPush or kPull) may bring this.
  // Errors: INVALID_ARGUMENT, OUT_OF_RANGE: name key and part, what was expected and what came.
  virtual absl::Status Check(Op op, const Piece& piece) const = 0;

  // Where a push that passed Check() has a number that is not finite: "element 12 is nan", "row 3
  // element 1 is inf"; empty: nowhere, or it comes encoded: a codec makes infinities of finite
  // numbers, too, which are its own to deal with. Asked only where the policy is not to allow them.
  virtual std::string NotFinite(const Piece& /*push*/) const { return ""; }

  // Reads the whole value, to say how large it is.
  virtual PartFigures Measure() const { return {}; }

  // Puts a piece of an Init where it belongs. The first one begins the value: before it, a value
  // can answer the questions above and nothing else. After std::bad_alloc that holds, too: the
  // value is to be thrown away.
  virtual void Fill(const Piece& piece) = 0;
  // One step of a left fold; the first one begins the sum.
  virtual void Fold(SumIndex sum, const Piece& piece) = 0;
  // Forgets a sum that will not be used after all. There need not be one.
  virtual void DropSum(SumIndex sum) = 0;
  // How often the whole value, of which this is a part, must be measured before its next update:
  // sums over all parts (common/model/norm_sums.h), each with what the ones before it found. 0: the
  // update needs nothing of other parts. Of how many parts that is.
  virtual uint32_t Measurings() const { return 0; }
  virtual uint32_t parts() const { return 1; }
  // What this part adds in measuring number `step`, for the update by the finished sum; `norms`:
  // what is known of the whole value. Nothing changes. Errors: as Update's: there is none to make.
  virtual absl::StatusOr<NormSums> Measure(uint32_t /*step*/, SumIndex /*sum*/,
                                           const RoundCounts& /*counts*/,
                                           const NormSums& /*norms*/) const {
    return NormSums();
  }
  // Makes the next version: one update by the finished sum, which is used up. `counts`: of it.
  // `norms`: of the whole value, where it was to be measured.
  // Errors: the updater's; then the next version has the value and state of the one before it.
  absl::Status Update(SumIndex sum, const RoundCounts& counts, const NormSums& norms = {}) {
    absl::Status outcome = UpdateBy(sum, counts, norms);
    ++version_;
    return outcome;
  }
  // The next version has the value and state of this one; the sum is used up.
  void SkipUpdate(SumIndex sum) {
    DropSum(sum);
    ++version_;
  }
  // What a pull that asks for `asked` is answered. Later updates do not change it.
  virtual Payload Read(const Piece& asked) const = 0;
  // What an operator is shown: of a dense part all of it; of a row_sparse one, of rows `begin` to
  // `end` - 1 of the whole value, those that are not zero, as many as are in about `bytes_max`
  // bytes. Never encoded.
  virtual ValueRows ReadRows(int64_t /*begin*/, int64_t /*end*/, size_t /*bytes_max*/) const {
    return {};
  }

  // The value stays, as version 0; what the updater keeps beside it, and all sums, are dropped.
  void Reset() noexcept {
    ForgetAllButValue();
    version_ = 0;
  }

  // All that makes the part what it is, as bytes: value, version, the updater's state and its
  // counters, exact. Sums are not in it: what is not in a version yet is its worker's to send
  // again. Later updates do not change the bytes. server/values/saved_value.h has the format.
  virtual Payload Save() const = 0;
  // Becomes what was saved, of a part of the same key or one just like it: the same bits, now and
  // after the same updates. Sums under way are dropped.
  // Errors, and nothing changes: DATA_LOSS: no such bytes, or not all of them; INVALID_ARGUMENT: a
  // part of another kind, dtype or size. Both name what was expected and what came.
  virtual absl::Status Load(const Payload& saved) = 0;

  // What the updater keeps beside the value, page by page. Nothing changes.
  // Errors: INVALID_ARGUMENT: no page begins there; FAILED_PRECONDITION: the updater keeps it where
  // nobody else can read it.
  virtual absl::StatusOr<StatePage> ReadState(const StateCursor& from) const = 0;
  // Takes a page of a state that is to take the place of the part's; until CommitState() nothing
  // of it can be seen. Pages come in their order; the first one begins anew, whatever came before,
  // and the last one may come again.
  // Errors: FAILED_PRECONDITION: a state of another kind; INVALID_ARGUMENT: no such page.
  virtual absl::Status StageState(const StatePage& page) = 0;
  // The pages that came are the part's state from now on.
  // Errors: FAILED_PRECONDITION: not all of them have come; then nothing changes.
  virtual absl::Status CommitState() = 0;
  // Forgets them.
  virtual void DropStagedState() noexcept = 0;

 protected:
  void set_version(Round version) { version_ = version; }

 private:
  virtual absl::Status UpdateBy(SumIndex sum, const RoundCounts& counts, const NormSums& norms) = 0;
  virtual void ForgetAllButValue() noexcept = 0;

  const KeySpec* key_;
  PartId id_;
  Round version_ = 0;
};

// Makes the values of a shard, and has the updater that all of them use. Outlives them.
// Shard-bound.
class ShardValues {
 public:
  virtual ~ShardValues() = default;

  // Makes a value of which nothing is there yet. `key` outlives it.
  virtual std::unique_ptr<PartValue> Make(const KeySpec& key, PartId id) = 0;

  // Whether the program that the server lives in has set an updater of its own, or a plugin is one,
  // so that an asynchronous push can be applied although no SetOptimizer came.
  virtual bool has_own_updater() const { return false; }
  // Which one that is, if there is one.
  virtual std::string own_updater_label() const { return "the updater of its program"; }
  // Replaces the updater; values and states wait as they are for their next Update, which keeps a
  // state that fits. Errors: INVALID_ARGUMENT names the parameter and the known ones; then, and
  // also if std::bad_alloc is thrown, nothing has changed.
  virtual absl::Status SetOptimizer(const OptimizerConfig& spec) = 0;
  // Whether the updater that is set makes updates by one worker's push alone.
  virtual bool updates_by_worker() const { return false; }
  // Changes numbers of the updater that is set, in updates of a step and later
  // (RoundCounts::step); what is kept beside values stays. Errors: INVALID_ARGUMENT,
  // RESOURCE_EXHAUSTED; then, and also if std::bad_alloc is thrown, nothing has changed.
  virtual absl::Status ChangeNumbers(const NumbersChange& change) = 0;
  // Whether ChangeNumbers would be OK.
  virtual absl::Status CheckNumbers(const NumbersChange& change) const = 0;
  // Whether the system has this much memory free now, for states. Nothing is reserved.
  // Errors: RESOURCE_EXHAUSTED.
  virtual absl::Status CheckMemory(uint64_t bytes) const = 0;
  // Takes the last SetOptimizer back, which was OK: the updater before it is used again.
  virtual void UndoSetOptimizer() noexcept = 0;
};

}  // namespace kvstore
