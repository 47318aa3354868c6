// The updater of a job: setting it, and the norms of whole values that some of its updates wait
// for.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/model/number_reader.h"
#include "server/core/no_memory.h"
#include "server/core/server_core_impl.h"

namespace kvstore {

void ServerCore::Impl::OnSetOptimizer(const ReplyTo& from, const RequestFrame& frame,
                                      const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  reply.progress = Progress::kDone;
  const bool repeat =
      from.incarnation == optimizer_incarnation_ && entry.request <= optimizer_request_;
  if (!frame.optimizer.has_value()) {
    reply.SetStatus(absl::InvalidArgumentError("SetOptimizer without an optimizer"));
  } else if (entry.op == Op::kCheckOptimizer) {
    reply.SetStatus(parts_.CheckOptimizer(*frame.optimizer));
  } else if (!repeat && parts_.measuring()) {
    // What was measured is of use to the optimizer that is set only. It does not take long: the
    // contributions are there.
    reply.progress = Progress::kUnspecified;
    reply.retry_after_ms = options_.retry_after_ms;
    reply.SetStatus(absl::UnavailableError(
        fmt::format("SetOptimizer '{}': no updates that wait for norms expected, there are some",
                    frame.optimizer->name)));
  } else if (!repeat) {
    const absl::Status status = parts_.SetOptimizer(*frame.optimizer);
    if (!status.ok()) {
      reply.SetStatus(status);
    } else {
      optimizer_incarnation_ = from.incarnation;
      optimizer_request_ = entry.request;
      optimizer_was_set_ = true;
      view_.has_updater = true;
      ++times_set_;
      EndHold(replies);  // what it was to change is not set any more
    }
  }
  replies.Add(from, std::move(reply));
}

// Of two changes the later request of rank 0 counts where they name the same number and step, so a
// repeat of the earlier one must not come to count again behind it. Example: rank 0 asks for rate
// 0.1 from step 5 on, as request 7, then for 0.2, as request 9. Request 7 arrives once more: 9 was
// taken, so it changes nothing. Neither does it after a SET_OPTIMIZER, which forgets both.
void ServerCore::Impl::OnSetNumbers(const ReplyTo& from, const RequestFrame& frame,
                                    const RequestEntry& entry, ReplyBatch& replies) {
  ReplyEntry reply(entry);
  reply.progress = Progress::kDone;
  const bool repeat = from.incarnation == optimizer_incarnation_ &&
                      entry.request <= std::max(optimizer_request_, numbers_request_);
  if (!frame.optimizer.has_value()) {
    reply.SetStatus(absl::InvalidArgumentError("SET_NUMBERS without numbers"));
  } else if (!repeat && parts_.measuring_from(entry.step)) {
    // What was measured is of use with the numbers that are set only. It does not take long.
    reply.progress = Progress::kUnspecified;
    reply.retry_after_ms = options_.retry_after_ms;
    reply.SetStatus(absl::UnavailableError(
        fmt::format("numbers of optimizer '{}' from step {} on: no updates of that step that wait "
                    "for norms expected, there are some",
                    Quotable(frame.optimizer->name), entry.step)));
  } else if (!repeat && begun_step_ >= entry.step) {
    reply.SetStatus(absl::FailedPreconditionError(
        fmt::format("numbers of optimizer '{}' from step {} on: a step above {} expected, an "
                    "update of that one was begun here",
                    Quotable(frame.optimizer->name), entry.step, begun_step_)));
  } else if (!repeat) {
    const absl::Status status =
        parts_.ChangeNumbers(frame.optimizer->name, {entry.step, frame.optimizer->parameters});
    if (status.ok()) {
      optimizer_incarnation_ = from.incarnation;
      numbers_request_ = entry.request;
    } else {
      reply.SetStatus(status);
    }
  }
  replies.Add(from, std::move(reply));
}

void ServerCore::Impl::OnNorms(const ReplyTo& from, const RequestEntry& entry,
                               ReplyBatch& replies) {
  ReplyEntry reply(entry);
  PartRecord* record = parts_.Find(entry.id());
  bool made = true;
  absl::Status status = parts_.CheckLife(record, entry);
  if (status.ok()) {
    const absl::StatusOr<NormNote> note = DecodeNormNote(entry.piece.data);
    status = note.ok() ? record->part->TakeNorms(from.rank, entry.round, *note) : note.status();
    if (status.ok()) made = Commit(from.rank, *record, replies);
  }
  if (made) {
    reply.progress = Progress::kDone;
    reply.SetStatus(status);
  } else {  // its repeat goes on
    reply.SetStatus(NoMemory(parts_.Label(entry.key), entry.part, "an update"));
    reply.retry_after_ms = options_.retry_after_ms;
  }
  replies.Add(from, std::move(reply));
}

}  // namespace kvstore
