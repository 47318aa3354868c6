// LocalValue: the value of one key of a local store, and the arithmetic on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/reduce/device_encoder.h"
#include "client/reduce/placed_encoder.h"
#include "client/reduce/reducer.h"
#include "client/reduce/under_way.h"
#include "client/store/store_backend.h"
#include "common/cluster/partitioner.h"
#include "common/codec/codec.h"
#include "common/initial/initial_values.h"
#include "common/rows/state_pages.h"
#include "common/tensor/buffer.h"
#include "common/updater/part_updater.h"
#include "common/updater/updater.h"
#include "kvstore/ndarray.h"

namespace kvstore {

// Memory that the values of a store use in turn, so that a push allocates nothing.
struct Scratch {
  // Of one of the reducer's threads.
  struct Seat {
    MutableBufferPtr part;   // for the sum of one part; null, or at least kPartBytesMax bytes
    MutableBufferPtr small;  // for that of a smaller one: of the last push of such a key
  };
  explicit Scratch(size_t seat_count) : seats(seat_count) {}

  std::vector<Seat> seats;
  // By part, for the sums of a value all of which are made before the first update: as large as the
  // largest such value so far.
  std::vector<Seat> of_parts;
  MutableBufferPtr whole;  // for a merged value; null, or as large as the largest so far
};

// What a store's pushes and pulls work with.
struct Means {
  Reducer* reducer = nullptr;
  Scratch* scratch = nullptr;
  // How values and outputs are written that nobody reads before all values had their turn.
  Stores stores = Stores::kCached;
  // Of the GPUs, which encode what they have if the codec is for them; null: the host encodes all.
  DeviceSpares* spares = nullptr;
};

// A user's updater of one key; what it throws is the status.
using WholeUpdate = std::function<absl::Status(const NDArray& merged, NDArray* stored)>;

// The value lies in its parts, as on a server, or in one piece, which is what a user's updater
// wants; a value of one part is both. A push brings it into the form that it needs. The reducer's
// threads share the parts: each is summed and updated while it is in a cache.
// Methods may throw std::bad_alloc; then the value is as it was.
// Threading: thread-compatible.
class LocalValue {
 public:
  // What the array is now, or what the rule says. `codec`: how pushes are compressed; null: not at
  // all.
  LocalValue(const ValueSpec& spec, const NDArray& value, CodecPtr codec);
  LocalValue(const ValueSpec& spec, const InitialValues& rule, CodecPtr codec);

  // One round: the left fold of `values` in list order, each as it is, or as what it stands
  // for when it was compressed, as if each came from a worker of its own; then the updater.
  // Errors: the updater's and the reducer's, then the value stays as it was: what GPUs have is
  // summed whole before any of it is used, since a GPU may run out of memory, or fail, in the midst
  // of it. UNKNOWN if the host's memory ran out when some parts were updated, and others not.
  // `name`: of the key; empty: it has a number. `step`: that it is an update of.
  absl::Status Push(KeyId key, std::string_view name, absl::Span<const NDArray> values,
                    const PartUpdater& updater, uint64_t step, const Means& means);
  // The same with a user's updater, which writes the value where it lies. Errors: the updater's;
  // what it has written until then stays (decision 12).
  absl::Status Push(KeyId key, absl::Span<const NDArray> values, const WholeUpdate& update,
                    const Means& means);
  // The value stays; what the updater keeps of it, and what compression has left over, go.
  void Reset() noexcept;
  // What the updater keeps of a part, page by page; a state of another kind counts as none.
  // Errors: those of kvstore::ReadState.
  absl::StatusOr<StatePage> ReadState(PartIndex part, const StateInfo& kind,
                                      const StateCursor& from) const;
  // A page of a state that is to take its place with CommitState, when all have come.
  // Errors: those of StagedPages::Check.
  absl::Status StageState(PartIndex part, const StateInfo& kind, const StatePage& page);
  absl::Status CommitState() noexcept;
  void DropStagedState() noexcept { staged_.clear(); }
  PartIndex parts() const { return static_cast<PartIndex>(states_.size()); }
  uint64_t bytes() const { return spec_.bytes; }
  // As a pull is answered: to each output, of default storage, rounded, if the codec encodes pulls,
  // and converted to the output's dtype. Errors: the reducer's.
  absl::Status CopyTo(absl::Span<const NDArray> outputs, const Means& means) const;

 private:
  // What one value of a push was encoded as, part by part; and whether a GPU did it.
  struct Encoded {
    std::vector<MutableBufferPtr> parts;
    bool on_device = false;
  };
  // Encodes the values of a push; nothing if they are not compressed. A push that then finds no
  // memory undoes it, any other one accepts it.
  // Errors: those of OnHost and of PlacedEncoder.
  absl::StatusOr<std::vector<Encoded>> Encode(KeyId key, absl::Span<const NDArray> given,
                                              const Means& means);
  void AcceptEncode(const std::vector<Encoded>& encoded) noexcept;
  void UndoEncode(const std::vector<Encoded>& encoded) noexcept;
  // The values of a push, and what is done with them.
  struct Round {
    KeyId key = 0;
    absl::Span<const NDArray> values;
    std::vector<Encoded> encoded;  // if they are compressed
    const PartUpdater* updater = nullptr;
    uint64_t step = 0;
    const Reducer* reducer = nullptr;
    Stores stores = Stores::kCached;  // of sums
    NormSums norms{};
  };
  ElementRange RangeOf(PartIndex part) const;
  // The left fold of a part of the values, in AccumulatorOf(dtype).
  absl::StatusOr<UnderWayPtr> BeginFoldPart(PartIndex part, const Round& round, void* sum) const;
  // The left fold of whole values, rounded once to their dtype.
  absl::Status Merge(KeyId key, absl::Span<const NDArray> values, const Means& means,
                     uint8_t* merged);
  // The same, in the seat's buffer if that is large enough. `sum` keeps the buffer until it is
  // finished.
  absl::StatusOr<UnderWayPtr> BeginSumOfPart(PartIndex part, const Round& round,
                                             Scratch::Seat* seat, MutableBufferPtr* sum) const;
  // The sum is used up; its buffer, or that of the old value, becomes the seat's.
  absl::Status UpdatePart(PartIndex part, MutableBufferPtr sum, const Round& round,
                          Scratch::Seat* seat);
  // What the updater wants to know of the whole value, of the sums of all its parts.
  absl::StatusOr<NormSums> Measure(const Round& round, size_t measurings,
                                   const std::vector<MutableBufferPtr>& sums) const;
  void ToParts();
  void ToWhole();

  ValueSpec spec_;
  CodecPtr codec_;
  std::vector<PlacedEncoder> encoders_;  // by the place of a value in its list
  std::vector<MutableBufferPtr> parts_;  // empty while the value is whole and has several parts
  std::vector<std::unique_ptr<UpdaterState>> states_;  // of the parts; null without a state
  std::vector<StagedDenseState> staged_;               // of the parts; empty: none is brought
  MutableBufferPtr whole_;  // null while the value has several parts in `parts_`
};

}  // namespace kvstore
