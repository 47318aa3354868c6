// DistSession::Inquiry: a question to the servers, shared by the caller that waits and the loop.
#pragma once

#include <vector>

#include "client/dist/dist_session.h"

namespace kvstore {

struct DistSession::Inquiry {
  std::vector<uint64_t> operations;
  std::vector<Ticket> tickets;  // loop
  Mutex mutex;
  CondVar changed;
  bool done KVS_GUARDED_BY(mutex) = false;
  std::vector<WaitInfo> infos KVS_GUARDED_BY(mutex);
};

}  // namespace kvstore
