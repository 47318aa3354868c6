// Oracle: knows, from the programs alone, which value every version of every part must have, and
// records what the servers committed. Of an asynchronous store it knows what each worker pushes, in
// which order, and takes from the servers in which order the workers came. Weights are hashes, so
// that any loss, repeat or reordering of contributions gives another value.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/simulation/commands.h"
#include "tests/simulation/program.h"
#include "tests/simulation/two_bit_model.h"
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

// The state that load number `load`, from 1, puts in the place of `state`.
constexpr uint64_t LoadedState(uint64_t state, uint64_t load) { return Mix64(state + 13 * load); }

// What a part adds to the sums over its whole value in measuring number `step`: numbers whose sum
// depends on the order in which they are added.
NormSums Measured(uint32_t step, uint64_t value, uint64_t sum, uint64_t state,
                  const NormSums& norms);
uint64_t HashOf(const NormSums& norms);

// By what the oracle knows a part in one of its lives.
constexpr PartId InLife(PartId id, uint64_t life) {
  return {life == 0 ? id.key : Mix64(id.key + life), id.part};
}

// Parts are named by InLife().
class Oracle {
 public:
  explicit Oracle(World& world) : world_(world), commands_(world) {}

  // Forgets the job before; every job has contributions of its own.
  void BeginJob(JobId job, const Programs& programs);
  JobId job() const { return job_; }
  Commands& commands() { return commands_; }

  // Rank 0 deletes or resets the key; whether it does. (Its first life, that is.)
  void OnDelete(KeyId key) { deleted_.insert(key); }
  bool IsDeleted(KeyId key) const { return deleted_.count(key) != 0; }

  // A server begins the life of the part after `life`, with the value that it has: that of the last
  // version.
  void OnReset(PartId id, uint64_t life, uint64_t value);

  // Rank 0 has the state of the part replaced by this one, next; a server has done it. Once, and
  // with nothing else.
  void ExpectState(PartId id, uint64_t state);
  void OnStateCommitted(PartId id, uint64_t state);

  // What `rank` pushes as its contribution to `round`, and rank 0 gives to Init as round 0,
  // fragment by fragment; 0 goes without bytes. If the part is compressed, it is the code of a
  // contribution that comes after those of the rounds before.
  std::vector<uint64_t> Fragments(PartId id, WorkerRank rank, Round round) const;
  bool Compressed(PartId id) const { return world_.params().compressed && !part(id).row_sparse; }
  // The elements of that contribution (ElementsOf).
  uint64_t Contribution(PartId id, WorkerRank rank, Round round) const;
  bool UpdateFails(PartId id, Round round) const;
  // Whether the part cannot be measured for the update by this sum: a round's, or one of `rank`'s
  // pushes.
  bool MeasureFails(PartId id, uint64_t sum) const;
  // How often the value is measured, and how many parts it has.
  uint32_t Measurings(PartId id) const;
  // Whether a part of the value could not be measured for the round, so that it failed everywhere.
  bool NormsFail(PartId id, WorkerRank rank, Round round) const;
  // Of a version that can be.
  uint64_t Value(PartId id, Round version) const;
  Round LastVersion(PartId id) const { return part(id).values.size() - 1; }

  // A server made `version` with `value` out of `sum`. Of an asynchronous store every version must
  // be made by the next push of one worker; which one, `sum` tells.
  void OnCommit(PartId id, Round version, uint64_t sum, uint64_t value);
  // A server made the next version without an update, for want of norms. They may also be wanting
  // because a worker's push to another part of the value was refused for good.
  void OnSkipped(PartId id, SumIndex index, uint64_t sum, uint64_t value);
  // A part found `own` in measuring number `step` for the next version or, in an asynchronous
  // store, the next push of rank `sum`.
  void OnMeasured(PartId id, SumIndex sum, uint32_t step, const NormSums& own);
  // The part is told `norms`, of the first `steps` measurings: they must be the sums of what all
  // parts found, in their order.
  void CheckNorms(PartId id, SumIndex sum, uint32_t steps, const NormSums& norms) const;
  // What the update to `version` of a synchronous store is told of its sum.
  void CheckCounts(PartId id, Round version, const RoundCounts& counts);
  // A worker one of whose pushes was refused sets another optimizer. It did not wait for its open
  // pushes to the other parts of that key, which have ended with the key (C11): nobody knows with
  // which optimizer these rounds are made.
  void SetsOptimizerAfterRefusal();
  // Whether what `rank` pushed as its `round` (0: nothing) is in the value of `version`.
  bool PushIsIn(PartId id, WorkerRank rank, Round round, Round version) const;
  // An operator changes the parameter from a step on; all servers hold what is of that step or
  // later.
  void OnNumbersSet(uint64_t from_step, int64_t parameter);
  // Of a synchronous store: the last step that a version was made of.
  uint64_t last_step() const { return last_step_; }
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
    uint32_t parts = 1;            // of its value
    std::vector<bool> norms_fail;  // by round, from 1; of a synchronous store
    bool deleted = false;          // or reset, in the end
    std::vector<uint64_t> values;  // by version; asynchronous: of those that were made
    std::vector<uint64_t> steps;   // by round, from 1; of a synchronous store
    Round committed = 0;
    bool unknown = false;       // since a push to it, or to the life before, was refused
    std::vector<Round> pushes;  // by rank: how many it makes
    // Asynchronous: by rank, the version that each of its pushes made.
    std::vector<std::vector<Round>> made;
    // Updates that were skipped since a push was refused, likewise.
    std::set<std::pair<SumIndex, Round>> skipped;
    // What the part found for an update, by step; the update by rank (synchronous: 0) and round.
    std::map<std::pair<SumIndex, Round>, std::vector<NormSums>> measured;
  };
  void BeginKey(uint32_t key, uint64_t life, bool ends);
  // All versions of the key that will be, of a synchronous store.
  void MakeRounds(uint32_t key, KeyId id, bool ends);
  const Part& part(PartId id) const;
  // Whether it is of the key to which a push may be refused, in either life.
  bool IsOfFirstKey(PartId id) const;
  // The next version of all parts of a key.
  void MakeRound(KeyId key, Round round, uint64_t parameter, std::vector<uint64_t>* states);
  // The update that the part makes next of the sum: the round that it is of.
  Round NextRound(PartId id, SumIndex sum) const;
  uint64_t SumOfRound(PartId id, Round round) const;
  uint64_t CodeOf(PartId id, WorkerRank rank, Round round) const;
  // The fold of its fragments.
  uint64_t Folded(PartId id, WorkerRank rank, Round round) const;
  bool async() const { return world_.params().async; }

  World& world_;
  Commands commands_;
  JobId job_ = 0;
  KeyId first_key_ = 0;  // to which a push may be refused
  uint64_t salt_ = 0;
  const Programs* programs_ = nullptr;
  std::vector<OptimizerChange> optimizers_;  // the programs', and what an operator changes
  uint64_t last_step_ = 0;
  std::map<PartId, Part> parts_;
  std::set<KeyId> deleted_;
  std::map<PartId, uint64_t> states_;  // that are to be loaded
  // What a worker sends of a compressed part, by round, as far as it was asked for.
  struct Codes {
    TwoBitModel model;
    std::vector<uint64_t> sent;
  };
  mutable std::map<std::pair<PartId, WorkerRank>, Codes> codes_;
};

}  // namespace kvstore::sim
