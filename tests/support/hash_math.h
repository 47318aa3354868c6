// PartMath on one 64-bit number per part, in which every order of folding and every lost, repeated
// or misplaced contribution gives another result. For tests of the cores, and the simulator.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/core/part_math.h"

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

// Values and sums that are numbers, each the fold of what came.
class NumberMath : public PartMath {
 public:
  void Fill(const KeySpec&, PartId, const Piece& piece,
            std::unique_ptr<PartValue>* value) override {
    const uint64_t x = NumberOf(piece.data);
    *value = std::make_unique<Value>(*value == nullptr ? x : FoldOne(Of(**value), x));
  }
  void Fold(const KeySpec&, PartId, const Piece& piece, std::unique_ptr<PartSum>* sum) override {
    const uint64_t x = NumberOf(piece.data);
    *sum = std::make_unique<Sum>(*sum == nullptr ? x : FoldOne(Of(**sum), x));
  }

 protected:
  struct Value : PartValue {
    explicit Value(uint64_t x) : number(x) {}
    uint64_t number;
  };
  struct Sum : PartSum {
    explicit Sum(uint64_t x) : number(x) {}
    uint64_t number;
  };
  static uint64_t Of(const PartValue& value) { return static_cast<const Value&>(value).number; }
  static uint64_t Of(const PartSum& sum) { return static_cast<const Sum&>(sum).number; }
};

class HashMath : public NumberMath {
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

  // A value, a sum, and `state_bytes` of the updater.
  uint64_t BytesOf(const KeySpec&, PartIndex) const override {
    return 2 * sizeof(uint64_t) + state_bytes;
  }
  absl::Status Check(const KeySpec&, PartId, Op op, const Piece& piece) const override {
    const bool empty = op == Op::kPull || (op == Op::kInit && empty_init);
    if (empty || piece.data.size() == sizeof(uint64_t)) return absl::OkStatus();
    return absl::InvalidArgumentError("a number expected");
  }
  absl::Status Update(const KeySpec&, PartId, std::unique_ptr<PartSum> sum,
                      std::unique_ptr<PartValue>* value, std::unique_ptr<PartState>*) override {
    if (fail_updates) return absl::InternalError(failure);
    *value = std::make_unique<Value>(Apply(Of(**value), Of(*sum)));
    return absl::OkStatus();
  }
  Payload Read(const KeySpec&, PartId, const PartValue& value, const Piece& asked) override {
    return NumberPayload(asked.rows == 0 ? Of(value) : Rows(Of(value), NumberOf(asked.data)));
  }
  bool has_own_updater() const override { return own_updater; }
  absl::Status SetOptimizer(const OptimizerConfig& spec) override {
    if (spec.name == "bad") return absl::InvalidArgumentError("no such optimizer: bad");
    state_bytes = spec.name == "adam" ? 2 * sizeof(uint64_t) : 0;
    optimizers.push_back(spec.name);
    return absl::OkStatus();
  }

  bool fail_updates = false;
  std::string failure = "the updater failed";
  bool own_updater = false;
  bool empty_init = false;  // Init may bring nothing
  uint64_t state_bytes = 0;
  std::vector<std::string> optimizers;

 private:
  static uint64_t Apply(uint64_t value, uint64_t sum) { return Mix64(value ^ (sum * 7)); }
};

}  // namespace kvstore
