// What a server answers an operator: on the control loop, which asks the shards.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/cluster/partitioner.h"
#include "common/wire/byte_counts.h"
#include "server/node/server_node.h"
#include "server/node/server_status.h"

namespace kvstore {
namespace {

// Of a piece that kvctl get is sent; a part of a dense value is never larger.
constexpr size_t kPieceBytesMax = kPartBytesMax;

}  // namespace

// The answers of the shards to one question. Each arrives on its shard's thread.
struct ServerNode::Gathering {
  Mutex mutex;
  std::vector<ShardStatus> answers KVS_GUARDED_BY(mutex);
  size_t shards = 0;
  v1::ServerStatus status;  // what the control loop knows
  UnaryReply reply;
};

void ServerNode::OrderProfiler(const Payload& asked, const UnaryReply& reply) {
  v1::ProfilerOrderRequest order;
  if (!order.ParseFromString(asked.ToString())) {
    return reply(absl::InvalidArgumentError("a kvstore.v1.ProfilerOrderRequest expected"));
  }
  // A number that is no verb is refused by the profiler.
  profiler_->Order({static_cast<ProfilerVerb>(order.verb()), order.parameters()},
                   [reply](const absl::Status& outcome) {
                     if (!outcome.ok()) return reply(outcome);
                     reply(v1::ProfilerOrderReply().SerializeAsString());
                   });
}

void ServerNode::ReadProfile(const Payload& asked, const UnaryReply& reply) {
  v1::ReadProfileRequest request;
  if (!request.ParseFromString(asked.ToString())) {
    return reply(absl::InvalidArgumentError("a kvstore.v1.ReadProfileRequest expected"));
  }
  reply(profiler_->Read(request).SerializeAsString());
}

void ServerNode::GetStatus(const UnaryReply& reply) {
  const auto gathering = std::make_shared<Gathering>();
  gathering->shards = shards_.size();
  gathering->reply = reply;
  gathering->status.set_updater_plugin(options_.updater_plugin);
  if (session_ != nullptr && session_->core().identity()) {
    gathering->status.set_rank(session_->core().identity()->rank());
    gathering->status.set_incarnation(session_->core().identity()->incarnation());
    const RoutingPtr& routing = session_->core().routing();
    if (routing != nullptr) gathering->status.set_epoch(routing->epoch);
  }
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->GetStatus([gathering](ShardStatus answer) {
      const MutexLock lock(gathering->mutex);
      gathering->answers.push_back(std::move(answer));
      if (gathering->answers.size() < gathering->shards) return;
      AddUpStatus(gathering->answers, SteadyNowMs(), kOpenRoundsShownMax, &gathering->status);
      const WireBytes bytes = TotalWireBytes();
      gathering->status.set_payload_bytes_moved(bytes.moved);
      gathering->status.set_payload_bytes_copied(bytes.copied);
      gathering->status.set_resident_bytes(ResidentBytes());
      gathering->reply(gathering->status.SerializeAsString());
    });
  }
}

struct ServerNode::KeyGathering {
  Mutex mutex;
  std::vector<std::vector<KeyStats>> answers KVS_GUARDED_BY(mutex);
  uint64_t most_keys KVS_GUARDED_BY(mutex) = 0;
  JobId job KVS_GUARDED_BY(mutex) = 0;  // of all answers so far; 0 if they are of several
  size_t shards = 0;
  UnaryReply reply;
};

void ServerNode::GetKeyStats(const Payload& request, const UnaryReply& reply) {
  std::string bytes(request.size(), '\0');
  request.CopyTo(bytes.data());
  v1::KeyStatsRequest asked;
  if (!asked.ParseFromString(bytes)) {
    return reply(absl::InvalidArgumentError("a KeyStatsRequest expected, got other bytes"));
  }
  KeyQuery query{asked.prefix(), kKeyStatsPage, !asked.without_figures(), {}};
  if (asked.has_after()) query.after = KeyPlace{asked.after().key(), asked.after().name()};
  const auto gathering = std::make_shared<KeyGathering>();
  gathering->shards = shards_.size();
  gathering->reply = reply;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->GetKeyStats(query, [gathering](std::vector<KeyStats> answer, uint64_t keys, JobId job) {
      const MutexLock lock(gathering->mutex);
      const bool first = gathering->answers.empty();
      if (first || gathering->job != job) gathering->job = first ? job : 0;
      gathering->answers.push_back(std::move(answer));
      gathering->most_keys = std::max(gathering->most_keys, keys);
      if (gathering->answers.size() < gathering->shards) return;
      v1::ServerKeyStats stats;
      AddUpKeyStats(gathering->answers, kKeyStatsPage, &stats);
      // Keys with parts in several shards count once: this is the least.
      stats.set_keys_total(std::max<uint64_t>(gathering->most_keys, stats.keys_total()));
      stats.set_job(gathering->job);
      gathering->reply(stats.SerializeAsString());
    });
  }
}

struct ServerNode::EndGathering {
  Mutex mutex;
  std::map<KeyId, v1::DeletedKeys::DeletedKey> keys KVS_GUARDED_BY(mutex);
  absl::Status failed KVS_GUARDED_BY(mutex);
  size_t answers KVS_GUARDED_BY(mutex) = 0;
  size_t shards = 0;
  UnaryReply reply;
};

void ServerNode::EndKeys(bool reset, const Payload& asked, const UnaryReply& reply) {
  v1::DeleteKeysRequest request;
  if (!request.ParseFromString(asked.ToString()) || request.name().empty()) {
    return reply(absl::InvalidArgumentError(
        "a kvstore.v1.DeleteKeysRequest with the name of a key, or its beginning, expected"));
  }
  spdlog::info("an operator {} the key{} '{}'",
               request.dry_run() ? "asks after"
               : reset           ? "resets"
                                 : "deletes",
               request.prefix() ? "s that begin with" : "", request.name());
  const auto gathering = std::make_shared<EndGathering>();
  gathering->shards = shards_.size();
  gathering->reply = reply;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->EndKeys(
        reset, request.name(), request.prefix(), request.dry_run(),
        [gathering](const absl::StatusOr<std::vector<DeletedKey>>& answer) {
          const MutexLock lock(gathering->mutex);
          if (!answer.ok()) gathering->failed = answer.status();
          for (const DeletedKey& key : answer.ok() ? *answer : std::vector<DeletedKey>()) {
            v1::DeletedKeys::DeletedKey& sum = gathering->keys[key.key];
            sum.set_key(key.key);
            sum.set_name(key.name);
            sum.set_parts(sum.parts() + key.parts);
          }
          if (++gathering->answers < gathering->shards) return;
          if (!gathering->failed.ok()) return gathering->reply(gathering->failed);
          v1::DeletedKeys deleted;
          for (const auto& [id, key] : gathering->keys) *deleted.add_keys() = key;
          gathering->reply(deleted.SerializeAsString());
        });
  }
}

void ServerNode::ReadKey(const Payload& asked, const UnaryReply& reply) {
  v1::ReadKeyRequest request;
  if (!request.ParseFromString(asked.ToString()) || request.shard() >= shards_.size()) {
    return reply(absl::InvalidArgumentError(fmt::format(
        "a kvstore.v1.ReadKeyRequest about a shard below {} expected", shards_.size())));
  }
  PartRange range;
  range.key = request.key();
  range.part_begin = request.part_begin();
  range.part_end = request.part_end();
  range.row_begin = request.row_begin();
  range.row_end = request.row_end();
  const uint32_t shard = request.shard();
  const bool last_shard = shard + 1 == shards_.size();
  const PartIndex from = std::max(request.part(), request.part_begin());
  shards_[shard]->ReadKey(range, from, request.row(), kPieceBytesMax,
                          [reply, range, shard, last_shard](const absl::StatusOr<ReadPart>& read) {
                            if (!read.ok()) return reply(read.status());
                            v1::KeyPiece piece;
                            piece.set_found(read->found);
                            piece.set_part(read->part);
                            piece.set_version(read->version);
                            for (const int64_t row : read->value.rows) piece.add_rows(row);
                            piece.mutable_data()->resize(read->value.data.size());
                            read->value.data.CopyTo(piece.mutable_data()->data());
                            piece.set_next_shard(read->more ? shard : shard + 1);
                            piece.set_next_part(read->more ? read->next_part : range.part_begin);
                            piece.set_next_row(read->more ? read->next_row : range.row_begin);
                            piece.set_last(last_shard && !read->more);
                            reply(piece.SerializeAsString());
                          });
}

}  // namespace kvstore
