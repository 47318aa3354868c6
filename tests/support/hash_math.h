// PartMath on one 64-bit number per part, in which every order of folding and every lost, repeated
// or misplaced contribution gives another result. For tests of the cores.
#pragma once

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "server/core/part_math.h"

namespace kvstore {

inline uint64_t NumberOf(const Payload& data) {
  uint64_t number = 0;
  if (data.size() == sizeof number) data.CopyTo(&number);
  return number;
}
inline uint64_t NumberOf(const Buffer& buffer) {
  uint64_t number = 0;
  std::memcpy(&number, buffer.data(), sizeof number);
  return number;
}
inline Payload NumberPayload(uint64_t number) {
  return Payload::CopyOf({reinterpret_cast<const char*>(&number), sizeof number});
}

class HashMath : public PartMath {
 public:
  // The value after a round with these contributions, in rank order.
  static uint64_t Expected(uint64_t value, const std::vector<uint64_t>& contributions) {
    uint64_t sum = contributions.at(0);
    for (size_t i = 1; i < contributions.size(); ++i) sum = Fold(sum, contributions[i]);
    return Apply(value, sum);
  }

  MutableBufferPtr Copy(const Payload& contribution) override {
    auto copy = std::make_shared<Buffer>(contribution.size());
    contribution.CopyTo(copy->data());
    return copy;
  }
  void Accumulate(const KeySpec&, Buffer& accumulator, const Payload& contribution) override {
    const uint64_t sum = Fold(NumberOf(accumulator), NumberOf(contribution));
    std::memcpy(accumulator.data(), &sum, sizeof sum);
  }
  absl::StatusOr<BufferPtr> Update(const KeySpec&, PartId, const BufferPtr& value,
                                   MutableBufferPtr sum, std::unique_ptr<PartState>*) override {
    if (fail_updates) return absl::InternalError("the updater failed");
    const uint64_t updated = Apply(NumberOf(*value), NumberOf(*sum));
    std::memcpy(sum->data(), &updated, sizeof updated);
    return BufferPtr(std::move(sum));
  }
  absl::Status SetOptimizer(const OptimizerConfig& spec) override {
    if (spec.name == "bad") return absl::InvalidArgumentError("no such optimizer: bad");
    optimizers.push_back(spec.name);
    return absl::OkStatus();
  }

  bool fail_updates = false;
  std::vector<std::string> optimizers;

 private:
  static uint64_t Fold(uint64_t sum, uint64_t x) { return Mix64(sum * 31 + x); }
  static uint64_t Apply(uint64_t value, uint64_t sum) { return Mix64(value ^ (sum * 7)); }
};

}  // namespace kvstore
