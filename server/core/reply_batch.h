// ReplyBatch: gathers the replies of one event into few frames: one per stream, cut where values,
// texts and lists together have the usual payload size.
#pragma once

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "server/core/server_core.h"

namespace kvstore {

// To whom a reply goes, and over which stream.
struct ReplyTo {
  PeerId peer = 0;
  WorkerRank rank = 0;
  Incarnation incarnation = 0;
};

class ReplyBatch {
 public:
  // `header`: cluster, epoch, job, server incarnation of every frame. `out` outlives the batch.
  // `expected`: as many entries as its first frame will have, perhaps.
  ReplyBatch(const FrameHeader& header, ServerOutbox* out, size_t expected = 0)
      : header_(header), out_(out), expected_(expected) {}

  // `description`: of the key, if the reader is to learn it.
  void Add(const ReplyTo& to, ReplyEntry entry, const KeySpec* description = nullptr) {
    const auto [it, first] = open_.try_emplace({to.peer, to.rank, to.incarnation});
    Open& open = it->second;
    const size_t bytes = BytesOf(entry);
    if (first || open.bytes + bytes > kFramePayloadTarget || open.index >= out_->size() ||
        (*out_)[open.index].frame.entries.size() == kEntriesPerFrameMax) {
      open.index = out_->size();
      open.bytes = 0;
      ServerFrame& fresh = out_->emplace_back();
      fresh.frame.entries.reserve(std::exchange(expected_, 0));
      fresh.peer = to.peer;
      fresh.frame.header = header_;
      fresh.frame.header.rank = to.rank;
      fresh.frame.header.incarnation = to.incarnation;
    }
    open.bytes += bytes;
    open.value_bytes += entry.data.size();
    std::vector<KeySpec>& keys = (*out_)[open.index].frame.keys;
    // Entries about a key come together: its description is the last one, if it is there.
    if (description != nullptr && (keys.empty() || keys.back().key != description->key)) {
      keys.push_back(*description);
    }
    (*out_)[open.index].frame.entries.push_back(std::move(entry));
  }

  // Bytes of values that `to` is sent so far.
  uint64_t ValueBytesTo(const ReplyTo& to) const {
    const auto it = open_.find({to.peer, to.rank, to.incarnation});
    return it == open_.end() ? 0 : it->second.value_bytes;
  }

 private:
  struct Open {
    size_t index = 0;          // into *out_
    size_t bytes = 0;          // of that frame
    uint64_t value_bytes = 0;  // of all of its frames
  };
  static size_t BytesOf(const ReplyEntry& entry) {
    return entry.data.size() + std::min(entry.message.size(), kErrorTextBytesMax) +
           entry.missing_ranks.size() * sizeof(WorkerRank);
  }
  FrameHeader header_;
  ServerOutbox* out_;
  size_t expected_;
  std::map<std::tuple<PeerId, WorkerRank, Incarnation>, Open> open_;
};

}  // namespace kvstore
