#include "tests/simulation/program.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/commands.h"

namespace kvstore::sim {
namespace {

class Maker {
 public:
  Maker(const Params& params, Rng& rng, WorkerRank rank, Programs& all)
      : p_(params),
        rng_(rng),
        rank_(rank),
        all_(all),
        numbers_rng_(Mix64(params.seed * 64 + rank + 23001)) {
    program_.pushes.assign(params.key_parts.size(), 0);
    program_.steps.resize(params.key_parts.size());
  }

  Program Make() {
    MaybeSleep(300);
    InitAll();
    // Others may have heard of a key that was taken back since.
    if (p_.inits_taken_back) Add({Action::Kind::kBarrier, {}, 0});
    if (p_.async) {
      // No asynchronous push before there is an updater.
      if (rank_ == 0) ChangeOptimizer();
      Wait(0);
      Add({Action::Kind::kBarrier, {}, 0});
    }
    if (p_.two_lives()) FirstLife();
    for (uint32_t epoch = 0; epoch < p_.epochs; ++epoch) {
      const bool changes = rank_ == 0 && rng_.Permille(epoch == 0 ? 500 : 300);
      // What an operator changes is not replaced.
      if (p_.operates ? rank_ == 0 && epoch == 0 : changes) ChangeOptimizer();
      const uint32_t rounds = p_.rounds * (epoch + 1) / p_.epochs - p_.rounds * epoch / p_.epochs;
      for (uint32_t round = 0; round < rounds; ++round) {
        if (rank_ == 0 && rng_.Permille(50) && !p_.operates) ChangeOptimizer();
        if (p_.bad_requests && rng_.Permille(100)) {
          Add({Action::Kind::kBadPull, {{Op::kPull, KeysInAnyOrder().front()}}});
        }
        MaybeChangeNumbers(500);
        Train();
      }
      if (epoch + 1 < p_.epochs || rng_.Coin()) Wait(0);
      Add({Action::Kind::kBarrier, {}, rng_.Coin() ? 0 : rng_.Between(50, 3000)});
      if (p_.states) LoadStates();
    }
    if (rng_.Coin()) {
      for (int64_t extra = rng_.Between(1, 2); extra > 0; --extra) Train();
    }
    Wait(0);
    Submit({{Op::kPull, static_cast<uint32_t>(rng_.Below(p_.key_parts.size()))}});
    Wait(0);
    Add({Action::Kind::kLeave, {}, 0});
    return std::move(program_);
  }

 private:
  void Add(Action action) { program_.actions.push_back(std::move(action)); }
  void Wait(int64_t unanswered) { Add({Action::Kind::kWait, {}, unanswered}); }
  void MaybeSleep(int64_t max_ms) {
    if (p_.last_is_late && rank_ == 0) Add({Action::Kind::kSleep, {}, rng_.Between(100, 600)});
    if (rng_.Permille(300)) Add({Action::Kind::kSleep, {}, rng_.Between(0, max_ms)});
  }
  void Submit(std::vector<KeyOp> ops) {
    const int priority = rng_.Coin() ? 0 : static_cast<int>(rng_.Between(-3, 3));
    Add({Action::Kind::kSubmit, std::move(ops), 0, priority});
  }
  std::vector<uint32_t> KeysInAnyOrder() {
    std::vector<uint32_t> keys(p_.key_parts.size());
    for (uint32_t k = 0; k < keys.size(); ++k) keys[k] = k;
    rng_.Shuffle(keys);
    return keys;
  }

  void InitAll() {
    std::vector<KeyOp> ops;
    for (const uint32_t key : KeysInAnyOrder()) {
      if (p_.inits_taken_back && rank_ == 0 && rng_.Coin()) {
        Add({Action::Kind::kInitTakenBack, {{Op::kInit, key}}});
      }
      ops.push_back({Op::kInit, key});
      if (rng_.Coin()) Submit(std::exchange(ops, {}));
    }
    if (!ops.empty()) Submit(std::move(ops));
    Wait(0);
    if (rank_ == 0 && rng_.Permille(200)) {
      Add({Action::Kind::kInitAgain, {{Op::kInit, KeysInAnyOrder().front()}}, 0});
    }
    if (!p_.inits_taken_back && rng_.Permille(200)) {
      Submit({{Op::kPull, KeysInAnyOrder().front()}});  // before the first push: does not wait
      if (rng_.Coin()) Wait(0);
    }
  }

  // A few rounds, and of the others than rank 0 perhaps more, which nobody completes; then all
  // delete the keys, nobody waits for anybody, and make them anew; or reset them.
  void FirstLife() {
    // Nobody deletes, or resets, what others still initialise.
    Add({Action::Kind::kBarrier, {}, 0});
    const auto rounds = static_cast<uint32_t>(Mix64(p_.seed + 19001) % 4);
    const int64_t more = rank_ == 0 ? 0 : rng_.Between(0, 2);
    for (int64_t round = 0; round < rounds + more; ++round) Train();
    MaybeSleep(300);
    program_.first_pushes = program_.pushes;
    program_.pushes.assign(program_.pushes.size(), 0);
    for (std::vector<uint64_t>& steps : program_.steps) steps.clear();
    Wait(0);  // as the SDK does, and
    std::vector<KeyOp> together;
    for (const uint32_t key : KeysInAnyOrder()) {
      together.push_back({p_.resets ? Op::kReset : Op::kDelete, key});
      if (rng_.Coin()) Submit(std::exchange(together, {}));
    }
    if (!together.empty()) Submit(std::move(together));
    Wait(0);  // here: a key is gone before another one comes
    if (!p_.resets) InitAll();
  }

  // Every round needs rank 0, so the rounds above what rank 0 has pushed are made by the new one.
  void ChangeOptimizer() {
    Wait(0);
    const int64_t parameter = rng_.Between(1, 1000000);
    if (p_.bad_requests && rng_.Coin()) {
      Action refused{Action::Kind::kCheckOptimizer, {}, rng_.Between(1, 1000000)};
      refused.refused_by = static_cast<int>(rng_.Below(p_.servers));
      Add(refused);
    }
    // As the SDK does, and as one may who knows that they take it.
    if (rng_.Coin()) Add({Action::Kind::kCheckOptimizer, {}, parameter});
    all_.optimizers.push_back({program_.pushes, parameter});
    Add({Action::Kind::kSetOptimizer, {}, parameter});
  }

  // Nobody may push meanwhile, and what was pushed is over.
  void LoadStates() {
    Wait(0);
    Add({Action::Kind::kBarrier, {}, 0});
    if (rank_ == 0) {
      all_.loads.push_back({program_.pushes});
      Add({Action::Kind::kLoadStates, {}, static_cast<int64_t>(all_.loads.size())});
      Wait(0);
    }
    Add({Action::Kind::kBarrier, {}, 0});
  }

  // Whatever is under way: rank 0 only has to be before the step. Every round that is made until it
  // gets there is of an earlier one, as every round needs rank 0.
  void MaybeChangeNumbers(uint32_t permille) {
    if (!p_.numbers || rank_ != 0 || all_.optimizers.empty()) return;
    if (!numbers_rng_.Permille(permille)) return;
    // Often the step of the change before, so that a late repeat of that could count again.
    if (changes_at_ <= step_ || numbers_rng_.Permille(200)) {
      changes_at_ = step_ + static_cast<uint64_t>(numbers_rng_.Between(1, 5));
    }
    do {
      Action change{Action::Kind::kSetNumbers, {}, numbers_rng_.Between(1, 1000000)};
      change.from_step = changes_at_;
      all_.optimizers.back().numbers.emplace_back(changes_at_, change.number);
      Add(std::move(change));
    } while (numbers_rng_.Coin());
  }

  // One push of every key, with pulls as training code does.
  void Train() {
    std::vector<KeyOp> together;
    // The workers need not agree about the step.
    step_ += rank_ == 0 ? 1 : static_cast<uint64_t>(numbers_rng_.Between(0, 2));
    for (const uint32_t key : KeysInAnyOrder()) {
      ++program_.pushes[key];
      program_.steps[key].push_back(step_);
      MaybeChangeNumbers(20);
      const std::vector<KeyOp> push{{Op::kPush, key, step_}};
      const std::vector<KeyOp> pull{{Op::kPull, key}};
      switch (p_.burst && !rng_.Permille(50) ? 0 : rng_.Below(5)) {
        case 0:
          Submit(push);
          break;
        case 1:
          Submit(push);
          Submit(pull);
          break;
        case 2:
          Submit({push[0], pull[0]});
          break;
        case 3:
          Submit({push[0], pull[0], pull[0]});
          break;
        default:
          together.push_back(push[0]);
          together.push_back(pull[0]);
          break;
      }
      if (rng_.Permille(p_.burst ? 10 : 150)) MaybeSleep(200);
    }
    if (!together.empty()) Submit(std::move(together));
    Wait(rng_.Permille(p_.burst ? 10 : 300) ? 0 : p_.ahead);
    if (rng_.Permille(p_.burst ? 10 : 200)) MaybeSleep(400);
  }

  const Params& p_;
  Rng& rng_;
  const WorkerRank rank_;
  Programs& all_;
  Program program_;
  Rng numbers_rng_;  // its own, so that the seeds without numbers stay what they were
  uint64_t step_ = 0;
  uint64_t changes_at_ = 0;  // the step of the last change of numbers
};

// One shape after the other under one key, before anything else exists.
void AddTrials(const Params& params, Program* first) {
  Rng rng(Mix64(params.seed + 8001));
  for (int64_t trials = rng.Between(1, 3); trials > 0; --trials) {
    first->actions.insert(first->actions.begin(), {Action::Kind::kTrial, {}, rng.Between(1, 12)});
  }
}

}  // namespace

Programs Programs::Make(const Params& params, Rng rng) {
  Programs programs;
  const bool named = rng.Coin();
  for (size_t k = 0; k < params.key_parts.size(); ++k) {
    KeySpec& spec = programs.keys.emplace_back();
    if (named) spec.name = fmt::format("layer{}.weight", k);
    spec.key = named ? KeyIdOf(std::string_view(spec.name)) : KeyIdOf(static_cast<int64_t>(k));
    spec.dtype = DType::kFloat64;
    spec.shape = {params.key_parts[k]};
    spec.storage = params.row_sparse[k] ? Storage::kRowSparse : Storage::kDense;
  }
  for (WorkerRank rank = 0; rank < params.workers; ++rank) {
    programs.ranks.push_back(Maker(params, rng, rank, programs).Make());
  }
  if (params.opening_barrier) {
    for (Program& program : programs.ranks) {
      program.actions.insert(program.actions.begin(), {Action::Kind::kBarrier, {}, 0});
    }
  }
  AddCommands(params, &programs);
  if (params.trials) AddTrials(params, &programs.ranks[0]);
  return programs;
}

}  // namespace kvstore::sim
