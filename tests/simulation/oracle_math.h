// OracleMath: the PartMath of the simulator. A value is 8 bytes: a hash of everything that went
// into it. Tells the oracle of every commit.
#pragma once

#include <memory>

#include "tests/simulation/oracle.h"
#include "tests/support/hash_math.h"

namespace kvstore::sim {

class OracleMath : public NumberMath {
 public:
  OracleMath(World& world, Oracle& oracle) : world_(world), oracle_(oracle) {}

  uint64_t BytesOf(const KeySpec&, PartIndex) const override { return kChargedBytes; }
  absl::Status Check(const KeySpec& key, PartId, Op op, const Piece& piece) const override {
    const bool rows = key.storage == Storage::kRowSparse;
    const bool empty = piece.data.empty() && (rows || op == Op::kPull);
    const bool number = piece.data.size() == sizeof(uint64_t) && (rows || op != Op::kPull);
    if (empty || number) return absl::OkStatus();
    return absl::InvalidArgumentError("a number expected");
  }

  absl::Status Update(const KeySpec& key, PartId id, std::unique_ptr<PartSum> sum,
                      std::unique_ptr<PartValue>* value,
                      std::unique_ptr<PartState>* state) override {
    if (key.key != id.key) world_.Fail("an update got the description of another key");
    const Round version = oracle_.committed(id) + 1;
    const uint64_t total = Of(*sum);
    ++world_.stats().commits;
    if (oracle_.UpdateFails(id, version)) {
      world_.stats().Count(Fault::kUpdateFailed);
      oracle_.OnCommit(id, version, total, Of(**value));
      return absl::InternalError("the updater refuses this round");
    }
    if (*state == nullptr) *state = std::make_unique<State>();
    uint64_t& hash = static_cast<State&>(**state).hash;
    hash = NextState(hash, total);
    const uint64_t next = NextValue(Of(**value), total, hash, parameter_);
    oracle_.OnCommit(id, version, total, next);
    *value = std::make_unique<Value>(next);
    return absl::OkStatus();
  }
  Payload Read(const KeySpec&, PartId, const PartValue& value, const Piece& asked) override {
    const uint64_t number =
        asked.data.empty() ? Of(value) : RowsOf(Of(value), NumberOf(asked.data));
    return NumberPayload(number);
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

  World& world_;
  Oracle& oracle_;
  uint64_t parameter_ = 0;
};

}  // namespace kvstore::sim
