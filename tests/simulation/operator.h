// Operator: whoever runs `kvctl optimizer set` while a job trains: holds on all servers, then sets
// or drops on all; asks again what is not answered; is killed between now and then, and runs the
// same command again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/model/numbers_order.h"
#include "common/model/optimizer_config.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/server_node.h"

namespace kvstore::sim {

class Operator {
 public:
  using Servers = std::vector<std::unique_ptr<ServerNode>>;

  // The arguments outlive it.
  Operator(World& world, Oracle& oracle, const Servers& servers)
      : world_(world),
        oracle_(oracle),
        servers_(servers),
        rng_(Mix64(world.params().seed + 23002)) {}

  // Begins when the job has made its first version.
  void Start();

 private:
  void Order();                  // the next one, if there is one
  void Begin(NumbersVerb verb);  // tells all servers
  void Tell(size_t server);
  void OnAnswer(size_t server, uint64_t phase, const absl::Status& answer);
  void OnAllAnswered();

  World& world_;
  Oracle& oracle_;
  const Servers& servers_;
  Rng rng_;
  int64_t orders_left_ = 0;
  NumbersChange change_;
  NumbersVerb verb_ = NumbersVerb::kShow;
  uint64_t phase_ = 0;  // counts what all servers were told
  std::vector<bool> answered_;
  bool refused_ = false;
};

}  // namespace kvstore::sim
