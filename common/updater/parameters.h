// Reading an optimizer's numbers out of UpdaterParameters.
#pragma once

#include <string_view>

#include "common/kernels/updates.h"
#include "common/model/number_reader.h"
#include "common/updater/updater.h"

namespace kvstore {

// What optimizers have in common, on top of NumberReader.
class ParameterReader : public NumberReader {
 public:
  // `optimizer`: its name. `parameters` outlives the reader.
  ParameterReader(std::string_view optimizer, const UpdaterParameters& parameters);

  // mxnet1 (0), learning_rate, wd (0), rescale_grad (1), clip_gradient (absent: no clipping): what
  // optimizers with a learning rate have.
  // `learning_rate`: its default, `learning_rate_mxnet1` that of the other formula.
  UpdateNumbers Common(double learning_rate, double learning_rate_mxnet1,
                       NumberRange learning_rate_range = NumberRange::kNotNegative);
  // Common, beta1, beta2 (0.999) and epsilon: what optimizers with moving means have.
  AdamNumbers Means(double learning_rate, double learning_rate_mxnet1, double beta1, double epsilon,
                    NumberRange learning_rate_range = NumberRange::kNotNegative);
  // multi_precision (0) and begin_num_update (0).
  UpdaterOptions Options();
  // The same, and lazy_update (1): of optimizers that can update rows which a sum does not have.
  UpdaterOptions OptionsOfRows();
};

}  // namespace kvstore
