#include "server/node/server_status.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>

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
    status->set_not_finite_pushes(status->not_finite_pushes() + shard.not_finite_pushes);
    for (const OpenRoundInfo& round : shard.open_rounds) {
      const auto [it, fresh] = open.try_emplace(round.key, round);
      if (!fresh) {
        it->second.parts += round.parts;
        it->second.round = std::min(it->second.round, round.round);
        it->second.since_ms = std::min(it->second.since_ms, round.since_ms);
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
    for (const WorkerRank rank : missing[round->key]) entry->add_missing_ranks(rank);
  }
}

uint64_t ResidentBytes() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;  // the second number
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace kvstore
