// FrameCutter: requests become entries, entries become frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "client/core/client_core.h"
#include "client/core/request.h"

namespace kvstore::client_internal {

// Packs entries into frames for one stream.
class FrameCutter {
 public:
  FrameCutter(FrameHeader header, ShardAddress to, ClientOutbox* out)
      : header_(header), to_(to), out_(out) {}

  // `as_probe`: asks what became of the request instead.
  void Add(const Request& request, bool as_probe) {
    const PartRequest& ask = request.ask;
    const OpExtra extra = as_probe ? OpExtra::kNone : InfoOf(ask.op).extra;
    // A frame has room for one of these.
    const bool alone = extra == OpExtra::kOptimizer || extra == OpExtra::kCommand;
    const size_t bytes = as_probe ? 0 : ask.piece.data.size() + request.command.body.size();
    RequestFrame& frame = FrameFor(bytes, alone);
    RequestEntry& entry = frame.entries.emplace_back();
    entry.op = as_probe ? Op::kProbe : ask.op;
    entry.key = ask.id.key;
    entry.part = ask.id.part;
    entry.round = request.round;
    entry.request = request.id;
    entry.step = ask.step;
    if (as_probe) {
      entry.probed_op = ask.op;
      return;
    }
    entry.takes_back = ask.takes_back;
    entry.piece = ask.piece;
    if (extra == OpExtra::kKey && keys_.insert(entry.key).second) frame.keys.push_back(ask.key);
    if (extra == OpExtra::kOptimizer) frame.optimizer = request.optimizer;
    if (extra == OpExtra::kCommand) frame.command = request.command;
  }

 private:
  // The frame that takes `bytes` more: the last one or, if they do not fit there, a new one.
  RequestFrame& FrameFor(size_t bytes, bool alone) {
    if (frame_ == kNone || bytes_ + bytes > kFramePayloadTarget ||
        out_->frames[frame_].frame.entries.size() == kEntriesPerFrameMax || alone) {
      frame_ = out_->frames.size();
      bytes_ = 0;
      keys_.clear();
      out_->frames.push_back({to_, {}});
      out_->frames.back().frame.header = header_;
    }
    bytes_ += bytes;
    return out_->frames[frame_].frame;
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
