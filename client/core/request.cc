#include "client/core/request.h"

namespace kvstore::client_internal {

Request::Request() {
  ByOrder orders;
  by_order = orders.extract(orders.emplace(0, this).first);
  ByTurn turns;
  by_turn = turns.extract(turns.emplace(std::pair(int64_t{0}, uint64_t{0}), this).first);
  place.request = this;
}

void Request::Clear() {
  ask = PartRequest();
  to_shards = nullptr;
  id = 0;
  order = 0;
  round = 0;
  life = 0;
  ends = 0;
  shard = ShardAddress();
  part = nullptr;
  number = 0;
  state = State::kHeld;
  as_probe = false;
  window_bytes = 0;
  try_until_ms = kNever;
  put_off_until_ms = kNever;
  times_put_off = 0;
  put_off_because = absl::StatusCode::kOk;
  probe_answered = false;
  missing.clear();
  held.clear();
  members.clear();
  open_members = 0;
  member_bytes = 0;
}

}  // namespace kvstore::client_internal
