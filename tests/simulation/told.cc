#include "tests/simulation/told.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvstore::sim {
namespace {

template <typename Node>
bool SameNodes(const Node& a, const Node& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.rank() == y.rank() && x.incarnation() == y.incarnation();
  });
}

bool Same(const v1::Routing& a, const v1::Routing& b) {
  return a.job() == b.job() && a.store_type() == b.store_type() &&
         SameNodes(a.servers(), b.servers()) && SameNodes(a.workers(), b.workers()) &&
         std::equal(a.slot_server().begin(), a.slot_server().end(), b.slot_server().begin(),
                    b.slot_server().end()) &&
         std::equal(a.slot_shard().begin(), a.slot_shard().end(), b.slot_shard().begin(),
                    b.slot_shard().end());
}

}  // namespace

void Told::Registered(uint64_t nonce, const v1::Registered& registered) {
  const Identity now{registered.rank(), registered.incarnation()};
  if (cluster_ == 0) cluster_ = registered.cluster();
  if (cluster_ != registered.cluster()) {
    world_.Fail(
        fmt::format("cluster {:x} was told, now it is {:x}", cluster_, registered.cluster()));
  }
  // S2: the same life of a node, the same rank and incarnation. Of a reader that did not hear of
  // its own, which it would have told, nothing is known (S10).
  const auto [mine, first] = by_nonce_.try_emplace(nonce, now);
  if (!first && now.rank != kReaderRank &&
      (mine->second.rank != now.rank || mine->second.incarnation != now.incarnation)) {
    world_.Fail(
        fmt::format("a node was rank {} incarnation {}, now it is told rank {} "
                    "incarnation {}",
                    mine->second.rank, mine->second.incarnation, now.rank, now.incarnation));
  }
  const auto [owner, fresh] = nonce_of_.try_emplace(now.incarnation, nonce);
  if (!fresh && owner->second != nonce) {
    world_.Fail(fmt::format("incarnation {} was issued to two nodes", now.incarnation));
  }
  // A term belongs to one life of the scheduler, and later lives have higher ones.
  const Term term = registered.term();
  const auto [life, new_term] = life_of_term_.try_emplace(term, scheduler_life_);
  if (new_term) {
    if (term <= highest_term_ && scheduler_life_ > highest_term_life_) {
      world_.Fail(fmt::format("term {} was told after term {}", term, highest_term_));
    }
    if (scheduler_life_ == highest_term_life_) {
      world_.Fail(
          fmt::format("one life of the scheduler told terms {} and {}", highest_term_, term));
    }
    highest_term_ = term;
    highest_term_life_ = scheduler_life_;
  } else if (life->second != scheduler_life_) {
    world_.Fail(fmt::format("two lives of the scheduler told term {}", term));
  }
}

void Told::Routing(const v1::Routing& routing) {
  const auto [known, fresh] = routing_by_epoch_.try_emplace(routing.epoch(), routing);
  if (!fresh) {
    if (!Same(known->second, routing)) {
      world_.Fail(fmt::format("two routing tables have epoch {}", routing.epoch()));
    }
    return;
  }
  if (routing.epoch() <= latest_.epoch()) return;
  // S9.
  if (routing.job() == latest_.job()) {
    if (begun_job_ == routing.job()) {
      world_.Fail(fmt::format("S9: job {} has begun, and starts again under epoch {}",
                              routing.job(), routing.epoch()));
    }
    world_.stats().Count(Fault::kStartedAgain);
  }
  // S8.
  for (const v1::ServerRoute& server : routing.servers()) {
    CheckConfirmed("server", server.rank(), server.incarnation());
  }
  for (const v1::WorkerEntry& worker : routing.workers()) {
    CheckConfirmed("worker", worker.rank(), worker.incarnation());
  }
  // S3: a later life of a rank has a higher incarnation.
  for (int r = 0; r < latest_.servers_size() && r < routing.servers_size(); ++r) {
    CheckOrder("server", r, latest_.servers(r).incarnation(), routing.servers(r).incarnation());
  }
  for (int r = 0; r < latest_.workers_size() && r < routing.workers_size(); ++r) {
    CheckOrder("worker", r, latest_.workers(r).incarnation(), routing.workers(r).incarnation());
  }
  latest_ = routing;
}

void Told::CheckConfirmed(const char* role, uint32_t rank, Incarnation incarnation) const {
  const auto nonce = nonce_of_.find(incarnation);
  const auto confirmed =
      nonce == nonce_of_.end() ? confirmed_.end() : confirmed_.find(nonce->second);
  if (confirmed != confirmed_.end() && confirmed->second == attempt_) return;
  world_.Fail(
      fmt::format("S8: the job starts with {} {} of incarnation {}, which has not confirmed "
                  "attempt {}",
                  role, rank, incarnation, attempt_));
}

void Told::Proposed(const v1::Proposal& proposal) {
  if (proposal.attempt() == attempt_) return;  // to the next node, or again
  if (proposal.attempt() < attempt_) {
    world_.Fail(fmt::format("attempt {} is proposed after {}", proposal.attempt(), attempt_));
  }
  if (attempt_ != 0) world_.stats().Count(Fault::kProposedAgain);
  attempt_ = proposal.attempt();
}

void Told::Confirmed(uint64_t nonce, const v1::Confirm& confirm) {
  confirmed_[nonce] = confirm.attempt();
}

void Told::Begun() {
  if (begun_job_ == latest_.job()) return;
  begun_job_ = latest_.job();
}

void Told::BegunOnDisk(JobId job) {
  if (job == begun_on_disk_) return;
  begun_on_disk_ = job;
  begun_ms_ = world_.now_ms();
}

void Told::CheckOrder(const char* role, int rank, Incarnation before, Incarnation now) const {
  if (now < before) {
    world_.Fail(fmt::format("{} {} is incarnation {} in a later table, {} in an earlier one", role,
                            rank, now, before));
  }
}

}  // namespace kvstore::sim
