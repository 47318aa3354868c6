// Programs: what the user code of each rank does, drawn from the seed. All ranks push every key
// equally often before each barrier (else training code would wait for ever); after the last
// barrier a rank may push a few times more, then it leaves.
#pragma once

#include <cstdint>
#include <vector>

#include "common/cluster/identity.h"
#include "common/wire/frame.h"
#include "tests/simulation/params.h"

namespace kvstore::sim {

struct KeyOp {
  Op op = Op::kUnspecified;  // kInit, kPush, kPull, kDelete, kReset; of all parts of the key
  uint32_t key = 0;          // index
};

struct Action {
  enum class Kind {
    kSubmit,   // the ops, in one call
    kWait,     // until at most `number` part requests are unanswered
    kSleep,    // `number` ms
    kBarrier,  // with a deadline of `number` ms
    // Of rank 0; `number` is its parameter, and all servers take it.
    kSetOptimizer,
    kCheckOptimizer,  // likewise, and is set by nobody; one that server `refused_by` refuses
    kInitAgain,       // of ops; must be refused
    kCommand,         // to all servers, until all ran it
    kInitTakenBack,   // of ops; taken back when it is over
    kBadPull,         // of ops; refused
    kTrial,  // Init of a key of `number` parts, some of them refused; then it is taken back
    kLeave,
  };
  Kind kind = Kind::kSubmit;
  std::vector<KeyOp> ops;
  int64_t number = 0;
  int priority = 0;
  int refused_by = -1;  // a server's rank
};

struct Program {
  std::vector<Action> actions;
  std::vector<uint32_t> pushes;        // of each key, in total; in its last life
  std::vector<uint32_t> first_pushes;  // in the life before that, if there is one
};

// A change of the optimizer: applies to the rounds above `after[key]`.
struct OptimizerChange {
  std::vector<uint32_t> after;
  int64_t parameter = 0;
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

  static Programs Make(const Params& params, Rng rng);
};

}  // namespace kvstore::sim
