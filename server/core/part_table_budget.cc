// What the parts of a shard are charged with, and the room that is kept for rows under way.
#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "server/core/part_table.h"

namespace kvstore {

void PartTable::Charge(PartRecord& record, uint64_t bytes) noexcept {
  value_bytes_ = value_bytes_ - record.charged + bytes;
  record.charged = bytes;
}

absl::Status PartTable::CheckBudget(const std::string& label, uint64_t charged,
                                    uint64_t needed) const {
  const uint64_t others = value_bytes_ - charged;
  if (others + needed <= options_.value_bytes_max) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format("{}: {} bytes needed, {} of {} are in use", label,
                                                  needed, others, options_.value_bytes_max));
}

uint64_t PartTable::BytesOf(const PartRecord& record) {
  if (record.part != nullptr) {
    return record.part->value().BytesWith(record.part->reserved_pages());
  }
  return record.creation == nullptr ? 0 : record.creation->value->Bytes();
}

// The rows of a push (and what is kept for a worker that pushes for the first time) take memory
// when its round is made; but what is acknowledged must not fail for the budget any more, so room
// is kept from the moment when it is taken. Example: a page is 1 KiB, a part has 5 pages, and two
// workers push to it, each the same 2 new ones and 1 that is there. The part is charged with 5 KiB,
// after the first push with 7, after the second with 9, and once the round is made with 7.
PartTable::Room PartTable::Reserve(PartRecord& record, const PushId& push, const Piece& piece) {
  Part& part = *record.part;
  const uint64_t pages = part.value().PagesMissing(piece, push.rank);
  if (pages == 0) return Room::kNotNeeded;
  const uint64_t with = part.reserved_pages() + pages;
  const uint64_t needed = part.value().BytesWith(with);
  absl::Status room = part.value().CheckPages(with);
  if (room.ok()) room = CheckBudget(part.value().Label(), record.charged, needed);
  if (!room.ok()) {
    part.Refuse(push, std::move(room));
    return Room::kNone;
  }
  part.Reserve(push, pages);
  Charge(record, needed);
  return Room::kKept;
}

absl::Status PartTable::WriteState(PartRecord& record, const StatePage& page) {
  Part& part = *record.part;
  const uint64_t held = part.value().HeldBytes();
  absl::Status done;
  switch (page.verb) {
    case StateVerb::kPage: {
      if (part.open()) {
        return absl::FailedPreconditionError(fmt::format(
            "{}: no push under way expected, one waits for its round at version {}: meet in a "
            "Barrier() before",
            part.value().Label(), part.version()));
      }
      KVS_RETURN_IF_ERROR(part.StageState(page));
      const uint64_t needed = BytesOf(record);
      absl::Status room = part.value().CheckPages(part.reserved_pages());
      if (room.ok()) room = CheckBudget(part.value().Label(), record.charged, needed);
      if (room.ok()) {
        Charge(record, needed);
        return room;
      }
      part.DropStagedState();
      done = std::move(room);
      break;
    }
    case StateVerb::kCommit:
      KVS_RETURN_IF_ERROR(part.CommitState());
      break;
    case StateVerb::kDrop:
      part.DropStagedState();
      break;
  }
  // It is done, and must not be done again for want of memory to find out what to charge. A stripe
  // is charged anew with its next update; of a dense part the state that was in use is gone.
  try {
    Charge(record, BytesOf(record));
  } catch (const std::bad_alloc&) {
    const uint64_t gone = held - std::min(held, part.value().HeldBytes());
    const bool dense = part.key().storage != Storage::kRowSparse;
    if (dense && page.verb == StateVerb::kCommit) Charge(record, record.charged - gone);
  }
  return done;
}

void PartTable::Unreserve(PartRecord& record, Room room, uint64_t charged) noexcept {
  if (room == Room::kNotNeeded) return;
  record.part->Unreserve();
  Charge(record, charged);
}

void PartTable::Settle(PartRecord& record) noexcept {
  if (!record.part->value().makes_pages() && !record.part->has_reserved()) return;
  record.part->ReleaseReserved();
  try {
    Charge(record, BytesOf(record));
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace kvstore
