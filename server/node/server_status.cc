#include "server/node/server_status.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <tuple>

namespace kvstore {

void AddUpStatus(const std::vector<ShardStatus>& shards, int64_t now_ms, size_t rounds_max,
                 v1::ServerStatus* status) {
  std::map<KeyId, OpenRoundInfo> open;
  std::map<KeyId, std::set<WorkerRank>> missing;
  for (const ShardStatus& shard : shards) {
    status->set_keys(status->keys() + shard.keys);
    status->set_value_bytes(status->value_bytes() + shard.value_bytes);
    status->set_held_bytes(status->held_bytes() + shard.held_bytes);
    status->set_parked_bytes(status->parked_bytes() + shard.parked_bytes);
    status->set_committed_rounds(status->committed_rounds() + shard.committed_rounds);
    status->set_streams(status->streams() + shard.streams);
    status->set_streams_in_memory(status->streams_in_memory() + shard.streams_in_memory);
    status->set_not_finite_pushes(status->not_finite_pushes() + shard.not_finite_pushes);
    for (size_t rank = 0; rank < shard.waited_for_ms.size(); ++rank) {
      const auto waited = static_cast<uint64_t>(shard.waited_for_ms[rank]);
      if (static_cast<size_t>(status->waited_for_ms_size()) == rank) status->add_waited_for_ms(0);
      const int at = static_cast<int>(rank);
      status->set_waited_for_ms(at, std::max<uint64_t>(status->waited_for_ms(at), waited));
    }
    for (const OpenRoundInfo& round : shard.open_rounds) {
      const auto [it, fresh] = open.try_emplace(round.key, round);
      if (!fresh) {
        it->second.parts += round.parts;
        it->second.round = std::min(it->second.round, round.round);
        it->second.since_ms = std::min(it->second.since_ms, round.since_ms);
        it->second.held_from = std::max(it->second.held_from, round.held_from);
      }
      missing[round.key].insert(round.missing.begin(), round.missing.end());
    }
  }
  std::vector<const OpenRoundInfo*> oldest;
  for (const auto& [key, round] : open) oldest.push_back(&round);
  std::stable_sort(
      oldest.begin(), oldest.end(),
      [](const OpenRoundInfo* a, const OpenRoundInfo* b) { return a->since_ms < b->since_ms; });
  status->set_open_rounds_total(oldest.size());
  if (oldest.size() > rounds_max) oldest.resize(rounds_max);
  for (const OpenRoundInfo* round : oldest) {
    v1::OpenRound* entry = status->add_open_rounds();
    entry->set_key(round->key);
    entry->set_name(round->name);
    entry->set_parts(static_cast<uint32_t>(round->parts));
    entry->set_round(round->round);
    entry->set_age_ms(static_cast<uint64_t>(std::max<int64_t>(now_ms - round->since_ms, 0)));
    entry->set_held_from_step(round->held_from);
    for (const WorkerRank rank : missing[round->key]) entry->add_missing_ranks(rank);
  }
}

namespace {

void Fill(const Figures& figures, v1::Figures* out) {
  out->set_elements(figures.elements);
  out->set_not_finite(figures.not_finite);
  out->set_squares(figures.squares);
  out->set_absmax(figures.absmax);
}

}  // namespace

void AddUpKeyStats(const std::vector<std::vector<KeyStats>>& shards, size_t keys_max,
                   v1::ServerKeyStats* stats) {
  std::map<KeyPlace, KeyStats> all;
  for (const std::vector<KeyStats>& shard : shards) {
    for (const KeyStats& key : shard) {
      const auto [at, fresh] = all.try_emplace(KeyPlace{key.key, key.name}, key);
      if (fresh) continue;
      KeyStats& sum = at->second;
      // A key that a shard only just learned of has no part in it yet.
      if (key.parts > 0)
        sum.version = sum.parts == 0 ? key.version : std::min(sum.version, key.version);
      sum.parts += key.parts;
      sum.pushes = std::max(sum.pushes, key.pushes);
      sum.failures += key.failures;
      sum.pulled.pulls += key.pulled.pulls;
      sum.pulled.staleness_sum += key.pulled.staleness_sum;
      sum.pulled.staleness_max = std::max(sum.pulled.staleness_max, key.pulled.staleness_max);
      sum.figures.value.Add(key.figures.value);
      sum.figures.sum.Add(key.figures.sum);
      sum.figures.has_sum |= key.figures.has_sum;
    }
  }
  stats->set_keys_total(all.size());
  for (const auto& [place, key] : all) {
    if (static_cast<size_t>(stats->keys_size()) == keys_max) break;
    v1::KeyStats* const out = stats->add_keys();
    out->set_key(key.key);
    out->set_name(key.name);
    out->set_dtype(static_cast<v1::DType>(key.dtype));
    out->set_storage(static_cast<v1::Storage>(key.storage));
    for (const int64_t dimension : key.shape) out->add_shape(dimension);
    out->set_parts(key.parts);
    out->set_version(key.version);
    out->set_pushes(key.pushes);
    out->set_failures(key.failures);
    out->set_pulls(key.pulled.pulls);
    out->set_staleness_sum(key.pulled.staleness_sum);
    out->set_staleness_max(key.pulled.staleness_max);
    Fill(key.figures.value, out->mutable_value());
    if (key.figures.has_sum) Fill(key.figures.sum, out->mutable_sum());
  }
}

void AddUpOptimizers(const std::vector<OptimizerReport>& shards, v1::NumbersReport* report) {
  const OptimizerReport& first = shards.front();
  report->set_optimizer(first.name);
  for (const auto& [name, number] : first.parameters)
    (*report->mutable_parameters())[name] = number;
  report->set_schedule(first.schedule);
  report->set_own_updater(first.own_updater);
  for (const auto& [step, numbers] : first.changes) {
    v1::NumbersReport::Change* const change = report->add_changes();
    change->set_from_step(step);
    for (const auto& [name, number] : numbers) (*change->mutable_numbers())[name] = number;
  }
  if (first.held.has_value()) {
    report->mutable_held()->set_from_step(first.held->from_step);
    for (const auto& [name, number] : first.held->numbers) {
      (*report->mutable_held()->mutable_numbers())[name] = number;
    }
  }
  report->set_times_set(first.times_set);
  const auto differ = std::count_if(shards.begin(), shards.end(), [&](const auto& shard) {
    return shard.name != first.name || shard.parameters != first.parameters ||
           shard.changes != first.changes || !(shard.held == first.held) ||
           shard.times_set != first.times_set;
  });
  report->set_shards_that_differ(static_cast<uint32_t>(differ));
}

uint64_t ResidentBytes() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;  // the second number
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace kvstore
