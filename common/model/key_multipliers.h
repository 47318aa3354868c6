// KeyMultipliers: what the learning rate and the weight decay of one key are multiplied by.
#pragma once

#include <map>

#include "common/cluster/identity.h"

namespace kvstore {

struct KeyMultipliers {
  double lr_mult = 1;
  double wd_mult = 1;

  bool operator==(const KeyMultipliers& other) const {
    return lr_mult == other.lr_mult && wd_mult == other.wd_mult;
  }
};

// Keys that are not named have 1 and 1.
using MultipliersByKey = std::map<KeyId, KeyMultipliers>;

}  // namespace kvstore
