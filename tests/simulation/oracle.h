// Oracle: knows, from the programs alone, which value every version of every part must have, and
// records what the servers committed. Of an asynchronous store it knows what each worker pushes, in
// which order, and takes from the servers in which order the workers came. Weights are hashes, so
// that any loss, repeat or reordering of contributions gives another value.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "tests/simulation/commands.h"
#include "tests/simulation/program.h"
#include "tests/simulation/world.h"
#include "tests/support/number_values.h"

namespace kvstore::sim {

// The arithmetic of the simulated tensors, with FoldOne().
// What a pull of `value` is answered that asks for rows.
constexpr uint64_t RowsOf(uint64_t value, uint64_t ids) { return Mix64(value + 11 * ids); }
constexpr uint64_t NextState(uint64_t state, uint64_t sum) { return Mix64(state + 3 * sum); }
constexpr uint64_t NextValue(uint64_t value, uint64_t sum, uint64_t state, uint64_t parameter) {
  return Mix64(Mix64(value + 5 * sum) + state + 7 * parameter);
}

class Oracle {
 public:
  explicit Oracle(World& world) : world_(world), commands_(world) {}

  // Forgets the job before; every job has contributions of its own.
  void BeginJob(JobId job, const Programs& programs);
  JobId job() const { return job_; }
  Commands& commands() { return commands_; }

  // What `rank` pushes as its contribution to `round`, and rank 0 gives to Init as round 0,
  // fragment by fragment; 0 goes without bytes.
  std::vector<uint64_t> Fragments(PartId id, WorkerRank rank, Round round) const;
  bool UpdateFails(PartId id, Round round) const;
  // Of a version that can be.
  uint64_t Value(PartId id, Round version) const;
  Round LastVersion(PartId id) const { return part(id).values.size() - 1; }

  // A server made `version` with `value` out of `sum`. Of an asynchronous store every version must
  // be made by the next push of one worker; which one, `sum` tells.
  void OnCommit(PartId id, Round version, uint64_t sum, uint64_t value);
  // What the update to `version` of a synchronous store is told of its sum.
  void CheckCounts(PartId id, Round version, const RoundCounts& counts);
  // Whether what `rank` pushed as its `round` (0: nothing) is in the value of `version`.
  bool PushIsIn(PartId id, WorkerRank rank, Round round, Round version) const;
  // Whether the updater refused the round, or the version that was made of the push.
  bool PushFailed(PartId id, WorkerRank rank, Round round) const;
  bool row_sparse(PartId id) const { return part(id).row_sparse; }
  // Of an asynchronous store: how many pushes `rank` makes, and how many of them are in `version`.
  Round PushesOf(PartId id, WorkerRank rank) const { return part(id).pushes[rank]; }
  Round PushesIn(PartId id, WorkerRank rank, Round version) const;
  Round committed(PartId id) const { return part(id).committed; }
  // All parts are at their last version.
  void CheckAllCommitted() const;

 private:
  struct Part {
    bool row_sparse = false;
    std::vector<uint64_t> values;  // by version; asynchronous: of those that were made
    Round committed = 0;
    std::vector<Round> pushes;  // by rank: how many it makes
    // Asynchronous: by rank, the version that each of its pushes made.
    std::vector<std::vector<Round>> made;
  };
  const Part& part(PartId id) const;
  uint64_t Contribution(PartId id, WorkerRank rank, Round round) const;
  // The fold of its fragments.
  uint64_t Folded(PartId id, WorkerRank rank, Round round) const;
  bool async() const { return world_.params().async; }

  World& world_;
  Commands commands_;
  JobId job_ = 0;
  uint64_t salt_ = 0;
  std::map<PartId, Part> parts_;
};

}  // namespace kvstore::sim
