#include "tests/simulation/operator.h"

#include <algorithm>

namespace kvstore::sim {

void Operator::Start() {
  orders_left_ = rng_.Between(1, 4);
  world_.Outside(rng_.Between(0, 2000), [this] { Order(); });
}

void Operator::Order() {
  if (orders_left_ == 0) return;
  // No job loses a member that has begun, so that whoever holds goes on holding.
  if (world_.stats().commits == 0) {
    return world_.Outside(rng_.Between(10, 300), [this] { Order(); });
  }
  --orders_left_;
  const int64_t step = static_cast<int64_t>(oracle_.last_step()) + rng_.Between(-1, 5);
  change_.from_step = static_cast<uint64_t>(std::max<int64_t>(step, 1));
  change_.numbers = {{"salt", static_cast<double>(rng_.Between(1, 1000000))}};
  Begin(NumbersVerb::kHold);
}

void Operator::Begin(NumbersVerb verb) {
  verb_ = verb;
  ++phase_;
  refused_ = false;
  answered_.assign(servers_.size(), false);
  for (size_t server = 0; server < servers_.size(); ++server) Tell(server);
}

// An order is lost now and then, or its answer is. Orders to one server arrive as they were given.
void Operator::Tell(size_t server) {
  const uint64_t phase = phase_;
  const int64_t there_ms = rng_.Between(0, 80);
  if (!rng_.Permille(150)) {
    world_.Outside(there_ms, [this, server, phase] {
      // A process that is paused does it when it goes on.
      world_.After(0, servers_[server]->process(), [this, server, phase] {
        if (phase != phase_) return;
        const absl::Status answer = servers_[server]->OrderNumbers(verb_, "hash", change_);
        if (rng_.Permille(150)) return;
        world_.Outside(rng_.Between(0, 80),
                       [this, server, phase, answer] { OnAnswer(server, phase, answer); });
      });
    });
  }
  world_.Outside(there_ms + rng_.Between(100, 1000), [this, server, phase] {
    if (phase == phase_ && !answered_[server]) Tell(server);
  });
}

void Operator::OnAnswer(size_t server, uint64_t phase, const absl::Status& answer) {
  if (phase != phase_ || answered_[server]) return;
  answered_[server] = true;
  refused_ |= !answer.ok();
  if (!answer.ok() && verb_ != NumbersVerb::kHold) {
    world_.Fail("I13: an order about what is held is refused: " + answer.ToString());
  }
  if (std::all_of(answered_.begin(), answered_.end(), [](bool has) { return has; })) {
    OnAllAnswered();
  }
}

void Operator::OnAllAnswered() {
  const bool killed = rng_.Permille(150);
  const int64_t pause_ms = killed ? rng_.Between(1000, 6000) : 0;
  switch (verb_) {
    case NumbersVerb::kHold:
      if (killed) return world_.Outside(pause_ms, [this] { Begin(NumbersVerb::kHold); });
      if (refused_) {
        world_.stats().Count(Fault::kHoldRefused);
        return Begin(NumbersVerb::kDrop);
      }
      if (rng_.Permille(200)) return Begin(NumbersVerb::kDrop);  // it changed its mind
      world_.stats().Count(Fault::kHeldAndSet);
      oracle_.OnNumbersSet(change_.from_step, static_cast<int64_t>(change_.numbers.at("salt")));
      return Begin(NumbersVerb::kSet);
    case NumbersVerb::kSet:
      // The same command once more finds it done.
      if (killed) return world_.Outside(pause_ms, [this] { Begin(NumbersVerb::kSet); });
      break;
    default:
      break;
  }
  world_.Outside(rng_.Between(0, 3000), [this] { Order(); });
}

}  // namespace kvstore::sim
