// FrameCutter: requests become entries, entries become frames.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/part_order.h"
#include "client/core/request.h"

namespace kvstore::client_internal {

// Packs entries into frames for one stream.
class FrameCutter {
 public:
  FrameCutter(FrameHeader header, ShardAddress to, ClientOutbox* out)
      : header_(header), to_(to), out_(out) {}

  // `as_probe`: asks what became of the request instead. May throw std::bad_alloc: then the
  // request is in no frame, those before it are in theirs, and the cutter is not used again.
  void Add(const Request& request, bool as_probe) {
    if (request.is_group()) return AddGroup(request, as_probe);
    const PartRequest& ask = request.ask;
    const OpExtra extra = as_probe ? OpExtra::kNone : InfoOf(ask.op).extra;
    // A frame has room for one of these.
    const bool alone = extra == OpExtra::kOptimizer || extra == OpExtra::kCommand;
    const ShardRequest* const to_shards = request.to_shards.get();
    const size_t bytes =
        as_probe ? 0 : ask.piece.data.size() + (to_shards ? to_shards->command.body.size() : 0);
    RequestEntry entry = EntryOf(request, as_probe);
    if (!Fits(bytes, alone)) {
      ClientOutbox::Send send{to_, {}};
      send.frame.header = header_;
      if (to_shards != nullptr) {
        if (extra == OpExtra::kOptimizer) send.frame.optimizer = to_shards->optimizer;
        if (extra == OpExtra::kCommand) send.frame.command = to_shards->command;
      }
      keys_.clear();
      if (extra == OpExtra::kKey) {
        keys_.insert(ask.id.key);
        send.frame.keys.push_back(*ask.key);
      }
      send.frame.entries.push_back(std::move(entry));
      out_->frames.push_back(std::move(send));
      frame_ = out_->frames.size() - 1;
      bytes_ = bytes;
      return;
    }
    RequestFrame& frame = out_->frames[frame_].frame;
    const bool names_key = extra == OpExtra::kKey && keys_.insert(ask.id.key).second;
    if (names_key) frame.keys.push_back(*ask.key);
    try {
      frame.entries.push_back(std::move(entry));
    } catch (const std::bad_alloc&) {
      if (names_key) frame.keys.pop_back();
      throw;
    }
    bytes_ += bytes;
  }

 private:
  // All open members go into one frame.
  void AddGroup(const Request& group, bool as_probe) {
    const size_t bytes = as_probe ? 0 : group.bytes();
    if (frame_ == kNone || bytes_ + bytes > kFramePayloadTarget ||
        entries() + group.open_members > kEntriesPerFrameMax) {
      ClientOutbox::Send send{to_, {}};
      send.frame.header = header_;
      send.frame.entries.reserve(group.open_members);
      keys_.clear();
      out_->frames.push_back(std::move(send));
      frame_ = out_->frames.size() - 1;
      bytes_ = 0;
    }
    std::vector<RequestEntry>& entries = out_->frames[frame_].frame.entries;
    const size_t wanted = entries.size() + group.open_members;
    if (wanted > entries.capacity()) entries.reserve(std::max(wanted, 2 * entries.size()));
    for (const Member& member : group.members) {
      if (!member.open) continue;
      RequestEntry& entry = entries.emplace_back();
      entry.op = as_probe ? Op::kProbe : group.ask.op;
      entry.key = member.id.key;
      entry.part = member.id.part;
      entry.round = group.round;
      entry.request = group.NumberOf(member);
      entry.life = member.part->life;
      entry.step = group.ask.step;
      if (as_probe) {
        entry.probed_op = group.ask.op;
      } else {
        entry.piece.data = DataOf(*group.ask.group, group.ask.group->members[member.number]);
      }
    }
    bytes_ += bytes;
  }
  size_t entries() const { return out_->frames[frame_].frame.entries.size(); }

  static RequestEntry EntryOf(const Request& request, bool as_probe) {
    const PartRequest& ask = request.ask;
    RequestEntry entry;
    entry.op = as_probe ? Op::kProbe : ask.op;
    entry.key = ask.id.key;
    entry.part = ask.id.part;
    entry.round = request.round;
    entry.request = request.id;
    entry.life = request.life;
    entry.step = ask.step;
    if (as_probe) {
      entry.probed_op = ask.op;
    } else {
      entry.takes_back = ask.takes_back;
      entry.piece = ask.piece;
    }
    return entry;
  }

  // Whether the last frame takes `bytes` more; else a new one is begun.
  bool Fits(size_t bytes, bool alone) const {
    return frame_ != kNone && bytes_ + bytes <= kFramePayloadTarget &&
           out_->frames[frame_].frame.entries.size() < kEntriesPerFrameMax && !alone;
  }

  static constexpr size_t kNone = SIZE_MAX;
  FrameHeader header_;
  ShardAddress to_;
  ClientOutbox* out_;
  size_t frame_ = kNone;
  size_t bytes_ = 0;
  std::set<KeyId> keys_;
};

}  // namespace kvstore::client_internal
