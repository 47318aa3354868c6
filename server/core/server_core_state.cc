// What the updater keeps beside a part: read, and replaced.
#include <fmt/format.h>

#include <new>
#include <utility>

#include "server/core/no_memory.h"
#include "server/core/server_core.h"
#include "server/core/server_core_impl.h"

namespace kvstore {

void ServerCore::Impl::OnReadState(const ReplyTo& from, const RequestEntry& entry,
                                   ReplyBatch& replies) {
  ReplyEntry reply(entry);
  const PartRecord* const record = parts_.Find(entry.id());
  const auto answer = [&](const absl::Status& status) {
    reply.SetStatus(status);
    replies.Add(from, std::move(reply));
  };
  if (const absl::Status there = parts_.CheckLife(record, entry); !there.ok()) return answer(there);
  const absl::StatusOr<StateCursor> cursor = DecodeStateCursor(entry.piece.data);
  if (!cursor.ok()) return answer(cursor.status());
  // Pages are copies, so that only so many may be on their way to one worker.
  if (replies.ValueBytesTo(from) > options_.reply_bytes_max) {
    reply.retry_after_ms = options_.retry_after_ms;
    return answer(absl::ResourceExhaustedError(
        fmt::format("{} part {}: over {} bytes of values are on their way already",
                    parts_.Label(entry.key), entry.part, options_.reply_bytes_max)));
  }
  absl::Status status;
  try {
    const absl::StatusOr<StatePage> page = record->part->value().ReadState(*cursor);
    if (!page.ok()) return answer(page.status());
    reply.data = EncodeStatePage(*page);
    reply.version = record->part->version();
    reply.progress = Progress::kDone;
  } catch (const std::bad_alloc&) {
    reply.retry_after_ms = options_.retry_after_ms;
    status = NoMemory(parts_.Label(entry.key), entry.part, "a page of its state");
  }
  answer(status);
}

// Rank 0 sends the requests about a part one after the other, each with a higher number, and only
// when the one before is over. So what has a number that is not higher than that of the last one
// that was done is a repeat, also when it comes after pushes, and has nothing to do any more.
void ServerCore::Impl::OnWriteState(const ReplyTo& from, const RequestEntry& entry,
                                    ReplyBatch& replies) {
  ReplyEntry reply(entry);
  PartRecord* const record = parts_.Find(entry.id());
  const auto answer = [&](const absl::Status& status) {
    if (status.ok()) reply.progress = Progress::kDone;
    reply.SetStatus(status);
    replies.Add(from, std::move(reply));
  };
  if (const absl::Status there = parts_.CheckLife(record, entry); !there.ok()) return answer(there);
  const bool again =
      record->state_incarnation == from.incarnation && entry.request <= record->state_request;
  if (again) return answer(absl::OkStatus());
  const absl::StatusOr<StatePage> page = DecodeStatePage(entry.piece.data);
  if (!page.ok()) return answer(page.status());
  absl::Status done;
  try {
    done = parts_.WriteState(*record, *page);
  } catch (const std::bad_alloc&) {
    reply.retry_after_ms = options_.retry_after_ms;
    return answer(NoMemory(parts_.Label(entry.key), entry.part, "a page of its state"));
  }
  if (done.ok()) {
    record->state_incarnation = from.incarnation;
    record->state_request = entry.request;
  }
  answer(done);
}

}  // namespace kvstore
