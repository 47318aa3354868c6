// What carries the messages of the clusters of an executable: the in-process transport, on which
// sanitizers see everything, or gRPC. Each executable links one carrier_*.cc.
#pragma once

#include <memory>

#include "common/transport/transport.h"
#include "tests/conformance/store_under_test.h"

namespace kvstore {

struct Carrier {
  // Whether the stores of this kind run on it.
  bool (*carries)(const StoreKind& kind);
  // A transport for one process of a cluster; null: the in-process one of tests/support.
  std::shared_ptr<Transport> (*make)();
};

const Carrier& ThisCarrier();

}  // namespace kvstore
