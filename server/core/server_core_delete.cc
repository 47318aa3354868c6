// Deleting and resetting keys: by rank 0, for which the others wait, or by an operator.
#include <fmt/format.h>

#include <new>
#include <string>
#include <utility>
#include <vector>

#include "server/core/no_memory.h"
#include "server/core/server_core.h"
#include "server/core/server_core_impl.h"

namespace kvstore {

namespace {

// A DELETE or RESET that names a life which never was.
absl::Status NoSuchLife(const std::string& label, const RequestEntry& entry, uint64_t life) {
  return absl::InvalidArgumentError(
      fmt::format("{} part {}: {} of life {} expected at most, got {}", label, entry.part,
                  OpName(entry.op), life, entry.life));
}

}  // namespace

void ServerCore::Impl::AwaitEnd(const ReplyTo& from, const RequestEntry& entry,
                                ReplyBatch& replies) {
  bool retry = false;
  absl::Status parked;
  try {
    parked = waiting_.Park({from, entry, {}, {}, /*answered=*/false, now_ms_}, &retry);
  } catch (const std::bad_alloc&) {
    parked = NoMemory(parts_.Label(entry.key), entry.part,
                      fmt::format("a {} that waits", OpName(entry.op)));
  }
  if (parked.ok()) return;
  ReplyEntry reply(entry, parked);
  reply.retry_after_ms = options_.retry_after_ms;
  replies.Add(from, std::move(reply));
}

// A DELETE names a life of the value that is to end, so that it ends one value, however often it
// comes. Example: life 0 is to be deleted. Rank 1 comes first, and waits. Rank 0's DELETE of life 0
// ends it: the part is in life 1, without a value, and both are answered. Rank 0 makes the key
// anew. Now the first DELETE arrives once more: it names life 0, which is over, and deletes
// nothing.
// A value that was reset has lived for several lives: a DELETE of any of them ends it.
void ServerCore::Impl::OnDelete(const ReplyTo& from, const RequestEntry& entry,
                                ReplyBatch& replies) {
  ReplyEntry reply(entry);
  PartRecord* record = parts_.Find(entry.id());
  const uint64_t life = record == nullptr ? 0 : record->life;
  if (entry.life > life) {
    reply.SetStatus(NoSuchLife(parts_.Label(entry.key), entry, life));
    return replies.Add(from, std::move(reply));
  }
  const bool ends = entry.life >= (record == nullptr ? 0 : record->first_life);
  if (ends && from.rank != 0) return AwaitEnd(from, entry, replies);
  if (ends) {
    if (record == nullptr || record->part == nullptr) {
      reply.SetStatus(absl::NotFoundError(fmt::format("{} has no Init", parts_.Label(entry.key))));
      return replies.Add(from, std::move(reply));
    }
    try {
      parts_.Delete(entry.id(), *record, waiting_.parking());
    } catch (const std::bad_alloc&) {
      reply.SetStatus(NoMemory(parts_.Label(entry.key), entry.part, "the name of what is deleted"));
      reply.retry_after_ms = options_.retry_after_ms;
      return replies.Add(from, std::move(reply));
    }
    waiting_.EndLife(*record, replies);
  }
  reply.progress = Progress::kDone;
  replies.Add(from, std::move(reply));
}

// A RESET names the life that is to end, too, and its reply says the next one: that, not the last
// one, so that every RESET of a worker is answered by one of rank 0. Example: rank 0 resets life 0,
// and then life 1, before rank 1 has reset at all. Rank 1's RESET of life 0 is done, and rank 1 in
// life 1, whose pushes are NOT_FOUND; its RESET of life 1 brings it to life 2, where rank 0 is.
void ServerCore::Impl::OnReset(const ReplyTo& from, const RequestEntry& entry,
                               ReplyBatch& replies) {
  ReplyEntry reply(entry);
  PartRecord* record = parts_.Find(entry.id());
  const uint64_t life = record == nullptr ? 0 : record->life;
  if (entry.life > life) {
    reply.SetStatus(NoSuchLife(parts_.Label(entry.key), entry, life));
    return replies.Add(from, std::move(reply));
  }
  if (record == nullptr || record->part == nullptr || entry.life < record->first_life) {
    // There is none, or it was deleted: of that the RESET knows nothing.
    reply.SetStatus(parts_.CheckLife(record, entry));
    return replies.Add(from, std::move(reply));
  }
  if (entry.life == life && from.rank != 0) return AwaitEnd(from, entry, replies);
  if (entry.life == life) {
    try {
      parts_.Reset(*record, waiting_.parking());
    } catch (const std::bad_alloc&) {
      reply.SetStatus(NoMemory(parts_.Label(entry.key), entry.part, "a part without rounds"));
      reply.retry_after_ms = options_.retry_after_ms;
      return replies.Add(from, std::move(reply));
    }
    waiting_.EndLife(*record, replies);
  }
  reply.progress = Progress::kDone;
  reply.life = entry.life + 1;
  replies.Add(from, std::move(reply));
}

std::vector<DeletedKey> ServerCore::Impl::EndKeys(bool reset, const std::string& name, bool prefix,
                                                  bool dry_run, ServerOutbox* out) {
  std::vector<DeletedKey> ended;
  ReplyBatch replies(ReplyHeader(), out);
  for (const PartTable::NamedParts& key : parts_.PartsOf(name, prefix)) {
    ended.push_back({key.key, key.name, key.parts.size()});
    for (const PartId id : key.parts) {
      if (dry_run) continue;
      PartRecord& record = *parts_.Find(id);
      if (reset) {
        parts_.Reset(record, waiting_.parking());
      } else {
        parts_.Delete(id, record, waiting_.parking());
      }
      waiting_.EndLife(record, replies);
    }
  }
  return ended;
}

std::vector<DeletedKey> ServerCore::DeleteKeys(const std::string& name, bool prefix, bool dry_run,
                                               ServerOutbox* out) {
  return impl_->EndKeys(/*reset=*/false, name, prefix, dry_run, out);
}

std::vector<DeletedKey> ServerCore::ResetKeys(const std::string& name, bool prefix, bool dry_run,
                                              ServerOutbox* out) {
  return impl_->EndKeys(/*reset=*/true, name, prefix, dry_run, out);
}

ReadPart ServerCore::Read(const PartRange& range, PartIndex from, int64_t row,
                          size_t bytes_max) const {
  return impl_->Read(range, from, row, bytes_max);
}

}  // namespace kvstore
