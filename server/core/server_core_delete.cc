// Deleting keys: by rank 0, for which the others wait, or by an operator.
#include <fmt/format.h>

#include <new>
#include <string>
#include <utility>
#include <vector>

#include "server/core/no_memory.h"
#include "server/core/server_core.h"
#include "server/core/server_core_impl.h"

namespace kvstore {

// A DELETE names the life of the part that is to end, so that it ends one life, however often it
// comes. Example: life 0 is to be deleted. Rank 1 comes first, and waits. Rank 0's DELETE of life 0
// ends it: the part is in life 1, without a value, and both are answered. Rank 0 makes the key
// anew. Now the first DELETE arrives once more: it names life 0, which is over, and deletes
// nothing.
void ServerCore::Impl::OnDelete(const ReplyTo& from, const RequestEntry& entry,
                                ReplyBatch& replies) {
  ReplyEntry reply(entry);
  const auto put_off = [&](const absl::Status& status) {
    reply.SetStatus(status);
    reply.retry_after_ms = options_.retry_after_ms;
    replies.Add(from, std::move(reply));
  };
  PartRecord* record = parts_.Find(entry.id());
  const uint64_t life = record == nullptr ? 0 : record->life;
  if (entry.life > life) {
    reply.SetStatus(absl::InvalidArgumentError(
        fmt::format("{} part {}: DELETE of life {} expected at most, got {}",
                    parts_.Label(entry.key), entry.part, life, entry.life)));
    return replies.Add(from, std::move(reply));
  }
  if (entry.life == life && from.rank != 0) {
    bool retry = false;
    absl::Status parked;
    try {
      parked = waiting_.Park({from, entry, {}, {}, /*answered=*/false, now_ms_}, &retry);
    } catch (const std::bad_alloc&) {
      parked = NoMemory(parts_.Label(entry.key), entry.part, "a DELETE that waits");
    }
    if (!parked.ok()) put_off(parked);
    return;
  }
  if (entry.life == life) {
    if (record == nullptr || record->part == nullptr) {
      reply.SetStatus(absl::NotFoundError(fmt::format("{} has no Init", parts_.Label(entry.key))));
      return replies.Add(from, std::move(reply));
    }
    try {
      parts_.Delete(entry.id(), *record, waiting_.parking());
    } catch (const std::bad_alloc&) {
      return put_off(NoMemory(parts_.Label(entry.key), entry.part, "the name of what is deleted"));
    }
    waiting_.EndLife(*record, replies);
  }
  reply.progress = Progress::kDone;
  replies.Add(from, std::move(reply));
}

std::vector<DeletedKey> ServerCore::Impl::DeleteKeys(const std::string& name, bool prefix,
                                                     bool dry_run, ServerOutbox* out) {
  std::vector<DeletedKey> deleted;
  ReplyBatch replies(ReplyHeader(), out);
  for (const PartTable::NamedParts& key : parts_.PartsOf(name, prefix)) {
    deleted.push_back({key.key, key.name, key.parts.size()});
    for (const PartId id : key.parts) {
      if (dry_run) continue;
      PartRecord& record = *parts_.Find(id);
      parts_.Delete(id, record, waiting_.parking());
      waiting_.EndLife(record, replies);
    }
  }
  return deleted;
}

std::vector<DeletedKey> ServerCore::DeleteKeys(const std::string& name, bool prefix, bool dry_run,
                                               ServerOutbox* out) {
  return impl_->DeleteKeys(name, prefix, dry_run, out);
}

}  // namespace kvstore
