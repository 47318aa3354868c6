#include "client/core/init_undo.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvstore {

void InitUndo::Noted(const Completion& init) {
  if (init.request == 0) return;  // the job is over: it went nowhere
  RequestId& first = first_.try_emplace(init.id, init.request).first->second;
  first = std::min(first, init.request);
}

std::vector<PartRequest> InitUndo::Requests() {
  std::vector<PartRequest> requests;
  requests.reserve(first_.size());
  for (const auto& [id, request] : std::exchange(first_, {})) {
    PartRequest& take_back = requests.emplace_back();
    take_back.op = Op::kTakeBack;
    take_back.id = id;
    take_back.takes_back = request;
  }
  return requests;
}

absl::Status InitUndo::ErrorOf(const absl::Status& init, const Completion& take_back) {
  if (take_back.status.ok() || take_back.status == init) return init;  // equal: the end of the job
  return absl::Status(init.code(),
                      fmt::format("{}; part {} is not taken back: {}", std::string(init.message()),
                                  take_back.id.part, std::string(take_back.status.message())));
}

}  // namespace kvstore
