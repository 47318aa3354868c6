// Values that are one 64-bit number per part, in which every order of folding and every lost,
// repeated or misplaced contribution gives another result. For tests of the cores, and the
// simulator.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/core/part_value.h"

namespace kvstore {

inline uint64_t NumberOf(const Payload& data) {
  uint64_t number = 0;
  if (data.size() == sizeof number) data.CopyTo(&number);
  return number;
}
inline Payload NumberPayload(uint64_t number) {
  return Payload::CopyOf({reinterpret_cast<const char*>(&number), sizeof number});
}

// One step of a fold; neither commutative nor associative.
constexpr uint64_t FoldOne(uint64_t sum, uint64_t x) {
  return Mix64(sum * 0x2545f4914f6cdd1du + x);
}

// A value and sums that are numbers, each the fold of what came, and one number more that an
// updater may keep.
class NumberValue : public PartValue {
 public:
  using PartValue::PartValue;

  uint64_t HeldBytes() const override { return sizeof number_; }
  void Fill(const Piece& piece) override { FoldInto(&number_, &filled_, piece); }
  void Fold(SumIndex sum, const Piece& piece) override {
    const auto [it, begins] = sums_.try_emplace(sum);
    bool begun = !begins;
    FoldInto(&it->second, &begun, piece);
  }
  void DropSum(SumIndex sum) override { sums_.erase(sum); }
  Payload Save() const override {
    const uint64_t numbers[] = {number_, state_, version()};
    return Payload::CopyOf({reinterpret_cast<const char*>(numbers), sizeof numbers});
  }
  absl::Status Load(const Payload& saved) override {
    uint64_t numbers[3];
    if (saved.size() != sizeof numbers) {
      return absl::DataLossError(fmt::format("{}: saved: {} bytes expected, got {}", Label(),
                                             sizeof numbers, saved.size()));
    }
    saved.CopyTo(numbers);
    number_ = numbers[0];
    state_ = numbers[1];
    set_version(numbers[2]);
    filled_ = true;
    sums_.clear();
    return absl::OkStatus();
  }
  // The state as a tensor of eight numbers of a byte, of which a page has kStatePageBytesHere.
  static constexpr uint64_t kStateBytes = sizeof(uint64_t);
  static constexpr uint64_t kStatePageBytesHere = 4;
  static StatePage PageOf(uint64_t state, uint64_t from) {
    StatePage page;
    page.info.updater = "number";
    page.info.names = {"state"};
    page.info.dtype = DType::kUInt8;
    page.info.kept = true;
    page.from = from;
    page.to = std::min(kStateBytes, from + kStatePageBytesHere);
    page.more = page.to < kStateBytes;
    page.data = NumberPayload(state).Sub(from, page.to - from);
    return page;
  }
  absl::StatusOr<StatePage> ReadState(const StateCursor& from) const override {
    if (from.tensor != 0 || from.from >= kStateBytes) {
      return absl::InvalidArgumentError("a page of the state expected");
    }
    return PageOf(state_, from.from);
  }
  absl::Status StageState(const StatePage& page) override {
    if (page.from == 0) staged_bytes_ = 0;
    if (page.from != staged_bytes_ || page.data.size() != page.to - page.from ||
        page.to > kStateBytes) {
      return absl::InvalidArgumentError("the next page of the state expected");
    }
    page.data.CopyTo(reinterpret_cast<uint8_t*>(&staged_) + page.from);
    staged_bytes_ = page.to;
    return absl::OkStatus();
  }
  absl::Status CommitState() override {
    if (staged_bytes_ != kStateBytes) {
      return absl::FailedPreconditionError("all pages of a state expected");
    }
    state_ = staged_;
    staged_bytes_ = 0;
    return absl::OkStatus();
  }
  void DropStagedState() noexcept override { staged_bytes_ = 0; }

 protected:
  uint64_t SumOf(SumIndex sum) const { return sums_.at(sum); }
  // The finished sum, which is used up.
  uint64_t TakeSum(SumIndex sum) {
    const uint64_t number = sums_.at(sum);
    sums_.erase(sum);
    return number;
  }

  void ForgetAllButValue() noexcept override {
    state_ = 0;
    staged_bytes_ = 0;
    sums_.clear();
  }

  uint64_t number_ = 0;
  uint64_t state_ = 0;

 private:
  uint64_t staged_ = 0;
  uint64_t staged_bytes_ = 0;  // that have come

  static void FoldInto(uint64_t* number, bool* begun, const Piece& piece) {
    const uint64_t x = NumberOf(piece.data);
    *number = *begun ? FoldOne(*number, x) : x;
    *begun = true;
  }

  bool filled_ = false;
  std::map<SumIndex, uint64_t> sums_;
};

// Values for tests of one core, which say what goes wrong and when.
class HashValues final : public ShardValues {
 public:
  // The value after a round with these contributions, in rank order.
  static uint64_t Expected(uint64_t value, const std::vector<uint64_t>& contributions) {
    uint64_t sum = contributions.at(0);
    for (size_t i = 1; i < contributions.size(); ++i) sum = FoldOne(sum, contributions[i]);
    return Apply(value, sum);
  }
  // The value that these fragments of an Init make.
  static uint64_t Filled(const std::vector<uint64_t>& fragments) {
    uint64_t value = fragments.at(0);
    for (size_t i = 1; i < fragments.size(); ++i) value = FoldOne(value, fragments[i]);
    return value;
  }
  // What a pull that asks for rows gets.
  static uint64_t Rows(uint64_t value, uint64_t ids) { return Mix64(value + ids); }

  std::unique_ptr<PartValue> Make(const KeySpec& key, PartId id) override {
    return std::make_unique<Value>(key, id, *this);
  }
  bool has_own_updater() const override { return own_updater; }
  absl::Status SetOptimizer(const OptimizerConfig& spec) override {
    if (spec.name == "bad") return absl::InvalidArgumentError("no such optimizer: bad");
    optimizers.push_back(spec.name);
    previous_state_bytes = state_bytes;
    state_bytes = spec.name == "adam" ? 2 * sizeof(uint64_t) : 0;
    return absl::OkStatus();
  }
  void UndoSetOptimizer() noexcept override {
    optimizers.pop_back();
    state_bytes = previous_state_bytes;
  }

  absl::Status ChangeNumbers(const NumbersChange& change) override {
    absl::Status valid = CheckNumbers(change);
    if (valid.ok()) changes.push_back(change);
    return valid;
  }

  absl::Status CheckNumbers(const NumbersChange& change) const override {
    if (change.numbers.count("bad") == 0) return absl::OkStatus();
    return absl::InvalidArgumentError("no such number: bad");
  }

  absl::Status CheckMemory(uint64_t bytes) const override {
    return bytes <= memory_bytes ? absl::OkStatus() : absl::ResourceExhaustedError("no memory");
  }

  uint64_t memory_bytes = UINT64_MAX;  // that the system has
  std::vector<NumbersChange> changes;  // of the numbers, in order
  static constexpr size_t kStepsKept = 16;
  mutable std::vector<uint64_t> steps;  // of the first updates
  bool fail_updates = false;
  std::string failure = "the updater failed";
  bool own_updater = false;
  bool empty_init = false;  // Init may bring nothing
  uint32_t measurings = 0;  // before each update
  uint32_t parts = 2;       // that a value has, as its notes of norms say
  uint64_t state_bytes = 0;
  uint64_t previous_state_bytes = 0;
  std::vector<std::string> optimizers;  // that were set, in this order

 private:
  static uint64_t Apply(uint64_t value, uint64_t sum) { return Mix64(value ^ (sum * 7)); }

  class Value final : public NumberValue {
   public:
    Value(const KeySpec& key, PartId id, const HashValues& shared)
        : NumberValue(key, id), shared_(shared) {}

    // A value, a sum, and `state_bytes` of the updater.
    uint64_t BytesWith(uint64_t) const override {
      return 2 * sizeof(uint64_t) + shared_.state_bytes;
    }
    absl::Status Check(Op op, const Piece& piece) const override {
      const bool empty = op == Op::kPull || (op == Op::kInit && shared_.empty_init);
      if (empty || piece.data.size() == sizeof(uint64_t)) return absl::OkStatus();
      return absl::InvalidArgumentError("a number expected");
    }
    uint32_t Measurings() const override { return shared_.measurings; }
    uint32_t parts() const override { return shared_.parts; }
    // The sum, after as many measurings, and what they found.
    absl::StatusOr<NormSums> Measure(uint32_t step, SumIndex sum, const RoundCounts& /*counts*/,
                                     const NormSums& norms) const override {
      NormSums own;
      own.squares[step] = static_cast<double>(SumOf(sum)) + norms.squares[0];
      return own;
    }
    Payload Read(const Piece& asked) const override {
      return NumberPayload(asked.rows == 0 ? number_ : Rows(number_, NumberOf(asked.data)));
    }

   private:
    absl::Status UpdateBy(SumIndex sum, const RoundCounts& counts, const NormSums& norms) override {
      if (shared_.steps.size() < kStepsKept) shared_.steps.push_back(counts.step);
      const uint64_t summed = TakeSum(sum);
      if (shared_.fail_updates) return absl::InternalError(shared_.failure);
      number_ = Apply(number_, summed + static_cast<uint64_t>(norms.squares[0]));
      return absl::OkStatus();
    }

    const HashValues& shared_;
  };
};

}  // namespace kvstore
