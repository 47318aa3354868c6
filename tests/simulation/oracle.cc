#include "tests/simulation/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace kvstore::sim {

NormSums Measured(uint32_t step, uint64_t value, uint64_t sum, uint64_t state,
                  const NormSums& norms) {
  NormSums own;
  uint64_t hash = Mix64(Mix64(Mix64(value + step) + sum) + state) ^ HashOf(norms);
  for (size_t i = size_t{2} * step; i < size_t{2} * step + 2; ++i) {
    hash = Mix64(hash);
    own.squares[i] = static_cast<double>(hash % 1000003) / 7;
  }
  return own;
}

uint64_t HashOf(const NormSums& norms) {
  uint64_t hash = 0;
  for (const double square : norms.squares) {
    uint64_t bits = 0;
    std::memcpy(&bits, &square, sizeof bits);
    hash = Mix64(hash + bits);
  }
  return hash;
}

void Oracle::BeginJob(JobId job, const Programs& programs) {
  job_ = job;
  salt_ = Mix64(world_.params().seed * 16 + job);
  parts_.clear();
  first_key_ = programs.keys[0].key;
  programs_ = &programs;
  optimizers_ = programs.optimizers;
  last_step_ = 0;
  commands_.BeginJob();
  deleted_.clear();
  states_.clear();
  codes_.clear();
  for (uint32_t key = 0; key < programs.keys.size(); ++key) {
    const uint64_t last_life = world_.params().two_lives() ? 1 : 0;
    for (uint64_t life = 0; life <= last_life; ++life) BeginKey(key, life, life < last_life);
  }
}

void Oracle::BeginKey(uint32_t key, uint64_t life, bool ends) {
  const KeyId id = InLife({programs_->keys[key].key, 0}, life).key;
  const PartIndex count = world_.params().key_parts[key];
  for (PartIndex index = 0; index < count; ++index) {
    Part& p = parts_[{id, index}];
    p.row_sparse = programs_->keys[key].storage == Storage::kRowSparse;
    p.deleted = ends;
    p.parts = count;
    // A life that a reset begins has the value of the one before. (Asynchronous: OnReset says it.)
    const bool goes_on = life > 0 && world_.params().resets;
    p.values.push_back(goes_on ? part({programs_->keys[key].key, index}).values.back()
                               : Folded({id, index}, 0, 0));
    for (const Program& program : programs_->ranks) {
      p.pushes.push_back((ends ? program.first_pushes : program.pushes)[key]);
      if (async()) p.made.emplace_back();
    }
  }
  if (!async()) MakeRounds(key, id, ends);
}

void Oracle::MakeRounds(uint32_t key, KeyId id, bool ends) {
  const std::vector<Round>& pushes = part({id, 0}).pushes;
  // Who has left is not waited for; of a life that ends only the rounds of all are complete.
  const Round last = ends ? *std::min_element(pushes.begin(), pushes.end())
                          : *std::max_element(pushes.begin(), pushes.end());
  const PartIndex count = world_.params().key_parts[key];
  std::vector<uint64_t> states(count, 0);
  for (PartIndex index = 0; index < count; ++index) {
    Part& p = parts_[{id, index}];
    p.values.resize(1);
    p.steps.assign(last + 1, 0);
  }
  for (Round round = 1; round <= last; ++round) {
    int64_t parameter = 0;
    for (size_t load = 0; load < programs_->loads.size() && !ends; ++load) {
      if (programs_->loads[load].after[key] != round - 1) continue;
      for (uint64_t& state : states) state = LoadedState(state, load + 1);
    }
    if (!ends) {
      // The round is of the step that its contribution of the lowest rank was pushed in.
      const auto lowest =
          std::find_if(pushes.begin(), pushes.end(), [round](Round made) { return made >= round; });
      const Program& program = programs_->ranks[static_cast<size_t>(lowest - pushes.begin())];
      const uint64_t step = program.steps[key][round - 1];
      for (const OptimizerChange& change : optimizers_) {
        if (round > change.after[key]) parameter = change.At(step);
      }
      for (PartIndex index = 0; index < count; ++index) parts_[{id, index}].steps[round] = step;
    }
    MakeRound(id, round, static_cast<uint64_t>(parameter), &states);
  }
}

void Oracle::ExpectState(PartId id, uint64_t state) { states_[id] = state; }

void Oracle::OnStateCommitted(PartId id, uint64_t state) {
  const auto expected = states_.find(id);
  if (expected == states_.end() || expected->second != state) {
    world_.Fail(fmt::format(
        "I15: part {} of key {:x}: the state {:016x} takes the place of its own, {} expected",
        id.part, id.key, state,
        expected == states_.end() ? "none" : fmt::format("{:016x}", expected->second)));
  }
  states_.erase(expected);
}

void Oracle::OnNumbersSet(uint64_t from_step, int64_t parameter) {
  for (const auto& [id, p] : parts_) {
    for (Round round = 1; round <= p.committed; ++round) {
      if (p.steps[round] < from_step) continue;
      world_.Fail(
          fmt::format("I13: part {} of key {:x}: version {} is of step {}, all servers hold "
                      "those from step {} on",
                      id.part, id.key, round, p.steps[round], from_step));
    }
  }
  optimizers_.back().numbers.emplace_back(from_step, parameter);
  for (uint32_t key = 0; key < programs_->keys.size(); ++key) {
    MakeRounds(key, programs_->keys[key].key, false);
  }
}

void Oracle::MakeRound(KeyId key, Round round, uint64_t parameter, std::vector<uint64_t>* states) {
  const auto count = static_cast<PartIndex>(states->size());
  std::vector<uint64_t> sums;
  bool norms_fail = false;
  const uint32_t measurings = Measurings({key, 0});
  for (PartIndex index = 0; index < count; ++index) {
    sums.push_back(SumOfRound({key, index}, round));
    norms_fail |= measurings > 0 && MeasureFails({key, index}, sums[index]);
  }
  NormSums norms;
  for (uint32_t step = 0; step < measurings; ++step) {
    NormSums found;
    for (PartIndex index = 0; index < count; ++index) {
      found += Measured(step, parts_[{key, index}].values.back(), sums[index],
                        (*states)[index] + parameter, norms);
    }
    norms += found;
  }
  for (PartIndex index = 0; index < count; ++index) {
    Part& p = parts_[{key, index}];
    p.norms_fail.resize(round + 1);
    p.norms_fail[round] = norms_fail;
    if (norms_fail || UpdateFails({key, index}, round)) {
      p.values.push_back(p.values.back());
      continue;
    }
    uint64_t& state = (*states)[index];
    state = NextState(state, sums[index]);
    if (measurings > 0) state = NextState(state, HashOf(norms));
    p.values.push_back(NextValue(p.values.back(), sums[index], state, parameter));
  }
}

// A round needs everybody who has not left before it.
uint64_t Oracle::SumOfRound(PartId id, Round round) const {
  bool first = true;
  uint64_t sum = 0;
  for (WorkerRank rank = 0; rank < part(id).pushes.size(); ++rank) {
    if (part(id).pushes[rank] < round) continue;
    for (const uint64_t fragment : Fragments(id, rank, round)) {
      sum = first ? fragment : FoldOne(sum, fragment);
      first = false;
    }
  }
  return sum;
}

uint32_t Oracle::Measurings(PartId id) const {
  const Part& p = part(id);
  return p.parts == 1 ? 0 : world_.params().measurings;
}

bool Oracle::MeasureFails(PartId id, uint64_t sum) const {
  const uint32_t permille = world_.params().update_fails_permille;
  return permille > 0 && Mix64(sum + id.part + 41) % 4000 < permille;
}

bool Oracle::NormsFail(PartId id, WorkerRank rank, Round round) const {
  if (part(id).skipped.count({async() ? rank : 0, round}) != 0) return true;
  if (!async()) return part(id).norms_fail[round];
  bool fail = false;
  for (PartIndex index = 0; Measurings(id) > 0 && index < part(id).parts; ++index) {
    fail |= MeasureFails({id.key, index}, Folded({id.key, index}, rank, round));
  }
  return fail;
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
  if (round > 0 && Compressed(id)) return {CodeOf(id, rank, round)};
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

uint64_t Oracle::CodeOf(PartId id, WorkerRank rank, Round round) const {
  Codes& codes = codes_[{id, rank}];
  while (codes.sent.size() < round) {
    const uint64_t next = Contribution(id, rank, codes.sent.size() + 1);
    codes.sent.push_back(codes.model.Next(ElementsOf(next)));
  }
  return codes.sent[round - 1];
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
  if (parts_.at(id).unknown) {
    parts_.at(id).values.at(version) = value;
  } else if (value != expected) {
    world_.Fail(fmt::format(
        "part {} of key {:x}: version {} must be {:016x}, the server made {:016x}: a contribution "
        "was lost, repeated, changed or folded out of order",
        id.part, id.key, version, expected, value));
  }
  Part& p = parts_.at(id);
  last_step_ = std::max(last_step_, p.steps.at(version));
  if (version != p.committed + 1) {
    world_.Fail(fmt::format("part {} of key {:x}: version {} committed after version {}", id.part,
                            id.key, version, p.committed));
  }
  p.committed = version;
}

void Oracle::OnReset(PartId id, uint64_t life, uint64_t value) {
  const Part& before = part(InLife(id, life));
  const auto next = parts_.find(InLife(id, life + 1));
  if (next == parts_.end()) {
    world_.Fail(fmt::format("part {} of key {:x}: it is reset {} times, once expected", id.part,
                            id.key, life + 1));
  }
  // Of a key to which a push was refused the last versions may never have been made.
  if (!async() && world_.params().lethal == Lethal::kPushRefused && IsOfFirstKey(id)) {
    next->second.unknown = true;
  }
  if (async() || next->second.unknown) next->second.values[0] = value;
  if (value == before.values[before.committed] && value == next->second.values[0]) return;
  world_.Fail(
      fmt::format("part {} of key {:x}: reset at version {}, it must be {:016x}, is {:016x}",
                  id.part, id.key, before.committed, before.values[before.committed], value));
}

Round Oracle::NextRound(PartId id, SumIndex sum) const {
  if (!async()) return part(id).committed + 1;
  if (sum >= part(id).made.size()) world_.Fail("an asynchronous update by no worker's sum");
  return part(id).made[sum].size() + 1;
}

bool Oracle::IsOfFirstKey(PartId id) const {
  return id.key == first_key_ || id.key == InLife({first_key_, 0}, 1).key;
}

void Oracle::OnSkipped(PartId id, SumIndex index, uint64_t sum, uint64_t value) {
  const Round round = NextRound(id, index);
  // What a deletion has refused leaves the other parts without norms, until they are deleted, too.
  const bool refused =
      IsDeleted(id.key) || (world_.params().lethal == Lethal::kPushRefused && IsOfFirstKey(id));
  if (refused && Measurings(id) > 0) {
    Part& p = parts_.at(id);
    p.skipped.insert({index, round});
    if (!async()) p.values.at(round) = p.values.at(round - 1);
  } else if (!NormsFail(id, index, round)) {
    world_.Fail(fmt::format("part {} of key {:x}: round {} is skipped", id.part, id.key, round));
  }
  OnCommit(id, committed(id) + 1, sum, value);
}

void Oracle::OnMeasured(PartId id, SumIndex sum, uint32_t step, const NormSums& own) {
  std::vector<NormSums>& found = parts_.at(id).measured[{sum, NextRound(id, sum)}];
  found.resize(std::max<size_t>(found.size(), step + 1));
  found[step] = own;
}

void Oracle::CheckNorms(PartId id, SumIndex sum, uint32_t steps, const NormSums& norms) const {
  const Round round = NextRound(id, sum);
  NormSums expected;
  for (uint32_t step = 0; step < steps; ++step) {
    NormSums found;
    for (PartIndex index = 0; index < part(id).parts; ++index) {
      const auto& measured = part({id.key, index}).measured;
      const auto it = measured.find({sum, round});
      if (it == measured.end() || it->second.size() <= step) {
        world_.Fail(
            fmt::format("part {} of key {:x}: round {}: told the norms of measuring {} "
                        "before part {} has measured",
                        id.part, id.key, round, step, index));
      }
      found += it->second[step];
    }
    expected += found;
  }
  if (norms == expected) return;
  world_.Fail(fmt::format("part {} of key {:x}: round {}: told other norms than its parts have",
                          id.part, id.key, round));
}

void Oracle::CheckCounts(PartId id, Round version, const RoundCounts& counts) {
  if (async()) return;
  const std::vector<Round>& pushes = part(id).pushes;
  const auto contributors = std::count_if(pushes.begin(), pushes.end(),
                                          [version](Round made) { return made >= version; });
  if (counts.workers == pushes.size() && counts.contributors == contributors) return;
  // A worker whose push is refused may leave before its job has ended: the round then closes
  // without that push, or one of another part of the key, which has failed for the worker (C11),
  // and nobody knows what this part is worth from there on.
  if (world_.params().lethal == Lethal::kPushRefused && IsOfFirstKey(id) &&
      counts.contributors < contributors) {
    parts_.at(id).unknown = true;
    return;
  }
  world_.Fail(fmt::format(
      "part {} of key {:x}: version {} has the contributions of {} workers of {}, the server "
      "counted {} of {}",
      id.part, id.key, version, contributors, pushes.size(), counts.contributors, counts.workers));
}

void Oracle::SetsOptimizerAfterRefusal() {
  if (async()) return;
  for (auto& [id, part] : parts_) part.unknown |= IsOfFirstKey(id);
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
  if (!async()) return NormsFail(id, rank, round) || UpdateFails(id, round);
  const std::vector<Round>& made = part(id).made[rank];
  return made.size() >= round && (NormsFail(id, rank, round) || UpdateFails(id, made[round - 1]));
}

void Oracle::CheckAllCommitted() const {
  for (const auto& [id, p] : parts_) {
    if (p.deleted) continue;
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
