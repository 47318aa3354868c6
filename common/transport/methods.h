// The names of all RPCs, as listeners serve and dialers ask them. proto/kvstore/v1 declares the
// same services; no other file spells a name out (tools/checks/one_place.py).
#pragma once

#include <cstdint>
#include <string>

namespace kvstore {

// Streams.
inline constexpr char kSchedulerSessionMethod[] = "/kvstore.v1.Scheduler/Session";
// The stream of one shard of a server: the service has one method per shard.
inline std::string ShardMethod(uint32_t shard) {
  return "/kvstore.v1.Data/Shard" + std::to_string(shard);
}
inline bool IsShardMethod(const std::string& method) {
  return method.rfind("/kvstore.v1.Data/Shard", 0) == 0;
}
// The form of a stream whose large messages go through shared memory (common/transport/shm).
inline std::string InMemoryMethod(const std::string& method) { return method + "InMemory"; }

// Questions with one answer.
inline constexpr char kSchedulerStatusMethod[] = "/kvstore.v1.Scheduler/GetStatus";
inline constexpr char kServerStatusMethod[] = "/kvstore.v1.ServerAdmin/GetStatus";
inline constexpr char kKeyStatsMethod[] = "/kvstore.v1.ServerAdmin/GetKeyStats";
inline constexpr char kDeleteKeysMethod[] = "/kvstore.v1.ServerAdmin/DeleteKeys";
inline constexpr char kResetKeysMethod[] = "/kvstore.v1.ServerAdmin/ResetKeys";
inline constexpr char kReadKeyMethod[] = "/kvstore.v1.ServerAdmin/ReadKey";
inline constexpr char kOrderNumbersMethod[] = "/kvstore.v1.ServerAdmin/OrderNumbers";
inline constexpr char kRunCommandMethod[] = "/kvstore.v1.ServerAdmin/RunCommand";
inline constexpr char kOrderProfilerMethod[] = "/kvstore.v1.ServerAdmin/OrderProfiler";
inline constexpr char kReadProfileMethod[] = "/kvstore.v1.ServerAdmin/ReadProfile";

}  // namespace kvstore
