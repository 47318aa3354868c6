// OracleValues: the values of the simulator. A value is 8 bytes: a hash of everything that went
// into it. Tells the oracle of every commit.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "tests/simulation/oracle.h"
#include "tests/support/number_values.h"

namespace kvstore::sim {

class OracleValues final : public ShardValues {
 public:
  OracleValues(World& world, Oracle& oracle, ServerRank rank)
      : world_(world), oracle_(oracle), rank_(rank) {}

  std::unique_ptr<PartValue> Make(const KeySpec& key, PartId id) override {
    return std::make_unique<Value>(key, id, *this);
  }
  absl::Status SetOptimizer(const OptimizerConfig& spec) override {
    if (spec.name == "assign") {
      previous_ = std::exchange(parameter_, {{0, 0}});
      return absl::OkStatus();
    }
    const auto parameter = spec.parameters.find("salt");
    if (parameter == spec.parameters.end()) return absl::InvalidArgumentError("salt expected");
    const auto refused_by = spec.parameters.find("refused_by");
    if (refused_by != spec.parameters.end() && refused_by->second == rank_) {
      return absl::InvalidArgumentError("not here");
    }
    previous_ = std::exchange(parameter_, {{0, static_cast<uint64_t>(parameter->second)}});
    return absl::OkStatus();
  }
  absl::Status ChangeNumbers(const NumbersChange& change) override {
    parameter_[change.from_step] = static_cast<uint64_t>(change.numbers.at("salt"));
    world_.stats().Count(Fault::kNumbersChanged);
    return absl::OkStatus();
  }
  absl::Status CheckNumbers(const NumbersChange&) const override { return absl::OkStatus(); }
  absl::Status CheckMemory(uint64_t) const override { return absl::OkStatus(); }
  void UndoSetOptimizer() noexcept override { parameter_ = previous_; }

 private:
  uint64_t ParameterAt(uint64_t step) const { return (--parameter_.upper_bound(step))->second; }

  class Value final : public NumberValue {
   public:
    Value(const KeySpec& key, PartId id, OracleValues& shared)
        : NumberValue(key, id), shared_(shared) {}

    uint64_t BytesWith(uint64_t) const override { return kChargedBytes; }
    absl::Status Check(Op op, const Piece& piece) const override {
      const bool rows = key().storage == Storage::kRowSparse;
      const bool empty = piece.data.empty() && (rows || op == Op::kPull);
      const bool number = piece.data.size() == sizeof(uint64_t) && (rows || op != Op::kPull);
      if (empty || number) return absl::OkStatus();
      return absl::InvalidArgumentError("a number expected");
    }
    Payload Read(const Piece& asked) const override {
      in_life();
      return NumberPayload(asked.data.empty() ? number_ : RowsOf(number_, NumberOf(asked.data)));
    }
    uint32_t parts() const override { return static_cast<uint32_t>(key().shape[0]); }
    uint32_t Measurings() const override { return shared_.oracle_.Measurings(in_life()); }
    absl::StatusOr<NormSums> Measure(uint32_t step, SumIndex sum, const RoundCounts& counts,
                                     const NormSums& norms) const override {
      Oracle& oracle = shared_.oracle_;
      if (step == 0 && oracle.MeasureFails(in_life(), SumOf(sum))) {
        shared_.world_.stats().Count(Fault::kMeasureFailed);
        return absl::InternalError("the part cannot be measured");
      }
      if (step > 0) oracle.CheckNorms(in_life(), sum, step, norms);
      const NormSums own =
          Measured(step, number_, SumOf(sum), state_ + shared_.ParameterAt(counts.step), norms);
      oracle.OnMeasured(in_life(), sum, step, own);
      return own;
    }
    absl::Status CommitState() override {
      absl::Status done = NumberValue::CommitState();
      if (done.ok()) shared_.oracle_.OnStateCommitted(in_life(), state_);
      if (done.ok()) shared_.world_.stats().Count(Fault::kStateLoaded);
      return done;
    }
    // Here only the sum of an update that is skipped is dropped.
    void DropSum(SumIndex sum) override {
      Oracle& oracle = shared_.oracle_;
      ++shared_.world_.stats().commits;
      oracle.OnSkipped(in_life(), sum, TakeSum(sum), number_);
    }

   private:
    absl::Status UpdateBy(SumIndex sum, const RoundCounts& counts, const NormSums& norms) override {
      World& world = shared_.world_;
      Oracle& oracle = shared_.oracle_;
      if (key().key != id().key) world.Fail("an update got the description of another key");
      const Round next = oracle.committed(in_life()) + 1;
      const uint32_t measurings = oracle.Measurings(in_life());
      if (measurings > 0) oracle.CheckNorms(in_life(), sum, measurings, norms);
      const uint64_t total = TakeSum(sum);
      ++world.stats().commits;
      oracle.CheckCounts(in_life(), next, counts);
      // An asynchronous part has a sum for each worker, by its rank.
      if (counts.worker != (world.params().async ? std::optional<WorkerRank>(sum) : std::nullopt)) {
        world.Fail(fmt::format("an update by the push of worker {} is told another, or none", sum));
      }
      if (oracle.UpdateFails(in_life(), next)) {
        world.stats().Count(Fault::kUpdateFailed);
        oracle.OnCommit(in_life(), next, total, number_);
        return absl::InternalError("the updater refuses this round");
      }
      state_ = NextState(state_, total);
      if (measurings > 0) state_ = NextState(state_, HashOf(norms));
      number_ = NextValue(number_, total, state_, shared_.ParameterAt(counts.step));
      oracle.OnCommit(in_life(), next, total, number_);
      return absl::OkStatus();
    }

    void ForgetAllButValue() noexcept override {
      NumberValue::ForgetAllButValue();
      ++resets_;
    }

    // By what the oracle knows the part: the dtype tells the lives apart that an Init began
    // (Programs::KeyIn). The oracle hears here of those that a reset began, as it may throw.
    PartId in_life() const {
      for (; told_resets_ < resets_; ++told_resets_) {
        shared_.oracle_.OnReset(id(), told_resets_, number_);
      }
      return InLife(id(), (key().dtype == DType::kInt64 ? 1 : 0) + resets_);
    }

    uint64_t resets_ = 0;
    mutable uint64_t told_resets_ = 0;

    OracleValues& shared_;
  };

  World& world_;
  Oracle& oracle_;
  const ServerRank rank_;
  using Parameters = std::map<uint64_t, uint64_t>;  // by the step from which on it is
  Parameters parameter_{{0, 0}};
  Parameters previous_{{0, 0}};  // before the last SetOptimizer
};

}  // namespace kvstore::sim
