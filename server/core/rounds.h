// PartRounds: the rounds of one part, from contributions to committed versions. The heart of
// "exactly once, same bits": who contributed to which round, the left fold in rank order, what is
// folded at once and what is parked.
//
// Shard-bound, pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "common/wire/frame.h"
#include "server/core/part_math.h"

namespace kvstore {

// Bytes of contributions that wait for their turn, over all parts of a shard.
struct ParkingLot {
  uint64_t bytes = 0;
  uint64_t bytes_max = 0;

  bool Fits(uint64_t more) const { return bytes + more <= bytes_max; }
};

// The workers of the job, as the rounds see them.
struct View {
  uint32_t workers = 0;
  std::vector<bool> left;  // by rank: rounds close without it, except those it contributed to
};

class PartRounds {
 public:
  PartRounds(PartId id, const KeySpec* key, BufferPtr value)
      : id_(id), key_(key), value_(std::move(value)) {}

  enum class Accepted {
    kTaken,      // folded or parked: ours now
    kRepeat,     // had it already, in an open round
    kCommitted,  // its round is committed
    kNoRoom,     // nothing was kept: the parking lot is full
  };
  // A contribution of `rank` to `round` > 0. Does not commit: call CommitReady() next.
  Accepted Contribute(int64_t now_ms, WorkerRank rank, Round round, const Payload& data,
                      const View& view, ParkingLot& parking, PartMath& math);
  // Commits every round that is complete, in order. Returns how many.
  int CommitReady(const View& view, ParkingLot& parking, PartMath& math);

  Round version() const { return version_; }
  const BufferPtr& value() const { return value_; }
  const KeySpec& key() const { return *key_; }
  PartId id() const { return id_; }
  bool HasContribution(WorkerRank rank, Round round) const;
  // OK, or why the update of a committed round failed (the value stayed as it was). Kept for the
  // latest failed rounds only.
  absl::Status RoundStatus(Round round) const;

  bool open() const { return !rounds_.empty(); }
  int64_t open_since_ms() const { return rounds_.empty() ? 0 : rounds_.begin()->second.since_ms; }
  // The ranks that round version()+1 still needs.
  std::vector<WorkerRank> Missing(const View& view) const;
  // Forgets open rounds (end of the job).
  void ReleaseParked(ParkingLot& parking);

 private:
  struct OpenRound {
    int64_t since_ms = 0;
    std::vector<bool> have;  // by rank: contributed
    uint32_t messages = 0;   // only for a broken variant
    // Fold of the contributions of all ranks below `next`; only in round version+1.
    MutableBufferPtr sum;
    WorkerRank next = 0;
    std::map<WorkerRank, MutableBufferPtr> parked;
  };

  OpenRound& RoundAt(int64_t now_ms, Round round, const View& view);
  void Fold(OpenRound& round, const Payload& data, PartMath& math);
  // Folds parked contributions whose turn it is and skips workers that left.
  void Advance(OpenRound& round, const View& view, ParkingLot& parking, PartMath& math);
  static bool Complete(const OpenRound& round, const View& view);
  void Commit(OpenRound& round, PartMath& math);

  PartId id_;
  const KeySpec* key_;
  Round version_ = 0;
  BufferPtr value_;
  std::unique_ptr<PartState> state_;
  std::map<Round, OpenRound> rounds_;  // all above version_
  std::map<Round, absl::Status> failed_;
};

}  // namespace kvstore
