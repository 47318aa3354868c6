// Told: what the scheduler has told anybody so far, over all of its lives, and the checks that hold
// for it whatever happens: identities, terms, routing tables.
#pragma once

#include <map>

#include "common/cluster/identity.h"
#include "kvstore/v1/scheduler.pb.h"
#include "tests/simulation/world.h"

namespace kvstore::sim {

class Told {
 public:
  explicit Told(World& world) : world_(world) {}

  void SchedulerStarted() { ++scheduler_life_; }
  // To the node that chose `nonce`.
  void Registered(uint64_t nonce, const v1::Registered& registered);
  void Routing(const v1::Routing& routing);

 private:
  struct Identity {
    uint32_t rank = 0;
    Incarnation incarnation = 0;
  };
  void CheckOrder(const char* role, int rank, Incarnation before, Incarnation now) const;

  World& world_;
  int scheduler_life_ = 0;
  ClusterId cluster_ = 0;
  std::map<uint64_t, Identity> by_nonce_;
  std::map<Incarnation, uint64_t> nonce_of_;
  std::map<Term, int> life_of_term_;
  v1::Routing latest_;
  Term highest_term_ = 0;
  int highest_term_life_ = 0;
  std::map<Epoch, v1::Routing> routing_by_epoch_;
};

}  // namespace kvstore::sim
