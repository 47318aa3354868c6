// What a server node takes from the options of its process.
#pragma once

#include "server/daemon/options.h"
#include "server/node/server_node.h"

namespace kvstore {

inline ServerNodeOptions NodeOptionsOf(const ServerDaemonOptions& options) {
  ServerNodeOptions node;
  node.scheduler = options.scheduler;
  node.listen = options.listen;
  node.advertise = options.advertise;
  node.shards = options.shards;
  node.rank = options.rank;
  node.core = options.core;
  node.key_stats = options.key_stats;
  node.profile_bytes_max = options.profile_bytes_max;
  node.connect_timeout_ms = options.connect_timeout_ms;
  node.time_scale = options.time_scale;
  return node;
}

}  // namespace kvstore
