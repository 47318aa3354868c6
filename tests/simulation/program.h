// Programs: what the user code of each rank does, drawn from the seed. All ranks push every key
// equally often before each barrier (else training code would wait for ever); after the last
// barrier a rank may push a few times more, then it leaves.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/cluster/identity.h"
#include "common/wire/frame.h"
#include "tests/simulation/params.h"

namespace kvstore::sim {

struct KeyOp {
  Op op = Op::kUnspecified;  // kInit, kPush, kPull, kDelete, kReset; of all parts of the key
  uint32_t key = 0;          // index
  uint64_t step = 0;         // kPush: in which it is made
};

struct Action {
  enum class Kind {
    kSubmit,   // the ops, in one call
    kWait,     // until at most `number` part requests are unanswered
    kSleep,    // `number` ms
    kBarrier,  // with a deadline of `number` ms
    // Of rank 0; `number` is its parameter, and all servers take it.
    kSetOptimizer,
    // Of rank 0; `number` is the parameter from step `from_step` on, which it is not at yet.
    kSetNumbers,
    kCheckOptimizer,  // likewise, and is set by nobody; one that server `refused_by` refuses
    kInitAgain,       // of ops; must be refused
    kCommand,         // to all servers, until all ran it
    kInitTakenBack,   // of ops; taken back when it is over
    kBadPull,         // of ops; refused
    kTrial,       // Init of a key of `number` parts, some of them refused; then it is taken back
    kLoadStates,  // of rank 0: reads the states of all keys, and replaces them
    kLeave,
  };
  Kind kind = Kind::kSubmit;
  std::vector<KeyOp> ops;
  int64_t number = 0;
  int priority = 0;
  int refused_by = -1;  // a server's rank
  uint64_t from_step = 0;
};

struct Program {
  std::vector<Action> actions;
  std::vector<uint32_t> pushes;        // of each key, in total; in its last life
  std::vector<uint32_t> first_pushes;  // in the life before that, if there is one
  // By key, the step of each of its pushes in its last life.
  std::vector<std::vector<uint64_t>> steps;
};

// A change of the optimizer: applies to the rounds above `after[key]`.
struct OptimizerChange {
  std::vector<uint32_t> after;
  int64_t parameter = 0;
  // Of its numbers: the parameter from a step on, in the order of the calls.
  std::vector<std::pair<uint64_t, int64_t>> numbers{};

  // What updates of that step use.
  int64_t At(uint64_t step) const {
    int64_t at = parameter;
    uint64_t from = 0;
    for (const auto& [from_step, number] : numbers) {
      if (from_step > step || from_step < from) continue;
      from = from_step;
      at = number;
    }
    return at;
  }
};

// All states are replaced, when so many rounds of each key are made, by LoadedState() of them.
struct StateLoad {
  std::vector<uint32_t> after;
};

struct Programs {
  std::vector<KeySpec> keys;
  // The key as it is made in that life: a dtype tells the lives apart.
  KeySpec KeyIn(uint32_t key, uint64_t life) const {
    KeySpec spec = keys[key];
    if (life > 0) spec.dtype = DType::kInt64;
    return spec;
  }
  std::vector<Program> ranks;
  std::vector<OptimizerChange> optimizers;  // in order
  std::vector<StateLoad> loads;             // likewise

  static Programs Make(const Params& params, Rng rng);
};

}  // namespace kvstore::sim
