#include "common/updater/sgld.h"

#include <algorithm>
#include <cmath>

#include "common/base/status_macros.h"
#include "common/kernels/noise.h"
#include "common/kernels/updates.h"
#include "common/updater/parameters.h"

namespace kvstore {
namespace {

class SgldUpdater final : public Updater {
 public:
  SgldUpdater(const SgldNumbers& numbers, uint64_t seed, const UpdaterOptions& options)
      : Updater(options), numbers_(numbers), seed_(seed) {}
  std::string_view name() const override { return "sgld"; }
  bool draws_noise() const override { return true; }
  const UpdateNumbers* numbers() const override { return &numbers_; }
  void Update(const UpdaterRun& run, const void* value, void* sum, void* const*) const override {
    SgldNumbers numbers = numbers_;
    numbers.learning_rate = run.learning_rate;
    numbers.wd = run.wd;
    const double sigma = std::sqrt(numbers.learning_rate);
    constexpr size_t kBlock = 512;
    double noise[kBlock];
    void* const state[] = {noise};
    for (size_t i = 0; i < run.elements; i += kBlock) {
      const size_t elements = std::min(kBlock, run.elements - i);
      const size_t at = i * DTypeBytes(run.dtype);
      NormalNoise(run.dtype, {seed_, run.key, run.update}, run.first + i, sigma, noise, elements);
      UpdateWeights(run.dtype, numbers, static_cast<const uint8_t*>(value) + at, state,
                    static_cast<uint8_t*>(sum) + at, elements);
    }
  }

 private:
  const SgldNumbers numbers_;
  const uint64_t seed_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Updater>> MakeSgld(const UpdaterParameters& parameters) {
  ParameterReader reader("sgld", parameters);
  const SgldNumbers numbers{reader.Common(0.1, 0.01)};
  const double seed = reader.WithDefault("seed", 0, NumberRange::kWhole);
  const UpdaterOptions options = reader.Options();
  KVS_RETURN_IF_ERROR(reader.Finish());
  return std::make_unique<SgldUpdater>(numbers, static_cast<uint64_t>(seed), options);
}

}  // namespace kvstore
