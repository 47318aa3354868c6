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
  // S2: the same life of a node, the same rank and incarnation.
  const auto [mine, first] = by_nonce_.try_emplace(nonce, now);
  if (!first && (mine->second.rank != now.rank || mine->second.incarnation != now.incarnation)) {
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
  // S3: a later life of a rank has a higher incarnation.
  for (int r = 0; r < latest_.servers_size() && r < routing.servers_size(); ++r) {
    CheckOrder("server", r, latest_.servers(r).incarnation(), routing.servers(r).incarnation());
  }
  for (int r = 0; r < latest_.workers_size() && r < routing.workers_size(); ++r) {
    CheckOrder("worker", r, latest_.workers(r).incarnation(), routing.workers(r).incarnation());
  }
  latest_ = routing;
}

void Told::CheckOrder(const char* role, int rank, Incarnation before, Incarnation now) const {
  if (now < before) {
    world_.Fail(fmt::format("{} {} is incarnation {} in a later table, {} in an earlier one", role,
                            rank, now, before));
  }
}

}  // namespace kvstore::sim
