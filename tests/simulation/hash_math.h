// HashMath: the PartMath of the simulator. A value is 8 bytes: a hash of everything that went into
// it. Tells the oracle of every commit.
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "server/core/part_math.h"
#include "tests/simulation/oracle.h"

namespace kvstore::sim {

inline uint64_t ReadU64(const Payload& payload) {
  uint64_t value = 0;
  if (payload.size() == sizeof value) payload.CopyTo(&value);
  return value;
}

class HashMath : public PartMath {
 public:
  HashMath(World& world, Oracle& oracle) : world_(world), oracle_(oracle) {}

  MutableBufferPtr Copy(const Payload& contribution) override {
    auto buffer = std::make_shared<Buffer>(contribution.size());
    contribution.CopyTo(buffer->data());
    return buffer;
  }

  void Accumulate(const KeySpec&, Buffer& accumulator, const Payload& contribution) override {
    Write(accumulator, FoldOne(Read(accumulator), ReadU64(contribution)));
  }

  absl::StatusOr<BufferPtr> Update(const KeySpec& key, PartId id, const BufferPtr& value,
                                   MutableBufferPtr sum,
                                   std::unique_ptr<PartState>* state) override {
    if (key.key != id.key) world_.Fail("an update got the description of another key");
    const Round version = oracle_.committed(id) + 1;
    ++world_.stats().commits;
    if (oracle_.UpdateFails(id, version)) {
      world_.stats().Count(Fault::kUpdateFailed);
      oracle_.OnCommit(id, version, Read(*sum), Read(*value));
      return absl::InternalError("the updater refuses this round");
    }
    if (*state == nullptr) *state = std::make_unique<State>();
    uint64_t& hash = static_cast<State&>(**state).hash;
    const uint64_t total = Read(*sum);
    hash = NextState(hash, total);
    const uint64_t next = NextValue(Read(*value), total, hash, parameter_);
    oracle_.OnCommit(id, version, total, next);
    Write(*sum, next);
    return BufferPtr(std::move(sum));
  }

  absl::Status SetOptimizer(const OptimizerConfig& spec) override {
    if (spec.name == "assign") {
      parameter_ = 0;
      return absl::OkStatus();
    }
    const auto parameter = spec.parameters.find("salt");
    if (parameter == spec.parameters.end()) return absl::InvalidArgumentError("salt expected");
    parameter_ = static_cast<uint64_t>(parameter->second);
    return absl::OkStatus();
  }

 private:
  struct State : PartState {
    uint64_t hash = 0;
  };
  static uint64_t Read(const Buffer& buffer) {
    uint64_t value = 0;
    std::memcpy(&value, buffer.data(), sizeof value);
    return value;
  }
  static void Write(Buffer& buffer, uint64_t value) {
    std::memcpy(buffer.data(), &value, sizeof value);
  }

  World& world_;
  Oracle& oracle_;
  uint64_t parameter_ = 0;
};

}  // namespace kvstore::sim
