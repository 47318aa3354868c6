// An operator changes numbers of the optimizer from a step on. Unlike rank 0, which knows that it
// has not pushed that step yet, an operator does not hold rounds open: so first all servers hold
// what is of that step or later, and only when all do is the change set on all of them (I13).
//
// Example: rate 0.1 from step 5 on, two servers.
//
//   HOLD to server 0    its last update was of step 3: it holds 5 and later
//   HOLD to server 1    it made an update of step 5 a moment ago: refused
//   DROP to server 0    it goes on; nothing was changed anywhere
//
// Had server 1 held, too, SET would follow to both: whichever hears of it first goes on first, and
// no update of step 5 was made before on either.
#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "server/core/server_core.h"
#include "server/core/server_core_impl.h"

namespace kvstore {

absl::Status ServerCore::Impl::Hold(const std::string& optimizer, const NumbersChange& change) {
  // Of an order that was carried out here before, and is repeated since it was not elsewhere.
  if (parts_.HasChange(change)) return absl::OkStatus();
  KVS_RETURN_IF_ERROR(parts_.CheckNumbers(optimizer, change));
  if (parts_.asynchronous()) return absl::OkStatus();
  if (held_.has_value()) {
    if (*held_ == change) return absl::OkStatus();
    return absl::FailedPreconditionError(
        fmt::format("no other change under way expected, got one {}", HeldBy(held_->from_step)));
  }
  if (begun_step_ >= change.from_step) {
    return absl::FailedPreconditionError(
        fmt::format("a step above {} expected, of which an update was begun here, got step {}",
                    begun_step_, change.from_step));
  }
  held_ = change;
  view_.held_from = change.from_step;
  return absl::OkStatus();
}

absl::Status ServerCore::Impl::SetHeld(const std::string& optimizer, const NumbersChange& change) {
  if (parts_.HasChange(change)) return absl::OkStatus();
  if (parts_.asynchronous()) {
    if (parts_.measuring_from(change.from_step)) {
      return absl::UnavailableError(
          fmt::format("no updates of step {} that wait for norms expected, there are some: they "
                      "will be made soon",
                      change.from_step));
    }
  } else if (!held_.has_value() || !(*held_ == change)) {
    return absl::FailedPreconditionError(
        fmt::format("a hold at step {} for these numbers expected, there is {}", change.from_step,
                    held_.has_value() ? "another one" : "none"));
  }
  return parts_.ChangeNumbers(optimizer, change);
}

absl::Status ServerCore::Impl::OrderNumbers(int64_t now_ms, NumbersVerb verb,
                                            const std::string& optimizer,
                                            const NumbersChange& change, ServerOutbox* out) {
  now_ms_ = now_ms;
  if (routing_ == nullptr) {
    return absl::FailedPreconditionError("a job expected, this server is in none");
  }
  switch (verb) {
    case NumbersVerb::kShow:
      return absl::OkStatus();
    case NumbersVerb::kHold:
      return Hold(optimizer, change);
    case NumbersVerb::kSet:
      KVS_RETURN_IF_ERROR(SetHeld(optimizer, change));
      break;
    case NumbersVerb::kDrop:
      break;
  }
  if (!held_.has_value() || held_->from_step != change.from_step) return absl::OkStatus();
  ReplyBatch replies(ReplyHeader(), out);
  EndHold(replies);
  return absl::OkStatus();
}

void ServerCore::Impl::EndHold(ReplyBatch& replies) {
  if (!held_.has_value()) return;
  const std::vector<PartId> open = parts_.OpenParts();
  held_.reset();
  view_.held_from = UINT64_MAX;
  // What finds no memory is made when somebody asks after it.
  for (const PartId id : open) Commit(kOfNoWorker, *parts_.Find(id), replies);
}

OptimizerReport ServerCore::Impl::Optimizer() const {
  OptimizerReport report;
  parts_.ReportOptimizer(&report);
  report.held = held_;
  report.times_set = times_set_;
  return report;
}

absl::Status ServerCore::OrderNumbers(int64_t now_ms, NumbersVerb verb,
                                      const std::string& optimizer, const NumbersChange& change,
                                      ServerOutbox* out) {
  return impl_->OrderNumbers(now_ms, verb, optimizer, change, out);
}
OptimizerReport ServerCore::Optimizer() const { return impl_->Optimizer(); }

}  // namespace kvstore
