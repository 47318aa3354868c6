#include "tests/conformance/carrier.h"

namespace kvstore {

// Every store; under ThreadSanitizer, which takes ten times as long and more, those of the short
// list: the others run the same threads again, and a simulated GPU's fibers are not for it.
const Carrier& ThisCarrier() {
#ifdef KVS_TSAN
  static const Carrier carrier = {[](const StoreKind& kind) {
                                    return !kind.arrays_on_gpus &&
                                           (!kind.dist() || kind.in_short_list);
                                  },
                                  nullptr};
#else
  static const Carrier carrier = {[](const StoreKind&) { return true; }, nullptr};
#endif
  return carrier;
}

}  // namespace kvstore
