// Told: what the scheduler has told anybody so far, over all of its lives, and the checks that hold
// for it whatever happens: identities, terms, routing tables.
#pragma once

#include <algorithm>
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
  void Proposed(const v1::Proposal& proposal);
  // Reached the scheduler from the node that chose `nonce`.
  void Confirmed(uint64_t nonce, const v1::Confirm& confirm);
  bool IsReader(uint64_t nonce) const {
    const auto known = by_nonce_.find(nonce);
    return known != by_nonce_.end() && known->second.rank == kReaderRank;
  }
  // A worker is told Begun, the end of a barrier, or that it left.
  void Begun();
  // It is on disk that the job has begun.
  void BegunOnDisk(JobId job);
  void JobEnded(JobId job) { ended_job_ = std::max(ended_job_, job); }

  // The job at hand, as far as anybody was told: it has begun; since when, on disk.
  bool begun() const { return begun_job_ == latest_.job() && begun_job_ > ended_job_; }
  int64_t begun_ms() const { return begun_ms_; }
  // It is on disk that the job, or a later one, has begun.
  bool HasBegun(JobId job) const { return job <= begun_on_disk_; }

 private:
  struct Identity {
    uint32_t rank = 0;
    Incarnation incarnation = 0;
  };
  void CheckConfirmed(const char* role, uint32_t rank, Incarnation incarnation) const;
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
  uint64_t attempt_ = 0;                    // the latest
  std::map<uint64_t, uint64_t> confirmed_;  // by nonce: the latest attempt
  JobId begun_job_ = 0;
  JobId begun_on_disk_ = 0;
  JobId ended_job_ = 0;
  int64_t begun_ms_ = 0;
};

}  // namespace kvstore::sim
