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
    PartRequest& drop = requests.emplace_back();
    drop.op = Op::kDrop;
    drop.id = id;
    drop.takes_back = request;
  }
  return requests;
}

absl::Status InitUndo::Joined(const absl::Status& init, const Completion& drop) {
  if (drop.status.ok() || drop.status == init) return init;  // equal: the end of the job
  return absl::Status(init.code(),
                      fmt::format("{}; part {} is not taken back: {}", std::string(init.message()),
                                  drop.id.part, std::string(drop.status.message())));
}

}  // namespace kvstore
