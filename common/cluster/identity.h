// Names of things in a cluster. (worker, part, round) names a contribution; everything that makes
// the system exactly-once rests on these.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/hash.h"

namespace kvstore {

using ClusterId = uint64_t;    // random, chosen once by the scheduler that founded the cluster
using JobId = uint64_t;        // counts the jobs of a cluster, from 1
using Term = uint64_t;         // incarnation of the scheduler
using Epoch = uint64_t;        // version of the routing table and the view
using Incarnation = uint64_t;  // life of a node, ordered, issued by the scheduler
using WorkerRank = uint32_t;
// The rank of every reader, which no worker has: what tells two of them apart is their incarnation.
inline constexpr WorkerRank kReaderRank = UINT32_MAX;
using ServerRank = uint32_t;
using ShardIndex = uint32_t;  // thread that owns slots, within a server
using SlotIndex = uint32_t;
using KeyId = uint64_t;
using PartIndex = uint32_t;
using Round = uint64_t;      // from 1; also the version that the round commits
using RequestId = uint64_t;  // from 1, unique within a worker's incarnation

// Identity of a key on the wire. Int and string keys never meet in one job.
inline KeyId KeyIdOf(int64_t key) { return static_cast<KeyId>(key); }
inline KeyId KeyIdOf(std::string_view key) { return HashBytes(key); }

// A part of a value.
struct PartId {
  KeyId key = 0;
  PartIndex part = 0;

  bool operator==(const PartId& o) const { return key == o.key && part == o.part; }
  bool operator<(const PartId& o) const { return key != o.key ? key < o.key : part < o.part; }
};
struct PartIdHash {
  size_t operator()(const PartId& id) const { return Mix64(id.key) + id.part; }
};

// One stream of the data plane: a shard of a server.
struct ShardAddress {
  ServerRank server = 0;
  ShardIndex shard = 0;

  bool operator==(const ShardAddress& o) const { return server == o.server && shard == o.shard; }
  bool operator<(const ShardAddress& o) const {
    return server != o.server ? server < o.server : shard < o.shard;
  }
};

}  // namespace kvstore
