#include "common/updater/nadam.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "common/base/status_macros.h"
#include "common/updater/formula_updater.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

// The schedule's product ends after half a million factors then.
constexpr double kBeta1Max = 0.9999;

// 0.96^x of x >= 0: of its whole part by squaring, of the rest by the series of e^y, whose terms
// fall below 2^-53 of the sum within 10. By sums and products alone, as Power.
double PowerOf096(double x) {
  constexpr double kLogarithm = -0.04082199452025513;  // ln 0.96, rounded
  if (x > 20000) return 0;                             // below 2^-1074
  const double whole = std::floor(x);
  const double y = (x - whole) * kLogarithm;
  double sum = 1, term = 1;
  for (int n = 1; n <= 12; ++n) {
    term *= y / n;
    sum += term;
  }
  return Power(0.96, static_cast<uint64_t>(whole)) * sum;
}

class MomentumSchedule {
 public:
  MomentumSchedule(double beta1, double decay) : beta1_(beta1), base_(PowerOf096(decay)) {
    // What is below 2^-60 changes nothing in 1 - M.
    for (uint64_t t = 1; products_.back() >= 0x1p-60; ++t) {
      products_.push_back(products_.back() * Momentum(t));
    }
  }
  // mu(t).
  double Momentum(uint64_t t) const { return beta1_ * (1 - 0.5 * Power(base_, t)); }
  // M(t), or 0 where it is below 2^-60.
  double Product(uint64_t t) const { return t < products_.size() ? products_[t] : 0; }

 private:
  const double beta1_;
  const double base_;
  std::vector<double> products_ = {1};  // M(0), M(1), …
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeNadam(const UpdaterParameters& parameters) {
  ParameterReader reader("nadam", parameters);
  NadamNumbers numbers;
  static_cast<AdamNumbers&>(numbers) = reader.Means(0.001, 0.001, 0.9, 1e-8);
  const double decay = reader.WithDefault("schedule_decay", 0.004, NumberRange::kNotNegative);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  if (numbers.beta1 > kBeta1Max) {
    return absl::InvalidArgumentError(fmt::format(
        "optimizer 'nadam': beta1: at most {} expected, got {}", kBeta1Max, numbers.beta1));
  }
  const auto schedule = std::make_shared<const MomentumSchedule>(numbers.beta1, decay);
  return std::make_unique<FormulaUpdater<NadamNumbers>>(
      "nadam", std::vector<std::string>{"mean", "var"}, numbers, options,
      [schedule](const UpdaterRun& run, NadamNumbers* of_run) {
        const uint64_t t = run.update;
        of_run->share_now = 1 - schedule->Momentum(t);
        of_run->momentum_next = schedule->Momentum(t + 1);
        of_run->rest_now = 1 - schedule->Product(t);
        of_run->rest_next = 1 - schedule->Product(t + 1);
        of_run->rest_var = 1 - Power(of_run->beta2, t);
        return true;
      });
}

}  // namespace kvstore
