#include "common/transport/factory/make_transport.h"
#include "tests/conformance/carrier.h"

namespace kvstore {

// Real sockets on loopback: a few stores of each family.
const Carrier& ThisCarrier() {
  static const Carrier carrier = {
      [](const StoreKind& kind) { return kind.dist() && kind.in_short_list; },
      []() -> std::shared_ptr<Transport> { return MakeTransport(); }};
  return carrier;
}

}  // namespace kvstore
