// What an operator orders about the numbers of a job's optimizer (kvctl optimizer).
#pragma once

#include <cstdint>

namespace kvstore {

// Numbers as in scheduler.proto.
enum class NumbersVerb : uint32_t {
  kShow = 0,
  kHold = 1,  // makes no update of the step, or a later one, until one of the next two comes
  kSet = 2,   // changes the numbers from the step on
  kDrop = 3,  // changes nothing
};

}  // namespace kvstore
