#include "common/updater/parameters.h"

#include <fmt/format.h>

namespace kvstore {

ParameterReader::ParameterReader(std::string_view optimizer, const UpdaterParameters& parameters)
    : NumberReader(fmt::format("optimizer '{}'", optimizer), parameters) {}

UpdateNumbers ParameterReader::Common(double learning_rate, double learning_rate_mxnet1,
                                      NumberRange learning_rate_range) {
  UpdateNumbers numbers;
  numbers.mxnet1 = Flag("mxnet1", false);
  numbers.learning_rate = WithDefault(
      "learning_rate", numbers.mxnet1 ? learning_rate_mxnet1 : learning_rate, learning_rate_range);
  numbers.wd = WithDefault("wd", 0, NumberRange::kNotNegative);
  numbers.rescale_grad = WithDefault("rescale_grad", 1, NumberRange::kNotZero);
  const auto clip = Optional("clip_gradient", NumberRange::kPositive);
  numbers.clip = clip.has_value();
  numbers.clip_gradient = clip.value_or(0);
  return numbers;
}

AdamNumbers ParameterReader::Means(double learning_rate, double learning_rate_mxnet1, double beta1,
                                   double epsilon, NumberRange learning_rate_range) {
  AdamNumbers numbers;
  static_cast<UpdateNumbers&>(numbers) =
      Common(learning_rate, learning_rate_mxnet1, learning_rate_range);
  numbers.beta1 = WithDefault("beta1", beta1, NumberRange::kShare);
  numbers.beta2 = WithDefault("beta2", 0.999, NumberRange::kShare);
  numbers.epsilon = WithDefault("epsilon", epsilon, NumberRange::kPositive);
  return numbers;
}

UpdaterOptions ParameterReader::Options() {
  UpdaterOptions options;
  options.multi_precision = Flag("multi_precision", options.multi_precision);
  const double begin = WithDefault("begin_num_update", 0, NumberRange::kWhole);
  // What is none is refused by Finish().
  if (InRange(begin, NumberRange::kWhole)) options.begin_num_update = static_cast<uint64_t>(begin);
  return options;
}

UpdaterOptions ParameterReader::OptionsOfRows() {
  UpdaterOptions options = Options();
  options.lazy_update = Flag("lazy_update", options.lazy_update);
  return options;
}

}  // namespace kvstore
