#include "tests/simulation/oracle.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvstore::sim {

void Oracle::BeginJob(JobId job, const Programs& programs) {
  job_ = job;
  salt_ = Mix64(world_.params().seed * 16 + job);
  parts_.clear();
  commands_.BeginJob();
  for (uint32_t key = 0; key < programs.keys.size(); ++key) {
    uint32_t last = 0;
    for (const Program& program : programs.ranks) last = std::max(last, program.pushes[key]);
    for (PartIndex index = 0; index < world_.params().key_parts[key]; ++index) {
      const PartId id{programs.keys[key].key, index};
      parts_[id].row_sparse = programs.keys[key].storage == Storage::kRowSparse;
      std::vector<uint64_t>& values = parts_[id].values;
      uint64_t state = 0;
      values.push_back(Folded(id, 0, 0));
      for (const Program& program : programs.ranks) {
        parts_[id].pushes.push_back(program.pushes[key]);
        if (async()) parts_[id].made.emplace_back();
      }
      if (async()) continue;
      for (Round round = 1; round <= last; ++round) {
        // A round needs everybody who has not left before it.
        bool first = true;
        uint64_t sum = 0;
        for (WorkerRank rank = 0; rank < programs.ranks.size(); ++rank) {
          if (programs.ranks[rank].pushes[key] < round) continue;
          for (const uint64_t fragment : Fragments(id, rank, round)) {
            sum = first ? fragment : FoldOne(sum, fragment);
            first = false;
          }
        }
        if (UpdateFails(id, round)) {
          values.push_back(values.back());
          continue;
        }
        int64_t parameter = 0;
        for (const OptimizerChange& change : programs.optimizers) {
          if (round > change.after[key]) parameter = change.parameter;
        }
        state = NextState(state, sum);
        values.push_back(NextValue(values.back(), sum, state, static_cast<uint64_t>(parameter)));
      }
    }
  }
}

const Oracle::Part& Oracle::part(PartId id) const {
  const auto it = parts_.find(id);
  if (it == parts_.end()) {
    world_.Fail(fmt::format("there is no part {} of key {:x}", id.part, id.key));
  }
  return it->second;
}

uint64_t Oracle::Contribution(PartId id, WorkerRank rank, Round round) const {
  return Mix64(Mix64(Mix64(salt_ ^ id.key) + id.part * 64 + rank) + round);
}

std::vector<uint64_t> Oracle::Fragments(PartId id, WorkerRank rank, Round round) const {
  const uint64_t whole = Contribution(id, rank, round);
  if (!part(id).row_sparse) return {whole};
  std::vector<uint64_t> fragments(1 + Mix64(whole + 1) % 4);
  for (size_t i = 0; i < fragments.size(); ++i) {
    const uint64_t hash = Mix64(whole + 100 + i);
    // The first one tells asynchronous pushes apart.
    const bool empty = hash % 5 == 0 && (i > 0 || !async());
    fragments[i] = empty ? 0 : hash;
  }
  return fragments;
}

uint64_t Oracle::Folded(PartId id, WorkerRank rank, Round round) const {
  const std::vector<uint64_t> fragments = Fragments(id, rank, round);
  uint64_t sum = fragments[0];
  for (size_t i = 1; i < fragments.size(); ++i) sum = FoldOne(sum, fragments[i]);
  return sum;
}

bool Oracle::UpdateFails(PartId id, Round round) const {
  const uint32_t permille = world_.params().update_fails_permille;
  return permille > 0 && Mix64(Contribution(id, 63, round)) % 1000 < permille;
}

uint64_t Oracle::Value(PartId id, Round version) const {
  const Part& p = part(id);
  if (version >= p.values.size()) {
    world_.Fail(fmt::format("part {} of key {:x}: version {} cannot be, the last one is {}",
                            id.part, id.key, version, p.values.size() - 1));
  }
  return p.values[version];
}

void Oracle::OnCommit(PartId id, Round version, uint64_t sum, uint64_t value) {
  if (async()) {
    Part& p = parts_.at(id);
    for (WorkerRank rank = 0; rank < p.made.size(); ++rank) {
      std::vector<Round>& made = p.made[rank];
      if (made.size() == p.pushes[rank] || sum != Folded(id, rank, made.size() + 1)) continue;
      made.push_back(version);
      p.values.push_back(value);
      p.committed = version;
      return;
    }
    world_.Fail(
        fmt::format("part {} of key {:x}: version {} is made of {:016x}, which is no worker's next "
                    "push: one was lost, repeated, changed or applied out of its worker's order",
                    id.part, id.key, version, sum));
  }
  const uint64_t expected = Value(id, version);
  if (value != expected) {
    world_.Fail(fmt::format(
        "part {} of key {:x}: version {} must be {:016x}, the server made {:016x}: a contribution "
        "was lost, repeated, changed or folded out of order",
        id.part, id.key, version, expected, value));
  }
  Part& p = parts_.at(id);
  if (version != p.committed + 1) {
    world_.Fail(fmt::format("part {} of key {:x}: version {} committed after version {}", id.part,
                            id.key, version, p.committed));
  }
  p.committed = version;
}

void Oracle::CheckCounts(PartId id, Round version, const RoundCounts& counts) {
  if (async()) return;
  const std::vector<Round>& pushes = part(id).pushes;
  const auto contributors = std::count_if(pushes.begin(), pushes.end(),
                                          [version](Round made) { return made >= version; });
  if (counts.workers == pushes.size() && counts.contributors == contributors) return;
  world_.Fail(fmt::format(
      "part {} of key {:x}: version {} has the contributions of {} workers of {}, the server "
      "counted {} of {}",
      id.part, id.key, version, contributors, pushes.size(), counts.contributors, counts.workers));
}

bool Oracle::PushIsIn(PartId id, WorkerRank rank, Round round, Round version) const {
  if (round == 0) return true;
  if (!async()) return version >= round;
  const std::vector<Round>& made = part(id).made[rank];
  return made.size() >= round && made[round - 1] <= version;
}

Round Oracle::PushesIn(PartId id, WorkerRank rank, Round version) const {
  const std::vector<Round>& made = part(id).made[rank];
  return static_cast<Round>(std::upper_bound(made.begin(), made.end(), version) - made.begin());
}

bool Oracle::PushFailed(PartId id, WorkerRank rank, Round round) const {
  if (!async()) return UpdateFails(id, round);
  const std::vector<Round>& made = part(id).made[rank];
  return made.size() >= round && UpdateFails(id, made[round - 1]);
}

void Oracle::CheckAllCommitted() const {
  for (const auto& [id, p] : parts_) {
    for (WorkerRank rank = 0; rank < p.made.size(); ++rank) {
      if (p.made[rank].size() == p.pushes[rank]) continue;
      world_.Fail(
          fmt::format("part {} of key {:x}: everybody left when {} pushes of rank {} were "
                      "applied, {} expected",
                      id.part, id.key, p.made[rank].size(), rank, p.pushes[rank]));
    }
    if (p.committed + 1 != p.values.size()) {
      world_.Fail(fmt::format("part {} of key {:x}: everybody left at version {}, {} expected",
                              id.part, id.key, p.committed, p.values.size() - 1));
    }
  }
}

}  // namespace kvstore::sim
