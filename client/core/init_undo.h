// InitUndo: which requests rank 0's Init of a key has made, so that they can be taken back when the
// Init fails. A server takes back what these very requests brought, and nothing else.
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
  // An INIT request for the part is about to be made: then the rest takes no memory for it.
  void Expect(PartId id) { first_.try_emplace(id, 0); }
  // To be called for every INIT request that is over, whether it succeeded or not.
  void Noted(const Completion& init);
  // The requests that take the Init back; to be asked for once, when all of its requests are over
  // and one has failed. Parts that were refused are among them: a late repeat of the INIT, still on
  // its way, might otherwise create the part after all.
  std::vector<PartRequest> Requests();
  // The same, one by one: false when there are no more. Takes no memory.
  bool TakeNext(PartRequest* take_back);
  // The error of an Init that failed with `init`, given the outcome of one taking back: if that
  // failed too, the message says which part is still there.
  static absl::Status ErrorOf(const absl::Status& init, const Completion& take_back);

 private:
  std::map<PartId, RequestId> first_;  // the lowest request of each part
};

}  // namespace kvstore
