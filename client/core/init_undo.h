// InitUndo: what rank 0's Init of a key asked of the servers, so that an Init that fails leaves
// nothing behind. A server takes back what this very Init brought, and nothing else.
//
// Loop-bound.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/core/client_core.h"

namespace kvstore {

class InitUndo {
 public:
  // An INIT request that brought (a fragment of) a part is over, whatever became of it.
  void Noted(const Completion& init);
  // Called once, when all are over and one failed: what takes the rest back. Of the refused parts,
  // too: their requests may still be repeated.
  std::vector<PartRequest> Requests();
  // The error of an Init that failed with `init`: names the part, too, if that could not be taken
  // back.
  static absl::Status ErrorOf(const absl::Status& init, const Completion& take_back);

 private:
  std::map<PartId, RequestId> first_;  // the lowest request of each part
};

}  // namespace kvstore
