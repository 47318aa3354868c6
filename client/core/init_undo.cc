#include "client/core/init_undo.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvstore {

void InitUndo::Noted(const Completion& init) {
  if (init.request == 0) return;  // the job is over: it went nowhere
  RequestId& first = first_.try_emplace(init.id, 0).first->second;
  first = first == 0 ? init.request : std::min(first, init.request);
}

bool InitUndo::TakeNext(PartRequest* take_back) {
  while (!first_.empty()) {
    const auto [id, request] = *first_.begin();
    first_.erase(first_.begin());
    if (request == 0) continue;  // it went nowhere
    take_back->op = Op::kTakeBack;
    take_back->id = id;
    take_back->takes_back = request;
    return true;
  }
  return false;
}

std::vector<PartRequest> InitUndo::Requests() {
  std::vector<PartRequest> requests;
  PartRequest take_back;
  while (TakeNext(&take_back)) requests.push_back(take_back);
  return requests;
}

absl::Status InitUndo::ErrorOf(const absl::Status& init, const Completion& take_back) {
  if (take_back.status.ok() || take_back.status == init) return init;  // equal: the end of the job
  return absl::Status(init.code(),
                      fmt::format("{}; part {} is not taken back: {}", std::string(init.message()),
                                  take_back.id.part, std::string(take_back.status.message())));
}

}  // namespace kvstore
