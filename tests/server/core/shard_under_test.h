// One ServerCore on numbers (tests/support/number_values.h), and the frames that its workers send.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/core/server_core.h"
#include "tests/support/number_values.h"

namespace kvstore::testing {

inline constexpr ClusterId kCluster = 77;
inline constexpr Incarnation kServerIncarnation = 5;
inline constexpr KeyId kKey = 17;

inline KeySpec SpecOf(KeyId key) {
  KeySpec spec;
  spec.key = key;
  spec.dtype = DType::kFloat64;
  spec.shape = {1};
  spec.storage = Storage::kDense;
  return spec;
}

inline RoutingPtr RoutingOf(uint32_t workers, JobId job = 1, Epoch epoch = 1,
                            const std::string& type = "dist_sync") {
  RoutingTable table;
  table.store_type = type;
  table.epoch = epoch;
  table.job = job;
  table.servers = {{"h:1", kServerIncarnation, 1}};
  table.slot_owner.assign(kSlotCount, ShardAddress{0, 0});
  for (uint32_t rank = 0; rank < workers; ++rank) table.workers.push_back({100 + rank, "w"});
  return std::make_shared<const RoutingTable>(std::move(table));
}

// One shard and the frames that its workers send; worker r asks over peer r + 1.
class Shard {
 public:
  explicit Shard(uint32_t workers, ServerCoreOptions options = {},
                 const std::string& type = "dist_sync", WorkRecorder* recorder = nullptr)
      : core(options, ShardAddress{0, 0}, &values, recorder) {
    core.OnRouting(kCluster, kServerIncarnation, RoutingOf(workers, 1, 1, type));
  }

  static RequestFrame FrameOf(WorkerRank rank, RequestEntry entry) {
    RequestFrame frame;
    frame.header.cluster = kCluster;
    frame.header.epoch = 1;
    frame.header.job = 1;
    frame.header.rank = rank;
    frame.header.incarnation = 100 + rank;
    frame.header.server_incarnation = kServerIncarnation;
    frame.entries.push_back(std::move(entry));
    return frame;
  }
  // All replies that one frame caused, by rank.
  std::vector<std::pair<WorkerRank, ReplyEntry>> Send(const RequestFrame& frame, PeerId peer = 0) {
    ServerOutbox out;
    core.OnFrame(now_ms, peer == 0 ? frame.header.rank + 1 : peer, frame, &out);
    std::vector<std::pair<WorkerRank, ReplyEntry>> replies;
    described.clear();
    for (const ServerFrame& sent : out) {
      for (const KeySpec& key : sent.frame.keys) {
        described[sent.frame.header.rank].push_back(ShapeString(key.shape));
      }
      last_peer[sent.frame.header.rank] = sent.peer;
      CHECK(sent.frame.header.incarnation == 100 + sent.frame.header.rank);
      for (const ReplyEntry& entry : sent.frame.entries) {
        replies.emplace_back(sent.frame.header.rank, entry);
      }
    }
    return replies;
  }

  auto Init(WorkerRank rank, std::optional<uint64_t> value, RequestId request,
            KeySpec spec = SpecOf(kKey)) {
    RequestEntry entry = EntryOf(Op::kInit, request);
    entry.key = spec.key;
    if (value.has_value()) entry.piece.data = NumberPayload(*value);
    RequestFrame frame = FrameOf(rank, entry);
    frame.keys.push_back(spec);
    return Send(frame);
  }
  auto Push(WorkerRank rank, Round round, uint64_t value, RequestId request = 0) {
    RequestEntry entry = EntryOf(Op::kPush, request == 0 ? 1000 + round : request);
    entry.round = round;
    entry.piece.data = NumberPayload(value);
    return Send(FrameOf(rank, entry));
  }
  auto Pull(WorkerRank rank, Round version, RequestId request = 5000) {
    RequestEntry entry = EntryOf(Op::kPull, request);
    entry.round = version;
    return Send(FrameOf(rank, entry));
  }
  auto Probe(WorkerRank rank, Op op, Round round, RequestId request, PeerId peer = 0) {
    RequestEntry entry = EntryOf(Op::kProbe, request);
    entry.probed_op = op;
    entry.round = round;
    return Send(FrameOf(rank, entry), peer);
  }
  auto SetOptimizer(WorkerRank rank, const std::string& name, RequestId request,
                    Op op = Op::kSetOptimizer) {
    RequestEntry entry = EntryOf(op, request);
    entry.key = 0;
    RequestFrame frame = FrameOf(rank, entry);
    frame.optimizer = OptimizerConfig{name, {}};
    return Send(frame);
  }
  auto Leave(WorkerRank rank) {
    RequestEntry entry = EntryOf(Op::kLeave, 9000);
    entry.key = 0;
    return Send(FrameOf(rank, entry));
  }
  static RequestEntry EntryOf(Op op, RequestId request) {
    RequestEntry entry;
    entry.op = op;
    entry.key = kKey;
    entry.request = request;
    return entry;
  }

  HashValues values;
  ServerCore core;
  int64_t now_ms = 0;
  std::map<WorkerRank, PeerId> last_peer;
  // The descriptions of keys that came with the last replies.
  std::map<WorkerRank, std::vector<std::string>> described;
};

}  // namespace kvstore::testing
