#include "client/reduce/under_way.h"

#include <utility>
#include <vector>

#include "common/base/status_macros.h"

namespace kvstore {

absl::Status FinishIfAny(absl::StatusOr<UnderWayPtr> begun) {
  if (!begun.ok()) return begun.status();
  return *begun == nullptr ? absl::OkStatus() : (*begun)->Finish();
}

absl::Status RunAhead(
    BlockThreads* threads, size_t blocks,
    absl::FunctionRef<absl::StatusOr<UnderWayPtr>(size_t block, size_t seat)> begin) {
  std::vector<UnderWayPtr> of_seats(threads->seats());
  KVS_RETURN_IF_ERROR(threads->Run(blocks, [&](size_t block, size_t seat) -> absl::Status {
    KVS_ASSIGN_OR_RETURN(UnderWayPtr begun, begin(block, seat));
    std::swap(begun, of_seats[seat]);
    return FinishIfAny(std::move(begun));
  }));
  for (UnderWayPtr& last : of_seats) KVS_RETURN_IF_ERROR(FinishIfAny(std::move(last)));
  return absl::OkStatus();
}

}  // namespace kvstore
