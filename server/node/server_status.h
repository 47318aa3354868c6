// The numbers of a server, added up from its shards.
#pragma once

#include <cstdint>
#include <vector>

#include "kvstore/v1/scheduler.pb.h"
#include "server/core/server_core.h"

namespace kvstore {

// Fills in what the shards know: everything but rank, incarnation, epoch and the numbers of the
// process. Pure. Of the time that a worker was waited for it is that of the shard where it is most:
// shards wait at the same time. A key may have parts in several shards: it
// counts once in each; its open rounds become one entry, with the lowest round, the earliest
// beginning and all ranks that are missing anywhere. At most `rounds_max` entries, the oldest
// first.
void AddUpStatus(const std::vector<ShardStatus>& shards, int64_t now_ms, size_t rounds_max,
                 v1::ServerStatus* status);

// The stats of keys, added up from the shards, in the order of KeyPlace; at most `keys_max` of
// them, each with all of its parts if each shard brings its first `keys_max` keys. Pure.
void AddUpKeyStats(const std::vector<std::vector<KeyStats>>& shards, size_t keys_max,
                   v1::ServerKeyStats* stats);

// The optimizers of the shards, which are one unless orders are under way: the first one's, and how
// many have another one. There is at least one shard. Pure.
void AddUpOptimizers(const std::vector<OptimizerReport>& shards, v1::NumbersReport* report);

// What this process takes of the machine's memory; 0 where the system does not tell.
uint64_t ResidentBytes();

}  // namespace kvstore
